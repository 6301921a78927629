"""Measure preparation by the size of the photos: against doing the same to their pixels alone, and the tutorial's way.

The tutorial's records hold whole photos, which every epoch of training decodes. So the speed at which the Object
Detection API reads records for training is compared too. Each round runs the programs one right after the other, each
time another one first; ratios are the medians of the rounds' ratios.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.prep.image.images import LOOKED_AT
from trainingrun_agent.prep.sharding.pool import cores
from trainingrun_agent.storage.folder_store import FolderStore
from trbench import from_bucket
from trbench.converting import Converted, bytecode, convert, convert_into, cpu_seconds, temporary_folder
from trbench.measurements import Echo, Measurement
from trbench.own_process import Memory
from trbench.photos import Photos
from trbench.sized_photos import SIZES, PhotoSize, write_photos
from trbench.timed_prepare import MAX_SIDE, shards_of
from trbench.tutorial_scripts import Tutorial, ready
from trcluster import ClusterError
from trcluster.command import run
from trimages.paths import REPOSITORY

BOXES = (1, 30)
ROUNDS = 3
LIMITS = {"0.3 MP": 0.45, "2 MP": 0.85, "12 MP": 0.9}
"""Least speeds, as parts of the bound's."""
MEMORY_LIMIT = 300
FROM_BUCKET = "2 MP"
BUCKET_PAIRS = 3
NETWORK = "ssd_inception_v2"
SHUFFLED = 32
"""Records among which the API picks the next one: few, so that it soon decodes."""
READER = REPOSITORY / "tests" / "bench" / "input_images_per_second.py"
TIMEOUT = 900.0


def measure(echo: Echo) -> Iterator[Measurement]:
    """Measure each size with few and with many boxes, then from a bucket; prints a table at the end."""
    tutorial = ready(echo)
    table = ["size, boxes | preparation, s: ours, tutorial | bytes a record | images/s read for training"]
    with temporary_folder() as folder, bytecode(folder / "bytecode"):
        for size in SIZES:
            for boxes in BOXES:
                photos = write_photos(size, boxes, folder / f"{size.name}, {boxes}")
                echo(photos.what)
                one = _Case(size, photos, folder, tutorial, f"{size.name}, {boxes} boxes", echo)
                yield from one.measure()
                table.append(one.row())
                if size.name == FROM_BUCKET and boxes == BOXES[0]:
                    yield from _from_bucket(photos, folder, echo)
                one.remove()
    for row in table:
        echo(row)


def _from_bucket(photos: Photos, folder: Path, echo: Echo) -> Iterator[Measurement]:
    def local() -> float:
        return convert(photos, folder).outcome.seconds

    yield from from_bucket.measure_apart(photos, local, echo, pairs=BUCKET_PAIRS)


@dataclass
class _Ours:
    """What several preparations took."""

    work: list[float] = field(default_factory=list)
    life: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, made: Converted) -> None:
        """Add one."""
        self.work.append(made.outcome.work)
        self.life.append(made.life)
        self.cpu.append(made.cpu)


