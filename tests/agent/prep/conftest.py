"""Fixtures for the tests of preparation."""

from __future__ import annotations

from pathlib import Path

import pytest

from prep_in_memory import Preparation
from voc_data import jpeg


@pytest.fixture
def prep(tmp_path: Path) -> Preparation:
    """Three clean images in train, one in eval."""
    made = Preparation(tmp_path)
    for index in range(3):
        made.add(f"t{index}", jpeg(seed=index))
    made.add("e0", jpeg(seed=9), split="eval")
    return made
