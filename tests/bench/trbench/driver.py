"""Compare our training loop with the Object Detection API's model_main, in real TensorFlow 1.14.

Both train the same network on the same records with the same pipeline.config, save and evaluate at the same steps, and
end with a last save and a last evaluation. Seconds are the lifetime of the process, imports included. The speed of the
steps alone is compared too, as both write it to their event files, in a training that saves and evaluates at the end.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trbench.measurements import Echo, Measurement, compare
from trcluster import ClusterError
from trcluster.command import run
from trimages.paths import REPOSITORY
from trrunner import needs

TIMEOUT_SECONDS = 1800.0
TRAINER = REPOSITORY / "images" / "trainer"
BENCH = REPOSITORY / "tests" / "bench"
DEMO = "ssd_mobilenet_v1_0.25_128"


@dataclass(frozen=True, slots=True)
class Case:
    """One training that both programs do; `every` is the distance of saves, each with an evaluation, in steps."""

    name: str
    network: str
    steps: int
    every: int
    batch_size: int
    pairs: int
    limit: float
    images: tuple[int, int] = (120, 20)


INCEPTION = "ssd_inception_v2"
WHOLE = (
    Case("demo's network, evaluation every 100 steps", DEMO, steps=300, every=100, batch_size=8, pairs=5, limit=0.7),
    Case("demo's network, evaluation every 15 steps", DEMO, steps=150, every=15, batch_size=8, pairs=3, limit=0.5),
    Case("inception, evaluation every 100 steps", INCEPTION, steps=200, every=100, batch_size=1, pairs=3, limit=0.85),
)
STEPS_ALONE = Case("steps a second, demo's network", DEMO, steps=600, every=600, batch_size=8, pairs=3, limit=0.98)


@dataclass(slots=True)
class Timed:
    """Runs a program for a case: seconds of its last run, CPU seconds of all runs."""

    case: Case
    python: str
    argv: Callable[[Path, dict[str, Any]], list[str]]
    cpu: float = 0.0
    speeds: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Lay out a folder, run the program in it; returns the seconds that it took."""
        with tempfile.TemporaryDirectory(prefix="trbench-") as name:
            root = Path(name)
            spec = _lay_out(root, self.case)
            (root / "spec.json").write_text(json.dumps(spec))
            before, started = _cpu_seconds(), time.monotonic()
            run([self.python, *self.argv(root, spec)], env=_environment(), timeout=TIMEOUT_SECONDS)
            seconds = time.monotonic() - started
            self.cpu += _cpu_seconds() - before
            if not (root / "model" / f"model.ckpt-{self.case.steps}.index").exists():
                raise ClusterError(f"a training of {self.case.steps} steps ended without its last checkpoint")
            if self.case is STEPS_ALONE:
                return 1 / self._steps_per_second(root)
            return seconds

    def _steps_per_second(self, root: Path) -> float:
        argv = [self.python, str(BENCH / "steps_per_second.py"), str(root / "model")]
        printed = run(argv, env=_environment(), timeout=TIMEOUT_SECONDS)
        return float(printed.splitlines()[-1])


def measure(echo: Echo) -> Iterator[Measurement]:
    """Measure our training time over that of model_main, and our speed of steps over that of model_main."""
    needs.prepare("tensorflow", echo=echo)
    python = os.environ.get("TRAININGRUN_TF_PYTHON")
    if not python:
        raise ClusterError("TensorFlow 1.14 has wheels for x86-64 only")
    for case in WHOLE:
        ours, stock = Timed(case, python, _ours), Timed(case, python, _model_main)
        found = compare(ours, stock, pairs=case.pairs)
        detail = f"ours {found.ours:.1f} s, model_main {found.theirs:.1f} s; CPU seconds: {ours.cpu / stock.cpu:.2f} x"
        yield Measurement(case.name, found.ratio, "x", case.limit, detail)
    case = STEPS_ALONE
    found = compare(Timed(case, python, _ours), Timed(case, python, _model_main), pairs=case.pairs)
    detail = f"ours {1 / found.ours:.1f}, model_main {1 / found.theirs:.1f}"
    yield Measurement(case.name, 1 / found.ratio, "x", case.limit, detail, at_least=True)


def _ours(root: Path, spec: dict[str, Any]) -> list[str]:
    return ["-m", "trainingrun_trainer", "train", "--shared", str(root)]


def _model_main(root: Path, spec: dict[str, Any]) -> list[str]:
    return [str(BENCH / "stock_model_main.py"), str(root), json.dumps(spec)]


def _lay_out(root: Path, case: Case) -> dict[str, Any]:
    sys.path.append(str(REPOSITORY / "tests" / "trainer"))  # trainer_runs.py is part of the trainer's tests
    lay_out = importlib.import_module("trainer_runs").lay_out
    spec: dict[str, Any] = lay_out(
        root,
        steps=case.steps,
        save_every=case.every,
        images=case.images,
        network=case.network,
        batch_size=case.batch_size,
    )
    return {**spec, "evalEverySteps": case.every}


def _environment() -> dict[str, str]:
    return {**os.environ, "TF_PYTHONPATH": str(TRAINER)}


def _cpu_seconds() -> float:
    """CPU seconds of all processes that have ended; other work on the machine changes them less than elapsed time."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