@dataclass
class _Case:
    """Photos of a size with so many boxes, and what was measured with them."""

    size: PhotoSize
    photos: Photos
    folder: Path
    tutorial: Tutorial
    name: str
    echo: Echo
    ours: _Ours = field(default_factory=_Ours)
    bound: _Ours = field(default_factory=_Ours)
    theirs: list[float] = field(default_factory=list)
    bytes_: tuple[float, float] = (0.0, 0.0)
    rates: tuple[float, float] = (0.0, 0.0)

    def measure(self) -> Iterator[Measurement]:
        """Measure everything."""
        out = self.folder / f"{self.name} prepared"
        out.mkdir()
        csv, tutorials = out / "labels.csv", out / "all.record"
        memory = Memory()
        ours = self._our_records(out, memory)
        measured: list[Callable[[], None]] = [
            self._run_bound,
            lambda: self.ours.add(convert(self.photos, self.folder)),
            lambda: self._run_tutorial(csv, tutorials),
        ]
        for number in range(ROUNDS):
            for one in measured[number:] + measured[:number]:
                one()
            self._show()
        sizes = sum(path.stat().st_size for path in ours), tutorials.stat().st_size
        self.bytes_ = sizes[0] / self.photos.images, sizes[1] / self.photos.images
        self.rates = self._images_per_second(out, ours), self._images_per_second(out, [tutorials])
        yield from self._measurements(memory)
        for path in (*ours, tutorials):
            path.unlink()

    def row(self) -> str:
        """The line of the table."""
        ours, theirs = statistics.median(self.ours.life), statistics.median(self.theirs)
        return (
            f"{self.name} | {ours:.1f}, {theirs:.1f}: {ours / theirs:.2f} x"
            f" | {self.bytes_[0] / 1e6:.2f} MB, {self.bytes_[1] / 1e6:.2f} MB: {self.bytes_[0] / self.bytes_[1]:.2f} x"
            f" | {self.rates[0]:.1f}, {self.rates[1]:.1f}: {self.rates[0] / self.rates[1]:.2f} x"
        )

    def remove(self) -> None:
        """Remove the photos, which take much disk."""
        for path in self.photos.folder.iterdir():
            path.unlink()

    def _measurements(self, memory: Memory) -> Iterator[Measurement]:
        limit = LIMITS[self.size.name]
        images = self.photos.images
        work, life, theirs = (statistics.median(one) for one in (self.ours.work, self.ours.life, self.theirs))
        cpu = f"CPU seconds: {statistics.median(self.ours.cpu):.2f}, bound {statistics.median(self.bound.cpu):.2f}"
        without = statistics.median(_ratios(self.bound.work, self.ours.work))
        detail = f"{images / work:.1f} images/s; {cpu}"
        yield Measurement(f"{self.name}: speed over the bound", without, "x", limit, detail, at_least=True)
        whole = statistics.median(_ratios(self.bound.life, self.ours.life))
        detail = f"{images / life:.1f} images/s of {images}"
        yield Measurement(f"{self.name}: the same, start-up included", whole, "x", limit, detail, at_least=True)
        against = statistics.median(_ratios(self.theirs, self.ours.life))
        yield Measurement(
            f"{self.name}: speed over the tutorial", against, "x", detail=f"{images / theirs:.1f} images/s"
        )
        size = self.bytes_[0] / self.bytes_[1]
        yield Measurement(f"{self.name}: bytes over the tutorial's", size, "x", detail=f"{self.bytes_[0] / 1e3:.0f} kB")
        rate = self.rates[0] / self.rates[1]
        detail = f"{self.rates[0]:.1f} images/s read for training"
        yield Measurement(f"{self.name}: reading over the tutorial's", rate, "x", detail=detail)
        detail = f"{memory.max_processes} processes"
        yield Measurement(f"{self.name}: memory", memory.peak, "MiB", MEMORY_LIMIT, detail)

    def _our_records(self, out: Path, memory: Memory) -> list[Path]:
        """Prepare once; this also writes the bytecode and brings the photos into memory, for all programs."""
        made = convert_into(self.photos, out, memory=memory)
        if made.outcome.images != self.photos.images:
            raise ClusterError(f"{made.outcome.images} of {self.photos.images} photos were prepared")
        return [out / key for key in shards_of(FolderStore(out), made.outcome)]

    def _run_bound(self) -> None:
        numbers = map(str, (cores(), MAX_SIDE, LOOKED_AT))
        argv = [sys.executable, "-m", "trbench.scaled_decode", str(self.photos.folder), *numbers]
        before, started = cpu_seconds(), monotonic()
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
        self.bound.life.append(monotonic() - started)
        self.bound.work.append(float(done.stdout))
        self.bound.cpu.append(cpu_seconds() - before)

    def _run_tutorial(self, csv: Path, records: Path) -> None:
        started = monotonic()
        made = self.tutorial.convert(self.photos.folder, classes=self.photos.classes, csv=csv, records=records)
        self.theirs.append(monotonic() - started)
        if made != self.photos.images:
            raise ClusterError(f"the tutorial's scripts wrote {made} records for {self.photos.images} photos")

    def _images_per_second(self, out: Path, records: Sequence[Path]) -> float:
        """How fast the API reads records for training."""
        config, label_map = out / "pipeline.config", out / "label_map.pbtxt"
        config.write_text(
            build_pipeline_config(
                network=NETWORK,
                num_classes=len(self.photos.classes),
                steps=1000,
                batch_size=1,  # the API decodes eight batches at once, and a photo takes 150 MB when it is decoded
                learning_rate="0.001",
                shuffle_buffer=SHUFFLED,
                max_boxes_per_image=max(BOXES),
                pretrained=False,
            )
        )
        items = enumerate(self.photos.classes, start=1)
        label_map.write_text("".join(f"item {{\n  id: {number}\n  name: '{name}'\n}}\n" for number, name in items))
        argv = [self.tutorial.python, str(READER), str(config), str(label_map), *map(str, records)]
        printed = run(argv, env={**os.environ, "PYTHONWARNINGS": "ignore"}, timeout=TIMEOUT)
        return float(printed.splitlines()[-1])

    def _show(self) -> None:
        ours, bound = self.ours, self.bound
        self.echo(
            f"{self.name}: bound {bound.work[-1]:.2f} s ({bound.cpu[-1]:.2f} CPU seconds), ours {ours.work[-1]:.2f} s,"
            f" with start-up {ours.life[-1]:.2f} s ({ours.cpu[-1]:.2f}), the tutorial {self.theirs[-1]:.2f} s"
        )


def _ratios(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(first, second, strict=True)]
