"""Read a folder with the program as users start it, and compare what it found with what the labels say."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trcorpus.sets import Row
from trcorpus.truth import Box, Truth, size_of

UNUSABLE = 2  # the program's exit code for data that it cannot use


@dataclass(frozen=True)
class Outcome:
    """`wrong` is what differs from the truth; it is empty where the folder was refused as its row says."""

    line: str
    wrong: list[str] = field(default_factory=list)


def read(row: Row, folder: Path, work: Path) -> Outcome:
    labelled = row.labelled(folder)
    expected = as_trained(folder, row.inside, {name: labelled[name] for name in labelled if name not in row.unusable})
    counts = Counter(name for boxes in expected.values() for name, *_ in boxes)
    classes = row.classes or sorted(counts)
    status, shown, splits = _program("doctor", folder / row.inside, classes, work, ())
    if not re.search(row.says, shown):
        return Outcome(f"WRONG: nothing about {row.says!r}", [shown])
    if status == UNUSABLE and (not row.truth or row.may_refuse):
        return Outcome(f"refused: {_reason(shown)}")
    found = sum((Counter(split["perClass"]) for split in splits.values()), Counter())
    wrong = _other_counts(found, {name: counts[name] for name in classes})
    wrong += _other_counts({"images": sum(split["images"] for split in splits.values())}, {"images": len(expected)})
    if wrong:
        return Outcome(f"WRONG: {_reason(shown) if status == UNUSABLE else '; '.join(wrong)}", [*wrong, shown])
    if len(splits) > 1:
        return Outcome(f"right, divided: {len(expected)} images, {counts.total()} objects")
    _program("convert", folder / row.inside, classes, work, ("--max-bad-files", "100%", "--out", str(work / "out")))
    if differing := _differing(_converted(work / "out" / "train_labels.csv"), expected):
        return Outcome("WRONG: other boxes", differing)
    return Outcome(f"right: {len(expected)} images, {counts.total()} objects")


def _other_counts(found: dict[str, int], labelled: dict[str, int]) -> list[str]:
    return [
        f"{name}: {found.get(name, 0)}, and the labels say {count}"
        for name, count in labelled.items()
        if found.get(name, 0) != count
    ]


def as_trained(folder: Path, inside: str, truth: Truth) -> Truth:
    """Paths below the folder that is given; boxes as shares of the image, clipped to it, no empty and no equal ones."""
    boxes: Truth = {}
    for name, pixels in truth.items():
        width, height = size_of(folder / name)
        shares = {_share(box, width, height) for box in pixels}
        boxes[Path(name).relative_to(inside).as_posix()] = [
            box for box in shares if box[1] < box[3] and box[2] < box[4]
        ]
    return boxes


def _share(box: Box, width: int, height: int) -> Box:
    name, left, top, right, bottom = box
    xs = [min(max(value / width, 0.0), 1.0) for value in (left, right)]
    ys = [min(max(value / height, 0.0), 1.0) for value in (top, bottom)]
    return name, min(xs), min(ys), max(xs), max(ys)


def _program(
    command: str, folder: Path, classes: Sequence[str], work: Path, options: Sequence[str]
) -> tuple[int, str, Any]:
    """The exit code, all that is printed, and the report's parts by split."""
    report = work / f"{command}.json"
    argv = [sys.executable, "-m", "trainingrun_agent", command, str(folder), "--classes", ",".join(classes), *options]
    end = subprocess.run(
        [*argv, "--quiet", "--json", str(report)], capture_output=True, text=True, check=False, env=_environment()
    )
    splits = json.loads(report.read_bytes()).get("splits", {}) if report.exists() else {}
    return end.returncode, end.stdout + end.stderr, splits


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _reason(shown: str) -> str:
    """The line that says why, without the folder's place."""
    _, _, reason = shown.partition("This data cannot be used for training ")
    return reason.partition("\n")[0][:160] or shown


def _converted(file: Path) -> Truth:
    """The boxes of a converted data set, as shares of the image."""
    boxes: Truth = defaultdict(list)
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            x, y = float(row["width"]), float(row["height"])
            corners = float(row["xmin"]) / x, float(row["ymin"]) / y, float(row["xmax"]) / x, float(row["ymax"]) / y
            boxes[row["filename"]].append((row["class"], *corners))
    return boxes


def _differing(found: Truth, expected: Truth, tolerance: float = 0.01) -> list[str]:
    """Where the boxes of an image are others; the program rounds to pixels, and small images have few."""
    lines = []
    for name, boxes in expected.items():
        left = list(found.get(name, []))
        for box in boxes:
            near = [other for other in left if other[0] == box[0] and _distance(other, box) <= tolerance]
            if near:
                left.remove(min(near, key=lambda other: _distance(other, box)))
            else:
                lines.append(f"{name}: no box like {box} in {found.get(name, [])}")
        lines += [f"{name}: {other} is not in the labels" for other in left]
    return lines


def _distance(one: Box, other: Box) -> float:
    return max(abs(a - b) for a, b in zip(one[1:], other[1:], strict=True))
