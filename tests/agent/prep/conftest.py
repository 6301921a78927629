"""Fixtures of preparation."""

from __future__ import annotations

from pathlib import Path

import pytest

from prep_lab import Lab
from voc_data import jpeg


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Three clean images in train, one in eval."""
    made = Lab(tmp_path)
    for index in range(3):
        made.add(f"t{index}", jpeg(seed=index))
    made.add("e0", jpeg(seed=9), split="eval")
    return made
