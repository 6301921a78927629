"""Preparation: against the tutorial's way, against decoding alone, from S3, and how it grows with the number of images.

Every time is of a process of its own; what is compared ran in turns. Seconds of CPU are told beside it: they hardly
change with what else the machine does. Bytecode is there before the first one, as it is in the images.
"""

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

from trainingrun_agent.prep.sharding.pool import cores
from trbench import from_bucket, tutorial_way
from trbench.alone import Memory, alone
from trbench.decode_only import images_per_second
from trbench.endless import Drawn, EndlessBucket, list_endless, prepare_endless
from trbench.listing import requests_for
from trbench.numbers import Comparison, Echo, Number, compare
from trbench.photos import Photos, enlarged, make_bccd_times
from trbench.preparing import Outcome, shards_of
from trdemo.tires import draw_set

TIMES = 10
TUTORIAL_PAIRS, DECODE_PAIRS = 3, 7
SIZES = (1000, 10_000, 100_000)
ADDED = 10
LISTED = 100_000
DISTINCT, WIDTH = 64, 320
"""Photos that are repeated, and their width in pixels."""


def measure(echo: Echo) -> Iterator[Number]:
    """All of it, the quick parts first."""
    yield Number(f"requests to list {LISTED:,} keys", requests_for(LISTED), "", 120)
    with _folder() as folder, _bytecode(folder / "bytecode"):
        (folder / "photos").mkdir()
        photos = make_bccd_times(TIMES, folder / "photos")
        echo(f"{photos.what}: {photos.images} images, {photos.size / 1e6:.0f} MB")
        _convert(photos, folder)  # writes the bytecode
        yield from _against_decoding(photos, folder, echo)
        yield from _against_the_tutorial(photos, folder, echo)
        yield from from_bucket.measure(photos, lambda: _convert(photos, folder).outcome.seconds, echo)
        yield from _by_size(echo)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trbench-") as name:
        yield Path(name)


@contextmanager
def _bytecode(folder: Path) -> Iterator[None]:
    """Processes write it to a folder, and find it there."""
    before = dict(os.environ)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True)
class _Converted:
    """A process that prepared from folder to folder: seconds of its life, and of CPU for it and its workers."""

    outcome: Outcome
    life: float
    cpu: float


def _convert(photos: Photos, folder: Path) -> _Converted:
    with tempfile.TemporaryDirectory(prefix="out-", dir=folder) as out:
        argv = [sys.executable, "-m", "trbench.preparing", str(photos.folder), out, *photos.classes]
        before, started = _cpu(), monotonic()
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
        return _Converted(Outcome(**json.loads(done.stdout)), monotonic() - started, _cpu() - before)


def _cpu() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _against_the_tutorial(photos: Photos, folder: Path, echo: Echo) -> Iterator[Number]:
    tutorial = tutorial_way.ready(echo)
    seen = _Seen(echo)

    def theirs() -> float:
        before = _cpu()
        seconds = tutorial_way.seconds_of(tutorial, photos.folder, classes=photos.classes, images=photos.images)
        return seen("the tutorial's way", seconds, _cpu() - before)

    def ours() -> float:
        made = _convert(photos, folder)
        return seen("ours", made.life, made.cpu)

    found = compare(theirs, ours, pairs=TUTORIAL_PAIRS)
    yield Number("the tutorial's way, start-up included", found.ours, "s", detail=seen.cpu("the tutorial's way"))
    yield Number("ours, start-up included", found.theirs, "s", detail=seen.cpu("ours"))
    yield Number("as fast as the tutorial's way", found.ratio, "x", 6, photos.what, at_least=True)


