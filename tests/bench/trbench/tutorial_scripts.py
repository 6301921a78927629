"""Run the tutorial's scripts, xml_to_csv and then generate_tfrecord, to turn labelled photos into records.

Each is a process of the trainer's interpreter; start-up counts, because their users wait for it too. Both import
pandas, which the trainer's image lacks; it is installed into the cache once.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from trbench.measurements import Echo
from trcluster import ClusterError
from trcluster.command import run
from trimages.paths import REPOSITORY, default_cache
from trrunner import needs

SCRIPTS = REPOSITORY / "tests" / "bench" / "tutorial"
TIMEOUT = 3600.0
INSTALL = (
    *("uv", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:"),
    "--compile-bytecode",  # as pip does by default
)


@dataclass(frozen=True, slots=True)
class Tutorial:
    """An interpreter with TensorFlow 1.14 and the Object Detection API; the folder `packages` adds pandas."""

    python: str
    packages: Path

    def convert(
        self, folder: Path, *, classes: Sequence[str], csv: Path, records: Path, unknown: int | None = None
    ) -> int:
        """Convert the images and XML files of a folder into one TFRecord file; returns the number of records.

        `unknown` is the id for classes outside `classes`; without it, such a class aborts the script. Raises
        ClusterError with the script's output.
        """
        self._run("xml_to_csv.py", f"-i={folder}", f"-o={csv}")
        more = [] if unknown is None else [f"--unknown={unknown}"]
        names = f"--labels={','.join(classes)}"
        printed = self._run(
            "generate_tfrecord.py",
            names,
            f"--csv_input={csv}",
            f"--img_path={folder}",
            f"--output_path={records}",
            *more,
        )
        return int(printed)

    def _run(self, script: str, *arguments: str) -> str:
        argv = [self.python, str(SCRIPTS / script), *arguments]
        environment = {**os.environ, "TF_PYTHONPATH": str(self.packages), "PYTHONWARNINGS": "ignore"}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # its packages are compiled already
        return run(argv, env=environment, timeout=TIMEOUT)


def ready(echo: Echo) -> Tutorial:
    """Prepare interpreter and packages, which is not part of any measured time. Raises ClusterError."""
    needs.prepare("tensorflow", echo=echo)
    python = os.environ.get("TRAININGRUN_TF_PYTHON")
    if not python:
        raise ClusterError("TensorFlow 1.14 has wheels for x86-64 only")
    return Tutorial(python, _pandas(python, echo))


def seconds_of(tutorial: Tutorial, folder: Path, *, classes: Sequence[str], images: int) -> float:
    """Convert a folder, in which every image has objects, with the tutorial's scripts; returns the seconds it took."""
    with TemporaryDirectory(prefix="trbench-") as name:
        csv, records = Path(name) / "labels.csv", Path(name) / "all.record"
        started = time.monotonic()
        made = tutorial.convert(folder, classes=classes, csv=csv, records=records)
        seconds = time.monotonic() - started
    if made > images:
        raise ClusterError(f"the tutorial's scripts wrote {made} records for {images} images")
    return seconds


def _pandas(python: str, echo: Echo) -> Path:
    """Install pandas into a folder of the cache, unless it is there; the folder's name depends on its content."""
    pinned = SCRIPTS / "requirements.txt"
    key = hashlib.sha256(pinned.read_bytes() + python.encode() + repr(INSTALL).encode()).hexdigest()[:16]
    target = default_cache().root.parent / "tutorial" / key
    done = target / ".complete"
    if not done.exists():
        echo("installing pandas for the tutorial's scripts")
        run([*INSTALL, f"--python={python}", f"--target={target}", "-r", pinned], timeout=600)
        done.touch()
    return target
