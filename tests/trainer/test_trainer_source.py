"""The trainer's sources keep to the syntax of the oldest Python that TensorFlow 1.14's images bring."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "images" / "trainer" / "trainingrun_trainer").glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_it_is_python_3_6(path: Path) -> None:
    ast.parse(path.read_text(), filename=str(path), feature_version=(3, 6))


def test_newer_syntax_would_be_noticed() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("if (n := 1):\n    pass", feature_version=(3, 6))
