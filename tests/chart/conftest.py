"""Fixtures: helm and other chart tools, run on the chart of this repository."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from trcluster.build import ensure
from trcluster.command import run

CHART = Path(__file__).resolve().parents[2] / "charts" / "trainingrun-operator"
RELEASE = "trainingrun-operator"
NAMESPACE = "trainingrun-system"

Tool = Callable[..., str]
Helm = Callable[..., str]
Body = dict[str, Any]


@pytest.fixture(scope="session")
def tool() -> Tool:
    """Runs a built command by its name and returns what it prints; raises CommandError."""

    def start(name: str, *arguments: str) -> str:
        return run([ensure((name,), echo=print)[name], *arguments], timeout=600)

    return start


@pytest.fixture(scope="session")
def helm(tool: Tool) -> Helm:
    """Runs helm and returns what it prints; raises CommandError."""
    return partial(tool, "helm")


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> Callable[..., list[Body]]:
    """Render the objects of an installation with these `--set` values."""

    def render(*values: str, release: str = RELEASE) -> list[Body]:
        options = [option for value in values for option in ("--set", value)]
        text = helm("template", release, str(CHART), "--namespace", NAMESPACE, *options)
        return [body for body in yaml.safe_load_all(text) if body]

    return render
