"""One split: every pair checked in order, records and CSV written, everything counted.

Invariant: order of checking is the order of paths, whatever the threads do, so output is deterministic.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trainingrun_agent.prep import images
from trainingrun_agent.prep.check import Checked, Checker
from trainingrun_agent.prep.findings import Finding, Findings, Split
from trainingrun_agent.prep.ordered import Bounds, ordered_map
from trainingrun_agent.prep.pairing import Pair, Pairing
from trainingrun_agent.prep.shards import Shard, ShardWriter, disk_full, shard_count
from trainingrun_agent.prep.tutorial_csv import TutorialCSV

BOUNDS = Bounds(workers=16, max_items=64, max_cost=40 << 20)
MAX_NAMES = 10_000
FLAGS = ("difficult", "occluded", "truncated")


@dataclass
class SplitResult:
    """Numbers of one split; `images` and `objects` are the ones kept, `listed` the image files found."""

    split: Split
    listed: int
    csv: Path
    images: int = 0
    objects: int = 0
    negatives: int = 0
    max_boxes: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    """Bad files with the code of their first finding; the files a tolerance is about."""
    per_class: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    shards: list[Shard] = field(default_factory=list)

    def add(self, checked: Checked) -> None:
        """Count one image."""
        for name in checked.seen:
            if name in self.seen or len(self.seen) < MAX_NAMES:
                self.seen[name] += 1
        if checked.record is None:
            self.bad[checked.path] = checked.findings[0].code
            return
        self.images += 1
        self.objects += len(checked.boxes)
        self.negatives += not checked.boxes
        self.max_boxes = max(self.max_boxes, len(checked.boxes))
        self.per_class.update(box.name for box in checked.boxes)
        for flag in FLAGS:
            self.flags[flag] += sum(getattr(box, flag) for box in checked.boxes)


def process(
    pairing: Pairing,
    checker: Checker,
    *,
    split: Split,
    scratch: Path,
    findings: Findings,
    stop: threading.Event,
    on_image: Callable[[], None],
) -> SplitResult:
    """Check all pairs and write them below `scratch`. Raises what storage raises, DiskFull, Interrupted."""
    result = SplitResult(split, pairing.images, scratch / f"{split}_labels.csv")
    _count_unpaired(result, pairing.findings, findings)
    count = shard_count(sum(pair.image.size for pair in pairing.pairs))
    checked_pairs = ordered_map(checker, pairing.pairs, cost=_cost, bounds=BOUNDS, stop=stop)
    try:
        with ShardWriter(scratch, split, count) as writer, result.csv.open("w", newline="", encoding="utf-8") as file:
            table = TutorialCSV(file)
            for checked in checked_pairs:
                result.add(checked)
                findings.extend(finding.of(split) for finding in checked.findings)
                if checked.record is not None:
                    writer.add(checked.path, checked.record)
                    table.add(checked)
                on_image()
            result.shards = writer.finish()
    except OSError as error:
        raise disk_full(error, result.csv) from error
    return result


def _count_unpaired(result: SplitResult, unpaired: list[Finding], findings: Findings) -> None:
    for finding in unpaired:
        result.bad[finding.file] = finding.code
    findings.extend(finding.of(result.split) for finding in unpaired)


def _cost(pair: Pair) -> int:
    return min(pair.image.size, images.MAX_BYTES) + pair.annotation.size
