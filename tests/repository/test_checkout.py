"""A checkout finds its own packages: in tests, in programs that tests start, through make, in checks and editors."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOOL: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
FOLDERS: list[str] = TOOL["pytest"]["ini_options"]["pythonpath"]


def test_every_tool_looks_for_packages_in_the_same_folders() -> None:
    assert TOOL["ruff"]["src"] == FOLDERS
    assert TOOL["mypy"]["mypy_path"] == FOLDERS
    assert TOOL["pyright"]["extraPaths"] == FOLDERS


def test_the_repository_root_is_not_on_the_path() -> None:
    """Its folder operator/ would shadow the standard library's operator."""
    assert ROOT not in {(ROOT / folder).resolve() for folder in FOLDERS}


def test_a_program_started_in_another_folder_finds_the_packages(tmp_path: Path) -> None:
    code = "import trainingrun, trainingrun_agent, trimages; print(trainingrun.__file__)"
    argv = [sys.executable, "-c", code]
    found = subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=30).stdout
    assert Path(found.strip()).is_relative_to(ROOT)


def test_make_starts_programs_with_the_path_that_tests_use() -> None:
    argv = [sys.executable, str(ROOT / "tests" / "pythonpath.py")]
    printed = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout
    assert printed.strip() == os.environ["PYTHONPATH"]
