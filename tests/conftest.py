"""Sets PYTHONPATH from the list in pyproject.toml, so that programs started by tests find the same packages."""

from __future__ import annotations

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join(str(folder) for folder in config.getini("pythonpath"))
