"""What dirty data costs a model: the demo's network trained on a clean set, and on the same set with defects.

The dirty set is prepared by us and, as it is, the tutorial's way; all are trained by the same driver with the same
configuration and evaluated on the same clean images. The weights begin at random, so each variant is trained several
times, each time on other photos, and the medians are compared.
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

from prep_lab import Lab
from trainingrun_agent.pipeline.build import build_pipeline_config
from trbench import tutorial_way
from trbench.numbers import Echo, Number
from trbench.spoilt import LOST, PLAN, as_it_is, spoilt
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
"""The id of a class that the tutorial's scripts do not know, as their users are told to write it; else they abort."""
TRAINER = REPOSITORY / "images" / "trainer"


Make = Callable[[Path, list[Photo]], int]
"""Writes the records of photos, and returns how many."""


@dataclass(frozen=True, slots=True)
class Score:
    """Of one training; 0 for one that came to no evaluation."""

    ap50: float
    m_ap: float


def measure(echo: Echo) -> Iterator[Number]:
    """The scores of each variant, then what the dirt took from them."""
    tutorial = tutorial_way.ready(echo)
    share = 1 - PLAN.count(as_it_is) / len(PLAN)
    echo(
        f"{IMAGES} photos, {share:.0%} with a defect, {LOST:.0%} beyond mending; {RUNS} trainings of {STEPS} steps each"
    )
    variants: dict[str, Make] = {
        "clean, prepared by us": _prepared,
        "clean, the tutorial's way": lambda path, photos: _untreated(tutorial, path, photos),
        "dirty, prepared by us": lambda path, photos: _prepared(path, spoilt(photos)),
        "dirty, the tutorial's way": lambda path, photos: _untreated(tutorial, path, spoilt(photos)),
    }
    medians = []
    for name, make in variants.items():
        scores = [_score(tutorial.python, make, seed, echo) for seed in range(1, RUNS + 1)]
        for what, values in (
            ("AP@.5", [score.ap50 for score in scores]),
            ("mAP", [score.m_ap for score in scores]),
        ):
            yield Number(
                f"{what}: {name}", statistics.median(values), "", detail=" ".join(map("{:.3f}".format, values))
            )
        medians.append(statistics.median(score.ap50 for score in scores))
    clean, _, ours, theirs = medians
    yield Number("AP@.5 that the dirt takes from us", clean - ours, "", MARGIN)
    yield Number("AP@.5 that it leaves the tutorial's way, of ours", theirs / ours, "x", 1 - MARGIN)


def _score(python: str, make: Make, seed: int, echo: Echo) -> Score:
    """Train once."""
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
    """The folder and spec of a training."""
    sys.path.append(str(REPOSITORY / "tests" / "trainer"))  # it belongs to the trainer's tests
    spec = importlib.import_module("trainer_runs").lay_out(root, steps=STEPS, save_every=STEPS, images=(1, 1))
    assert isinstance(spec, dict)
    return spec


def _config() -> str:
    """One for all variants: what depends on the number of images must not differ."""
    return build_pipeline_config(
        network=NETWORK,
        num_classes=1,
        steps=STEPS,
        batch_size=8,
        learning_rate="0.01",
        train_images=IMAGES,
        max_boxes_per_image=MAX_BOXES,
        pretrained=False,
    )


def _prepared(path: Path, photos: Iterable[Photo]) -> int:
    """Write the records that preparation makes of photos; returns how many."""
    with tempfile.TemporaryDirectory(prefix="trbench-") as scratch:
        lab = Lab(Path(scratch), max_bad_files=f"{LOST + 0.02:.0%}")
        for photo in photos:
            lab.add(photo.name.removesuffix(".jpg"), photo.jpeg, photo.xml)
        lab.add("eval", split="eval")
        made = lab.run()
        manifest = lab.document("MANIFEST.json")
        keys = [entry["key"] for entry in manifest["objects"] if entry["role"] == "trainRecords"]
        path.write_bytes(b"".join(lab.memory.objects[f"ml/{key}"] for key in keys))
        return made.train_images


def _untreated(tutorial: tutorial_way.Tutorial, path: Path, photos: Iterable[Photo]) -> int:
    """Write the records that the tutorial's scripts make of photos; returns how many."""
    with tempfile.TemporaryDirectory(prefix="trbench-") as name:
        folder = Path(name)
        for photo in photos:
            (folder / photo.name).write_bytes(photo.jpeg)
            (folder / photo.name).with_suffix(".xml").write_bytes(photo.xml)
        return tutorial.convert(folder, classes=("tire",), csv=folder / "labels.csv", records=path, unknown=UNKNOWN)
