"""Compiles and checks the requirement files. Invariant: every line is pinned and hashed and has no URL.

Resolving needs a package index, but no interpreter of the Python version in question, and installs nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError
from .process import output

TIMEOUT = 300.0


@dataclass(frozen=True)
class Requirements:
    """A compiled file: its sources, its Python version, and options of the resolver.

    ``from_source`` are packages without a wheel, ``from_base`` packages that the base image brings.
    """

    target: str
    sources: tuple[str, ...]
    python: str
    from_source: tuple[str, ...] = ()
    from_base: tuple[str, ...] = ()
    dependencies: bool = True

    def command(self, *, target: Path) -> list[str]:
        """The command line of the resolver, which keeps the versions that ``target`` already has."""
        options = ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"]
        platform = ["--python-version", self.python, "--python-platform", "linux"]
        wheels = ["--only-binary", ":all:", *_repeat("--no-binary", self.from_source)]
        dependencies = [] if self.dependencies else ["--no-deps"]
        left_out = _repeat("--no-emit-package", self.from_base)
        words = [*options, *platform, *wheels, *dependencies, *left_out]
        return ["uv", "pip", "compile", *words, *self.sources, "--output-file", str(target)]


_TRAINER = "images/trainer/"
_OBJECT_DETECTION = (_TRAINER + "requirements.in", _TRAINER + "tensorflow.in")
ALL = (
    Requirements("operator/requirements.txt", ("operator/pyproject.toml",), "3.11"),
    Requirements("images/agent/requirements.txt", ("images/agent/pyproject.toml",), "3.11"),
    Requirements(
        "tests/requirements.txt",
        ("tests/requirements.in", "operator/pyproject.toml", "images/agent/pyproject.toml"),
        "3.11",
    ),
    Requirements("tests/requirements-tf2.txt", ("tests/requirements-tf2.in",), "3.11"),
    Requirements("tests/requirements-fuzz.txt", ("tests/requirements-fuzz.in",), "3.11", dependencies=False),
    Requirements("images/tensorboard/requirements.txt", ("images/tensorboard/requirements.in",), "3.11"),
    Requirements(_TRAINER + "bootstrap.txt", (_TRAINER + "bootstrap.in",), "3.6", dependencies=False),
    Requirements(_TRAINER + "object-detection.txt", (_TRAINER + "object-detection.in",), "3.6", dependencies=False),
    Requirements(_TRAINER + "tensorflow.txt", (_TRAINER + "tensorflow.in",), "3.6", dependencies=False),
    # TensorFlow takes part in resolving, so that all versions fit it, but is left out: it comes from the base image or
    # from tensorflow.txt.
    Requirements(
        _TRAINER + "requirements-py36.txt",
        _OBJECT_DETECTION,
        "3.6",
        ("gast", "termcolor", "pycocotools"),
        ("tensorflow",),
    ),
    Requirements(_TRAINER + "requirements-py37.txt", _OBJECT_DETECTION, "3.7", ("gast",), ("tensorflow",)),
    # NVIDIA's TensorFlow 1.15 needs the numpy and protobuf of its own image.
    Requirements(_TRAINER + "requirements-py38.txt", _OBJECT_DETECTION[:1], "3.8", ("gast",), ("numpy", "protobuf")),
    # Installed together with the packages of the trainer, which include its dependencies.
    Requirements(
        "tests/bench/tutorial/requirements.txt", ("tests/bench/tutorial/requirements.in",), "3.7", dependencies=False
    ),
)


def compile_all(repository: Path) -> list[str]:
    """Rewrite every requirement file with the newest versions allowed; return their names. Raises BuildError."""
    for item in ALL:
        _resolve(item, repository=repository, target=repository / item.target, upgrade=True)
    return [item.target for item in ALL]


def check_all(repository: Path) -> list[str]:
    """Check that each file resolves and matches its sources; return all names, or raise BuildError."""
    with ThreadPoolExecutor(max_workers=4) as pool, tempfile.TemporaryDirectory() as folder:
        results = pool.map(lambda item: _check(item, repository=repository, folder=Path(folder)), ALL)
        problems = [problem for problem in results if problem]
    if problems:
        raise BuildError("\n".join(problems))
    return [item.target for item in ALL]


def _check(item: Requirements, *, repository: Path, folder: Path) -> str | None:
    committed = repository / item.target
    if not committed.exists():
        return f"{item.target} is missing: run 'make requirements'"
    target = folder / item.target.replace("/", "-")
    shutil.copyfile(committed, target)
    try:
        _resolve(item, repository=repository, target=target, upgrade=False)
    except BuildError as error:
        return f"{item.target} does not resolve for Python {item.python}: {error}"
    if target.read_bytes() != committed.read_bytes():
        return f"{item.target} does not match {' and '.join(item.sources)}: run 'make requirements'"
    return None


def _resolve(item: Requirements, *, repository: Path, target: Path, upgrade: bool) -> None:
    if shutil.which("uv") is None:
        raise BuildError("the program 'uv', which resolves requirements, is missing: pip install uv")
    command = item.command(target=target) + (["--upgrade"] if upgrade else [])
    environment = {"UV_NATIVE_TLS": "true"} if os.environ.get("SSL_CERT_FILE") else {}
    output([*command, "--directory", str(repository)], timeout=TIMEOUT, extra=environment)


def _repeat(option: str, values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in (option, value)]
