"""The trainer's sources: the oldest Python they must run on, what they may import, and in which direction."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "trainingrun_trainer"
SOURCES = sorted((Path(__file__).parents[2] / "images" / "trainer" / PACKAGE).glob("*.py"))
# What the trainer's image installs (images/trainer/*.in). No other program of TrainingRun is in that image.
INSTALLED = {"tensorflow", "object_detection", "google", "numpy", "PIL", "pycocotools"}
# A module imports only modules of the layers above its own.
LAYERS = (
    {"cadence", "metrics", "readme", "saving", "seeding", "threshold"},
    {"ending", "loss_watch", "memory", "outcomes", "pictures", "records", "scores", "shared_folder"},
    {"batches", "best", "building", "cpu", "gpu", "log_copy", "pipeline_config", "proof", "weights"},
    {"divergence", "evaluation"},
    {"hooks"},
    {"train", "export"},
    {"wrapper"},
    {"__main__"},
)


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of all imported modules; of `from package import module`, both."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path), feature_version=(3, 6))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_it_is_python_3_6(path: Path) -> None:
    parse(path)


def test_newer_syntax_would_be_noticed() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("if (n := 1):\n    pass", feature_version=(3, 6))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_it_imports_only_what_its_image_installs(path: Path) -> None:
    packages = {name.partition(".")[0] for name in imports(parse(path))}
    assert packages - set(sys.stdlib_module_names) - INSTALLED - {PACKAGE} == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_modules_import_only_from_layers_above_their_own(path: Path) -> None:
    known = {name for layer in LAYERS for name in layer}
    own = {name.split(".")[1] for name in imports(parse(path)) if name.startswith(f"{PACKAGE}.")} & known
    if path.stem == "__init__":
        assert own == set()
        return
    [number] = [number for number, layer in enumerate(LAYERS) if path.stem in layer]
    assert own <= {name for layer in LAYERS[:number] for name in layer}


@pytest.mark.parametrize("name", ["__main__", "cpu", "log_copy", "memory", "outcomes", "shared_folder", "wrapper"])
def test_a_broken_tensorflow_can_be_reported(name: str) -> None:
    """Until it holds the lock, the trainer imports only the standard library; so do these modules at the top level."""
    [path] = [path for path in SOURCES if path.stem == name]
    at_start = ast.Module([node for node in parse(path).body if not isinstance(node, ast.FunctionDef)], [])
    packages = {name.partition(".")[0] for name in imports(at_start)}
    assert packages <= {*sys.stdlib_module_names, PACKAGE}
