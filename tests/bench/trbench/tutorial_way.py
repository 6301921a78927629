"""The tutorial's way from labelled photos to records: xml_to_csv, then generate_tfrecord, as a user runs them.

Two processes of the trainer's interpreter, start-up included, because that is what its users wait for. pandas, which
both import and the trainer's image lacks, is installed once into the cache.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from trbench.numbers import Echo
from trcluster import ClusterError
from trcluster.command import run
from trimages.paths import REPOSITORY, default_cache
from trrunner import needs

SCRIPTS = REPOSITORY / "tests" / "bench" / "tutorial"
TIMEOUT = 3600.0
INSTALL = (
    *("uv", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:"),
    "--compile-bytecode",  # as pip does for the tutorial's users
)


@dataclass(frozen=True, slots=True)
class Tutorial:
    """An interpreter with TensorFlow 1.14, the Object Detection API and, in the folder `packages`, pandas."""

    python: str
    packages: Path

    def convert(
        self, folder: Path, *, classes: Sequence[str], csv: Path, records: Path, unknown: int | None = None
    ) -> int:
        """Images and XML files of a folder into one TFRecord file; returns how many records it holds.

        `unknown` is the id of classes that are none of these; without, one aborts. Raises ClusterError with its words.
        """
        self._run("xml_to_csv.py", f"-i={folder}", f"-o={csv}")
        more = [] if unknown is None else [f"--unknown={unknown}"]
        names = f"--labels={','.join(classes)}"
        said = self._run(
            "generate_tfrecord.py",
            names,
            f"--csv_input={csv}",
            f"--img_path={folder}",
            f"--output_path={records}",
            *more,
        )
        return int(said)

    def _run(self, script: str, *arguments: str) -> str:
        argv = [self.python, str(SCRIPTS / script), *arguments]
        environment = {**os.environ, "TF_PYTHONPATH": str(self.packages), "PYTHONWARNINGS": "ignore"}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # its packages have theirs
        return run(argv, env=environment, timeout=TIMEOUT)


def ready(echo: Echo) -> Tutorial:
    """Make what is missing; nothing of it counts as the tutorial's time. Raises ClusterError."""
    needs.prepare("tensorflow", echo=echo)
    python = os.environ.get("TRAININGRUN_TF_PYTHON")
    if not python:
        raise ClusterError("TensorFlow 1.14 has wheels for x86-64 only")
    return Tutorial(python, _pandas(python, echo))


def seconds_of(tutorial: Tutorial, folder: Path, *, classes: Sequence[str], images: int) -> float:
    """How long the tutorial's way takes for a folder with images and XML files, all with objects."""
    with TemporaryDirectory(prefix="trbench-") as name:
        csv, records = Path(name) / "labels.csv", Path(name) / "all.record"
        started = time.monotonic()
        made = tutorial.convert(folder, classes=classes, csv=csv, records=records)
        seconds = time.monotonic() - started
    if made > images:
        raise ClusterError(f"the tutorial's way made {made} records of {images} images")
    return seconds


def _pandas(python: str, echo: Echo) -> Path:
    """The folder with pandas, keyed by what is in it."""
    pinned = SCRIPTS / "requirements.txt"
    key = hashlib.sha256(pinned.read_bytes() + python.encode() + repr(INSTALL).encode()).hexdigest()[:16]
    target = default_cache().root.parent / "tutorial" / key
    done = target / ".complete"
    if not done.exists():
        echo("installing pandas for the tutorial's scripts")
        run([*INSTALL, f"--python={python}", f"--target={target}", "-r", pinned], timeout=600)
        done.touch()
    return target
