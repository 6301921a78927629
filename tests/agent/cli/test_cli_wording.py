"""What preparation says about fields of a TrainingRun is said about options on the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import trainingrun_agent
from trainingrun_agent.cli import wording

PACKAGE = Path(trainingrun_agent.__file__).parent
SAID = [
    *sorted((PACKAGE / "prep").rglob("*.py")),
    *(PACKAGE / "storage" / f"{name}.py" for name in ("failures", "s3", "manifest", "documents", "streams", "results")),
]
OF_A_CLUSTER = re.compile(
    r"spec\.|\bdataset\.(train|eval|classes|max)|(eval|split|max)[A-Z]|TrainingRun|\bretry\b|\bpod\b|\bSecret\b|namespace"
)
PLACEHOLDERS = {
    "split": "train",
    "result.split": "eval",
    "split.name": "eval",
    "SECRET": "the Secret named in spec.storage.credentials.secretName",
    "endpoint": "spec.storage.endpoint",
}

NEVER = {
    "--endpoint: … leads to …, which is the pod itself, its node or the metadata service of its cloud, not storage",
}
"""Not said by the command line: addresses are refused in pods only."""


def texts(path: Path) -> Iterator[str]:
    """Every text of a module but its docstrings, with what is put into it."""
    tree = ast.parse(path.read_text())
    quiet = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    quiet |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in quiet:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(_part(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    return PLACEHOLDERS.get(ast.unparse(part.value), "…")


@pytest.mark.parametrize("path", SAID, ids=lambda path: path.stem)
def test_no_message_speaks_of_a_cluster(path: Path) -> None:
    words = wording.for_folders("./images", "./test")
    said = [wording.plainly(words(text)) for text in texts(path)]
    assert [text for text in said if " " in text and text not in NEVER and OF_A_CLUSTER.search(text)] == []


RULES = [
    ("spec.dataset.train: no image file in it", "./images: no image file in it"),
    ("spec.dataset.eval: no image file in it", r"C:\1: no image file in it"),
    ("spec.dataset.train.format: auto found", "--format: auto found"),
    ("Upload the labels below spec.dataset.train.uri, or", "Upload the labels below ./images, or"),
    ("(spec.dataset.maxBadFiles 0 allows 0)", "(--max-bad-files 0 allows 0)"),
    ("no object s3://./images/ImageSets/Main/x.txt", "no object ./images/ImageSets/Main/x.txt"),
    ("Set spec.dataset.train.format to one of via, coco, in a new run.", "Set --format to one of via, coco."),
]


@pytest.mark.parametrize(("said", "reworded"), RULES)
def test_only_the_words_change(said: str, reworded: str) -> None:
    assert wording.for_folders("./images", r"C:\1")(said) == reworded
