"""What the programs beside it share: write generated files, or with `--check` compare them."""
# ruff: noqa: INP001 - imported by programs of this folder, which Python puts on its path

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write_or_check(files: Mapping[Path, str], *, doc: str | None) -> int:
    """Write the files that differ; with `--check` only name them, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0] if doc else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args().check
    outdated = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in outdated:
        if check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run 'make chart'\n")
        else:
            path.write_text(files[path], encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 1 if check and outdated else 0