def _against_decoding(photos: Photos, folder: Path, echo: Echo) -> Iterator[Number]:
    processes = cores()
    seen = _Seen(echo)
    least: list[float] = []

    def decoding() -> float:
        before = _cpu()
        seconds = photos.images / images_per_second(photos.folder, processes=processes)
        seen("decoding alone", seconds, _cpu() - before)
        least.append(photos.images / images_per_second(photos.folder, processes=processes, least=True))
        echo(f"the least that is asked: {least[-1]:.2f} s")
        return seconds

    def ours() -> float:
        made = _convert(photos, folder)
        return seen("ours without start-up", made.outcome.work, made.cpu)

    found: Comparison = compare(decoding, ours, pairs=DECODE_PAIRS)
    bare = statistics.median(least)
    yield Number("decoding alone", photos.images / found.ours, "images/s", detail=f"{processes} processes")
    yield Number("the least that is asked", photos.images / bare, "images/s", detail="decode, parse, hash, write")
    yield Number(
        "ours without start-up", photos.images / found.theirs, "images/s", detail=seen.cpu("ours without start-up")
    )
    yield Number("the least over decoding alone", found.ours / bare, "x", detail="what no preparation can be above")
    yield Number("as fast as the least", bare / found.theirs, "x")
    yield Number("as fast as decoding alone", found.ratio, "x", 0.7, at_least=True)


@dataclass
class _Seen:
    """Tells what each round took, and keeps its seconds of CPU, start-up included."""

    echo: Echo
    used: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, what: str, seconds: float, cpu: float) -> float:
        self.echo(f"{what}: {seconds:.2f} s, {cpu:.2f} s of CPU with start-up")
        self.used.setdefault(what, []).append(cpu)
        return seconds

    def cpu(self, what: str) -> str:
        """For the line of a number."""
        return f"{statistics.median(self.used[what]):.2f} s of CPU"


def _by_size(echo: Echo) -> Iterator[Number]:
    """Speed and memory by the number of images; ten more are added to the largest."""
    drawn = [Drawn(*enlarged(photo, width=WIDTH)) for photo in draw_set(DISTINCT, seed=1, prefix="bench")]
    mean = sum(len(photo.jpeg) for photo in drawn) / len(drawn)
    echo(f"generated photos of {mean / 1e3:.1f} KB")
    rates: list[float] = []
    for images in SIZES:
        with _folder() as folder:
            first, numbers = _one_size(folder, drawn, images, echo)
            yield from numbers
            rates.append(images / first.work)
            if images == SIZES[-1]:
                yield Number(
                    f"speed of {images:,} over {SIZES[-2]:,} images", rates[-1] / rates[-2], "x", 0.9, at_least=True
                )
                yield from _ten_more(folder, drawn, first, echo)


def _one_size(folder: Path, drawn: list[Drawn], images: int, echo: Echo) -> tuple[Outcome, list[Number]]:
    memory = Memory()
    made = alone(prepare_endless, folder, drawn, images, memory=memory)
    echo(f"{images:,} images: {made.seconds:.1f} s, {memory.peak:.0f} MiB")
    speed = Number(f"{images:,} images", images / made.work, "images/s", detail=_told(made))
    used = Number(f"memory for {images:,} images", memory.peak, "MiB", 300, f"{memory.most} processes")
    return made, [speed, used]


def _told(made: Outcome) -> str:
    each = 1e3 * made.cpu / made.images
    return f"{made.seconds:.1f} s with start-up, {each:.2f} ms of CPU for an image"


def _ten_more(folder: Path, drawn: list[Drawn], first: Outcome, echo: Echo) -> Iterator[Number]:
    images = SIZES[-1] + ADDED
    listing = alone(list_endless, folder, drawn, images)
    memory = Memory()
    second = alone(prepare_endless, folder, drawn, images, memory=memory)
    store = EndlessBucket(folder, drawn, images)
    old, new = (set(shards_of(store, each)) for each in (first, second))
    told = f"{second.seconds:.1f} s, of which {listing:.1f} s listing; the first time {first.seconds:.1f} s"
    echo(told)
    share = 100 * (second.seconds - listing) / first.seconds
    yield Number(f"{ADDED} more images, without the listing", share, "%", 10, told)
    yield Number(f"shards rewritten for {ADDED} more images", len(new - old), "", detail=f"of {len(new)}")
    yield Number(f"memory for {ADDED} more images", memory.peak, "MiB", 300, f"{memory.most} processes")
