"""Measure preparation: against the tutorial's scripts, against decoding alone, from S3, and by the number of images.

Each time is that of a separate process, and things that are compared run alternately. CPU seconds are printed as well,
because other work on the machine hardly changes them. Bytecode exists before the first process, as in the images.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from trainingrun_agent.prep.sharding.pool import cores
from trainingrun_agent.storage.folder_store import FolderStore
from trbench import from_bucket, tutorial_scripts
from trbench.converting import Seen, bytecode, convert, cpu_seconds, temporary_folder
from trbench.decode_only import images_per_second
from trbench.generated_bucket import RepeatedPhoto, list_generated, prepare_generated
from trbench.listing import requests_for
from trbench.measurements import Comparison, Echo, Measurement, compare
from trbench.own_process import Memory, in_own_process
from trbench.photos import Photos, enlarged, write_photos
from trbench.timed_prepare import Outcome, shards_of
from trdemo.tires import draw_set

TIMES = 10
TUTORIAL_PAIRS, DECODE_PAIRS = 3, 7
SIZES = (1000, 10_000, 100_000)
ADDED = 10
LISTED = 100_000
DISTINCT, WIDTH = 64, 320
"""Number of different photos, which are repeated, and their width in pixels."""


def measure(echo: Echo) -> Iterator[Measurement]:
    """Run all measurements, the quick ones first."""
    yield Measurement(f"requests to list {LISTED:,} keys", requests_for(LISTED), "", 120)
    with temporary_folder() as folder, bytecode(folder / "bytecode"):
        (folder / "photos").mkdir()
        photos = write_photos(TIMES, folder / "photos")
        echo(f"{photos.what}: {photos.images} images, {photos.size / 1e6:.0f} MB")
        convert(photos, folder)  # writes the bytecode
        yield from _against_decoding(photos, folder, echo)
        yield from _against_the_tutorial(photos, folder, echo)
        yield from from_bucket.measure(photos, lambda: convert(photos, folder).outcome.seconds, echo)
        yield from _by_size(echo)


def _against_the_tutorial(photos: Photos, folder: Path, echo: Echo) -> Iterator[Measurement]:
    tutorial = tutorial_scripts.ready(echo)
    seen = Seen(echo)

    def theirs() -> float:
        before = cpu_seconds()
        seconds = tutorial_scripts.seconds_of(tutorial, photos.folder, classes=photos.classes, images=photos.images)
        return seen("the tutorial's scripts", seconds, cpu_seconds() - before)

    def ours() -> float:
        made = convert(photos, folder)
        return seen("ours", made.life, made.cpu)

    found = compare(theirs, ours, pairs=TUTORIAL_PAIRS)
    yield Measurement(
        "the tutorial's scripts, start-up included", found.ours, "s", detail=seen.cpu("the tutorial's scripts")
    )
    yield Measurement("ours, start-up included", found.theirs, "s", detail=seen.cpu("ours"))
    yield Measurement("speed over the tutorial's scripts", found.ratio, "x", 6, photos.what, at_least=True)


def _against_decoding(photos: Photos, folder: Path, echo: Echo) -> Iterator[Measurement]:
    processes = cores()
    seen = Seen(echo)
    minimal: list[float] = []

    def decoding() -> float:
        before = cpu_seconds()
        seconds = photos.images / images_per_second(photos.folder, processes=processes)
        seen("decoding alone", seconds, cpu_seconds() - before)
        minimal.append(photos.images / images_per_second(photos.folder, processes=processes, minimal=True))
        echo(f"minimal work: {minimal[-1]:.2f} s")
        return seconds

    def ours() -> float:
        made = convert(photos, folder)
        return seen("ours without start-up", made.outcome.work, made.cpu)

    found: Comparison = compare(decoding, ours, pairs=DECODE_PAIRS)
    bare = statistics.median(minimal)
    yield Measurement("decoding alone", photos.images / found.ours, "images/s", detail=f"{processes} processes")
    yield Measurement("minimal work", photos.images / bare, "images/s", detail="decode, parse, hash, write")
    yield Measurement(
        "ours without start-up", photos.images / found.theirs, "images/s", detail=seen.cpu("ours without start-up")
    )
    yield Measurement("minimal work over decoding alone", found.ours / bare, "x", detail="upper bound for preparation")
    yield Measurement("speed over minimal work", bare / found.theirs, "x")
    yield Measurement("speed over decoding alone", found.ratio, "x", 0.7, at_least=True)


def _by_size(echo: Echo) -> Iterator[Measurement]:
    """Measure speed and memory for each number of images; then add ten images to the largest set."""
    drawn = [RepeatedPhoto(*enlarged(photo, width=WIDTH)) for photo in draw_set(DISTINCT, seed=1, prefix="bench")]
    mean = sum(len(photo.jpeg) for photo in drawn) / len(drawn)
    echo(f"generated photos of {mean / 1e3:.1f} KB")
    rates: list[float] = []
    for images in SIZES:
        with temporary_folder() as folder:
            first, numbers = _one_size(folder, drawn, images, echo)
            yield from numbers
            rates.append(images / first.work)
            if images == SIZES[-1]:
                yield Measurement(
                    f"speed of {images:,} over {SIZES[-2]:,} images", rates[-1] / rates[-2], "x", 0.9, at_least=True
                )
                yield from _ten_more(folder, drawn, first, echo)


def _one_size(folder: Path, drawn: list[RepeatedPhoto], images: int, echo: Echo) -> tuple[Outcome, list[Measurement]]:
    memory = Memory()
    made = in_own_process(prepare_generated, folder, drawn, images, memory=memory)
    echo(f"{images:,} images: {made.seconds:.1f} s, {memory.peak:.0f} MiB")
    speed = Measurement(f"{images:,} images", images / made.work, "images/s", detail=_detail(made))
    used = Measurement(f"memory for {images:,} images", memory.peak, "MiB", 300, f"{memory.max_processes} processes")
    return made, [speed, used]


def _detail(made: Outcome) -> str:
    each = 1e3 * made.cpu / made.images
    return f"{made.seconds:.1f} s with start-up, {each:.2f} CPU milliseconds per image"


def _ten_more(folder: Path, drawn: list[RepeatedPhoto], first: Outcome, echo: Echo) -> Iterator[Measurement]:
    images = SIZES[-1] + ADDED
    listing = in_own_process(list_generated, folder, drawn, images)
    memory = Memory()
    second = in_own_process(prepare_generated, folder, drawn, images, memory=memory)
    store = FolderStore(folder)
    old, new = (set(shards_of(store, each)) for each in (first, second))
    detail = f"{second.seconds:.1f} s, of which {listing:.1f} s listing; first preparation {first.seconds:.1f} s"
    echo(detail)
    share = 100 * (second.seconds - listing) / first.seconds
    yield Measurement(f"{ADDED} more images, without the listing", share, "%", 10, detail)
    yield Measurement(f"shards rewritten for {ADDED} more images", len(new - old), "", detail=f"of {len(new)}")
    yield Measurement(f"memory for {ADDED} more images", memory.peak, "MiB", 300, f"{memory.max_processes} processes")
