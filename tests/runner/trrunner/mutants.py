"""Mutants: known faults of the past, one patch each, that the tests named in it must catch.

`tests/mutants/*.patch` holds a text with `Symptom:` and `Test:` lines, then a diff that brings the fault back. A mutant
is killed when all of its tests fail with the diff; without it they pass in `make check`. Invariant: the checkout itself
is never changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trcluster.command import CommandError, run
from trimages.paths import REPOSITORY

FOLDER = REPOSITORY / "tests/mutants"
TEST_SECONDS = 300.0


@dataclass(frozen=True)
class Mutant:
    """One patch with the fault that it brings back and the tests that catch it."""

    path: Path
    symptom: str
    tests: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Mutant:
        """Read a patch; raises ValueError when its text names no symptom or no test."""
        head = path.read_text(encoding="utf-8").partition("\ndiff --git ")[0]
        lines = [line.partition(": ") for line in head.splitlines()]
        symptom = next((value for name, _, value in lines if name == "Symptom"), "")
        tests = tuple(value for name, _, value in lines if name == "Test")
        if not symptom or not tests:
            raise ValueError(f"{path.name} has no line `Symptom: …` or no line `Test: …` before its diff")
        return cls(path, symptom, tests)


def mutants(names: Sequence[str] = ()) -> list[Mutant]:
    """Return the mutants whose file names contain one of the names, by default all."""
    return [
        Mutant.read(path)
        for path in sorted(FOLDER.glob("*.patch"))
        if not names or any(name in path.name for name in names)
    ]


def check_applies(mutant: Mutant) -> None:
    """Raise CommandError when the patch does not fit the checkout."""
    run(["git", "apply", "--check", mutant.path], timeout=60, cwd=REPOSITORY)


def survivors(mutant: Mutant, *, copy: Path) -> list[str]:
    """Apply the patch in a copy of the checkout, run its tests, restore it; return the tests that passed."""
    run(["git", "apply", "--unsafe-paths", f"--directory={copy}", mutant.path], timeout=60, cwd="/")
    try:
        return [test for test in mutant.tests if _passes(test, copy=copy)]
    finally:
        run(["git", "apply", "--unsafe-paths", "--reverse", f"--directory={copy}", mutant.path], timeout=60, cwd="/")


def _passes(test: str, *, copy: Path) -> bool:
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # the copy's packages, not ours
    done = subprocess.run(argv, cwd=copy, env=env, capture_output=True, text=True, timeout=TEST_SECONDS, check=False)
    if done.returncode not in {0, 1}:  # 1: tests failed; others: there is no such test, or it could not start
        raise CommandError(argv, "ran no test", code=done.returncode, stdout=done.stdout, stderr=done.stderr)
    return done.returncode == 0


def _copy_checkout(to: Path) -> None:
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], timeout=60, cwd=REPOSITORY)
    for name in filter(None, listed.split("\0")):
        source, target = REPOSITORY / name, to / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def main() -> int:
    """Run the mutants; the exit code is 1 when one of them survives."""
    parser = argparse.ArgumentParser(prog="trrunner.mutants", description="Bring old faults back: tests must fail.")
    parser.add_argument("names", nargs="*", help="parts of file names in tests/mutants; by default all")
    chosen = mutants(parser.parse_args().names)
    alive = 0
    with tempfile.TemporaryDirectory(prefix="trainingrun-mutants-") as folder:
        copy = Path(folder)
        _copy_checkout(copy)
        for number, mutant in enumerate(chosen, 1):
            passed = survivors(mutant, copy=copy)
            alive += bool(passed)
            print(f"[{number}/{len(chosen)}] {mutant.path.stem}: {'SURVIVED' if passed else 'killed'}", flush=True)
            for test in passed:
                print(f"    passes in spite of the fault: {test}")
    print(f"{len(chosen) - alive} of {len(chosen)} mutants killed")
    return 1 if alive or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
