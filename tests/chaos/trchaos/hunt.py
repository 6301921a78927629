"""Execute seeds with a changed operator until one violates what the operator of today does not violate there.

Invariant: the checkout is never changed. A mutant is a copy of the operator's package in a folder of its own, which
comes first on the PYTHONPATH of the process that executes the seeds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Timer
from typing import Final

from trcluster.command import CommandError, run
from trimages.paths import REPOSITORY

OPERATOR: Final = REPOSITORY / "operator"
SEED_SECONDS: Final = 600.0  # within which a seed is executed, on a busy machine too; most take less than a second
Violation = tuple[str, str, str]  # rule, object, text


@dataclass(frozen=True)
class Caught:
    """The first violation that a mutant causes."""

    seed: int
    rule: str
    object: str
    text: str


class Today:
    """The operator of the checkout: what it violates itself, executed once for each seed that is asked for."""

    def __init__(self) -> None:
        self._known: dict[int, set[tuple[str, str]]] = {}
        self._lock = Lock()

    def violates(self, seed: int) -> set[tuple[str, str]]:
        """Return rules that this seed breaks with the operator of today, each with the object that breaks it."""
        with self._lock:
            if seed not in self._known:
                with closing(executed(OPERATOR, first=seed, seeds=1)) as found:
                    self._known[seed] = {(rule, name) for _, violations in found for rule, name, _ in violations}
            return self._known[seed]


def hunt(operator: Path, *, seeds: int, today: Today) -> Caught | None:
    """Execute seeds with the operator's package in a folder; return the first violation of its own."""
    with closing(executed(operator, first=0, seeds=seeds)) as found:
        for seed, violations in found:
            for rule, name, text in violations:
                if (rule, name) not in today.violates(seed):
                    return Caught(seed, rule, name, text)
    return None


def copy_with_patch(patch: Path, *, to: Path) -> Path:
    """Copy the operator's package below a new folder and apply a patch; raises CommandError if it does not fit."""
    copy = to / OPERATOR.name
    shutil.copytree(OPERATOR, copy, ignore=shutil.ignore_patterns("__pycache__"))
    run(["git", "apply", "--unsafe-paths", f"--directory={to}", patch], timeout=60, cwd="/")
    return copy


def executed(operator: Path, *, first: int, seeds: int) -> Generator[tuple[int, list[Violation]], None, None]:
    """Execute seeds in a process of their own; yield each with its violations as soon as it is done.

    Raises CommandError when the process fails: whatever an operator does, the machine around it must not.
    """
    argv = [sys.executable, "-m", "trchaos.stream", "--first", str(first), "--seeds", str(seeds)]
    ours = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(folder) != OPERATOR]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(operator), *ours)), "PYTHONHASHSEED": "0"}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, text=True, env=env, cwd="/") as process,
    ):
        limit = Timer(SEED_SECONDS * seeds, process.kill)
        limit.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                document = json.loads(line)
                yield document["seed"], [(rule, name, text) for rule, name, text in document["violations"]]
            code = process.wait()
        finally:
            limit.cancel()
            process.kill()
        if code != 0:
            errors.seek(0)
            raise CommandError(argv, "failed", code=code, stdout="", stderr=errors.read())
