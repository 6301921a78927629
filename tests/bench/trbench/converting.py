"""Prepare photos from folder to folder, in a process of its own whose lifetime and CPU seconds are measured."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import monotonic

from trbench.measurements import Echo
from trbench.own_process import Memory
from trbench.photos import Photos
from trbench.timed_prepare import Outcome


@dataclass(frozen=True)
class Converted:
    """A process that prepared from folder to folder: its lifetime, and the CPU seconds of it and its workers."""

    outcome: Outcome
    life: float
    cpu: float


def convert(photos: Photos, folder: Path) -> Converted:
    """Prepare into a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="out-", dir=folder) as out:
        return convert_into(photos, Path(out))


def convert_into(photos: Photos, out: Path, *, memory: Memory | None = None) -> Converted:
    """Prepare into an empty folder; sampling by `memory` costs CPU time."""
    argv = [sys.executable, "-m", "trbench.timed_prepare", str(photos.folder), str(out), *photos.classes]
    before, started = cpu_seconds(), monotonic()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        if memory is None:
            printed, _ = process.communicate()
        else:
            with memory.watching(process.pid):
                printed, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return Converted(Outcome(**json.loads(printed)), monotonic() - started, cpu_seconds() - before)


def cpu_seconds() -> float:
    """CPU seconds of all processes that have ended."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for the files of a benchmark."""
    with tempfile.TemporaryDirectory(prefix="trbench-") as name:
        yield Path(name)


@contextmanager
def bytecode(folder: Path) -> Iterator[None]:
    """Let the processes of this block read and write Python bytecode in a folder."""
    before = dict(os.environ)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass
class Seen:
    """Prints the time of each round, and keeps its CPU seconds, start-up included."""

    echo: Echo
    used: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, what: str, seconds: float, cpu: float) -> float:
        self.echo(f"{what}: {seconds:.2f} s, {cpu:.2f} CPU seconds with start-up")
        self.used.setdefault(what, []).append(cpu)
        return seconds

    def cpu(self, what: str) -> str:
        """Median CPU time, as detail of a measurement."""
        return f"{statistics.median(self.used[what]):.2f} CPU seconds"
