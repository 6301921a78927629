"""Measure how much dirty data lowers a model's score: train the demo's network on clean photos and on defective ones.

Each set is prepared by us and by the tutorial's scripts. All are trained by the same driver with the same configuration
and evaluated on the same clean images. Initial weights are random, so each variant is trained several times, each time
on other photos, and the medians are compared.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prep_in_memory import Preparation
from trainingrun_agent.pipeline.build import build_pipeline_config
from trbench import tutorial_scripts
from trbench.defects import PLAN, UNREPAIRABLE, unchanged, with_defects
from trbench.measurements import Echo, Measurement
from trcluster import ClusterError
from trcluster.command import last_lines
from trdemo.tires import Photo, draw_set
from trimages.paths import REPOSITORY

RUNS = 3
IMAGES, EVAL_IMAGES = 64, 64
STEPS = 150
NETWORK = "ssd_mobilenet_v1_0.25_128"
MAX_BOXES = 4
MARGIN = 0.05
UNKNOWN = 0
"""Class id that the tutorial's scripts write for an unknown class; without one they abort."""
TRAINER = REPOSITORY / "images" / "trainer"


Make = Callable[[Path, list[Photo]], int]
"""A function that writes the records of photos to a path and returns their number."""


@dataclass(frozen=True, slots=True)
class Score:
    """Scores of one training; 0 if it ended without an evaluation."""

    ap50: float
    m_ap: float


def measure(echo: Echo) -> Iterator[Measurement]:
    """Measure the scores of each variant, then the differences that the defects make."""
    tutorial = tutorial_scripts.ready(echo)
    share = 1 - PLAN.count(unchanged) / len(PLAN)
    defective = f"{share:.0%} with a defect, {UNREPAIRABLE:.0%} that only a person can repair"
    echo(f"{IMAGES} photos, {defective}; {RUNS} trainings of {STEPS} steps each")
    variants: dict[str, Make] = {
        "clean, prepared by us": _prepared,
        "clean, tutorial's scripts": lambda path, photos: _untreated(tutorial, path, photos),
        "dirty, prepared by us": lambda path, photos: _prepared(path, with_defects(photos)),
        "dirty, tutorial's scripts": lambda path, photos: _untreated(tutorial, path, with_defects(photos)),
    }
    medians = []
    for name, make in variants.items():
        scores = [_score(tutorial.python, make, seed, echo) for seed in range(1, RUNS + 1)]
        for what, values in (
            ("AP@.5", [score.ap50 for score in scores]),
            ("mAP", [score.m_ap for score in scores]),
        ):
            yield Measurement(
                f"{what}: {name}", statistics.median(values), "", detail=" ".join(map("{:.3f}".format, values))
            )
        medians.append(statistics.median(score.ap50 for score in scores))
    clean, _, ours, theirs = medians
    yield Measurement("AP@.5 lost to defects, prepared by us", clean - ours, "", MARGIN)
    yield Measurement("AP@.5 with defects, tutorial's over ours", theirs / ours, "x", 1 - MARGIN)


def _score(python: str, make: Make, seed: int, echo: Echo) -> Score:
    """Train one variant once and return its scores."""
    with tempfile.TemporaryDirectory(prefix="trbench-") as name:
        root = Path(name)
        spec = _lay_out(root)
        evaluation = list(draw_set(EVAL_IMAGES, seed=100 + seed, prefix="eval"))
        _prepared(root / spec["evalRecords"][0], evaluation)
        images = make(root / spec["trainRecords"][0], list(draw_set(IMAGES, seed=seed, prefix="train")))
        (root / "spec.json").write_text(json.dumps({**spec, "trainImages": images, "evalImages": EVAL_IMAGES}))
        (root / "pipeline.config").write_text(_config())
        done = subprocess.run(
            [python, "-m", "trainingrun_trainer", "train", "--shared", name],
            env={**os.environ, "TF_PYTHONPATH": str(TRAINER)},
            capture_output=True,
            text=True,
            check=False,
        )
        if not (root / "done.json").exists():
            raise ClusterError(
                f"the trainer ended with exit code {done.returncode}: {last_lines(done.stdout + done.stderr)}"
            )
        found = json.loads((root / "done.json").read_text())
        echo(f"trained on {images} images: {found['message']}")
        return Score(found.get("ap50", 0.0), found.get("mAP", 0.0))


def _lay_out(root: Path) -> dict[str, Any]:
    """Prepare the folder of a training; returns its spec."""
    sys.path.append(str(REPOSITORY / "tests" / "trainer"))  # trainer_runs.py is part of the trainer's tests
    spec = importlib.import_module("trainer_runs").lay_out(root, steps=STEPS, save_every=STEPS, images=(1, 1))
    assert isinstance(spec, dict)
    return spec


def _config() -> str:
    """One pipeline.config for all variants, so that their different numbers of images do not change it."""
    return build_pipeline_config(
        network=NETWORK,
        num_classes=1,
        steps=STEPS,
        batch_size=8,
        learning_rate="0.01",
        shuffle_buffer=IMAGES,
        max_boxes_per_image=MAX_BOXES,
        pretrained=False,
    )


def _prepared(path: Path, photos: Iterable[Photo]) -> int:
    """Write the records that preparation makes of photos; returns their number."""
    with tempfile.TemporaryDirectory(prefix="trbench-") as scratch:
        prep = Preparation(Path(scratch), max_bad_files=f"{UNREPAIRABLE + 0.02:.0%}")
        for photo in photos:
            prep.add(photo.name.removesuffix(".jpg"), photo.jpeg, photo.xml)
        prep.add("eval", split="eval")
        made = prep.run()
        manifest = prep.document("MANIFEST.json")
        keys = [entry["key"] for entry in manifest["objects"] if entry["role"] == "trainRecords"]
        path.write_bytes(b"".join(prep.memory.objects[f"ml/{key}"] for key in keys))
        return made.train_images


def _untreated(tutorial: tutorial_scripts.Tutorial, path: Path, photos: Iterable[Photo]) -> int:
    """Write the records that the tutorial's scripts make of photos; returns their number."""
    with tempfile.TemporaryDirectory(prefix="trbench-") as name:
        folder = Path(name)
        for photo in photos:
            (folder / photo.name).write_bytes(photo.jpeg)
            (folder / photo.name).with_suffix(".xml").write_bytes(photo.xml)
        return tutorial.convert(folder, classes=("tire",), csv=folder / "labels.csv", records=path, unknown=UNKNOWN)
