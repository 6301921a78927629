"""Choose the images that the report shows, fetch them again, and draw their boxes.

Invariant: the choice follows from the findings and samples alone, a bounded number of images is read, and whatever is
wrong with them, the rest is shown.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, zip_longest

from trainingrun_agent.ordered import Bounds, ordered_map
from trainingrun_agent.prep.image import box_repair, images
from trainingrun_agent.prep.image.intensity import Scaling
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError
from trainingrun_agent.prep.model.findings import MAX_FINDINGS, Finding, Findings
from trainingrun_agent.prep.report.page.pictures import Box, Shown, Wanted, draw
from trainingrun_agent.prep.source import fetch
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.image_labels import annotation_of
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.prep.split.dataset_split import DatasetSplit
from trainingrun_agent.progress import Progress, Steps
from trainingrun_agent.terms import Terms

CLASS = "class:"
PER_CODE, PER_FILE, PER_CLASS = 8, 2, 3
MAX_PICTURES, MAX_CLASSES = 120, 20
READS_AT_ONCE = 4
BOUNDS = Bounds(max_items=2 * READS_AT_ONCE, max_cost=64 << 20)


@dataclass(frozen=True)
class _Choice:
    """A picture to draw; without labels it has no boxes. `index` is the object that the finding is about."""

    split: DatasetSplit
    image: Entry
    labels: Pair | None
    group: str
    caption: str
    index: int | None = None


def gallery(
    splits: Sequence[DatasetSplit],
    findings: Findings,
    *,
    classes: Sequence[str],
    scaling: Scaling,
    terms: Terms,
    progress: Progress,
    stop: threading.Event,
) -> Iterator[Shown]:
    """Draw examples of findings and of classes. Raises what storage raises, Interrupted."""
    choices = _fairly(_choose(splits, findings.top(MAX_FINDINGS), classes, terms))
    with ThreadPoolExecutor(READS_AT_ONCE, "picture") as pool:
        shown = ordered_map(
            partial(_show, scaling=scaling),
            choices,
            cost=lambda choice: min(choice.image.size, images.MAX_BYTES),
            bounds=BOUNDS,
            stop=stop,
            pool=pool,
        )
        yield from Steps(progress, "reporting", unit="images", total=len(choices)).counted(shown)


def _fairly(choices: Iterable[_Choice]) -> list[_Choice]:
    """At most MAX_PICTURES, one of each group before a second of any."""
    groups: dict[tuple[str, str], list[_Choice]] = {}
    for choice in choices:
        groups.setdefault((choice.split.name, choice.group), []).append(choice)
    rounds = chain.from_iterable(zip_longest(*groups.values()))
    return list(islice((choice for choice in rounds if choice is not None), MAX_PICTURES))


def _choose(
    splits: Sequence[DatasetSplit], findings: Sequence[Finding], classes: Sequence[str], terms: Terms
) -> Iterator[_Choice]:
    for split in splits:
        of_split = [finding for finding in findings if finding.split == split.name]
        files = {finding.file for finding in of_split}
        samples = {path for name in classes[:MAX_CLASSES] for path in split.totals.samples.get(name, ())}
        found = _found(split, files | samples)
        yield from _of_findings(split, of_split, found, terms)
        if split.name == "train":
            for name in classes[:MAX_CLASSES]:
                for path in split.totals.samples.get(name, ())[:PER_CLASS]:
                    yield _Choice(split, *found[path], f"{CLASS}{name}", path)


def _of_findings(
    split: DatasetSplit, findings: Iterable[Finding], found: dict[str, tuple[Entry, Pair | None]], terms: Terms
) -> Iterator[_Choice]:
    taken: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        of_file, of_code = (finding.code, finding.file), (finding.code, "")
        if finding.file in found and taken[of_file] < PER_FILE and taken[of_code] < PER_CODE:
            taken.update((of_file, of_code))
            place = "" if finding.index is None else f"object {finding.index}: "
            caption = place + finding.seen(terms)
            yield _Choice(split, *found[finding.file], finding.code, caption, finding.index)


def _found(split: DatasetSplit, files: set[str]) -> dict[str, tuple[Entry, Pair | None]]:
    """Find images by their own path or by the path of their labels."""
    found: dict[str, tuple[Entry, Pair | None]] = {
        image.path: (image, None) for image in split.source.labels.pairing.unpaired if image.path in files
    }
    for pair in chain.from_iterable(split.shards):
        image, labels = pair
        if image.path in files or labels.path in files:
            found[labels.path] = found[image.path] = (image, pair)
    return found


def _show(choice: _Choice, *, scaling: Scaling) -> Shown:
    source = choice.split.source
    data = b""
    try:
        data = fetch.read(source.images, choice.image, limit=images.MAX_BYTES)
        drawn, upright = _boxes(choice, data)
    except UnusableError:
        drawn, upright = (), False
    wanted = Wanted(choice.split.name, choice.image.path, choice.caption, choice.group, drawn, upright, scaling)
    return draw(data, wanted)


def _boxes(choice: _Choice, data: bytes) -> tuple[tuple[Box, ...], bool]:
    """The boxes as labelled, as parts of the image's size; and whether the image is shown after EXIF rotation."""
    annotation = _annotation(choice)
    if annotation is None:
        return (), True
    with images.opened(data) as source:
        head = source.head
    try:
        upright = box_repair.rotation(head, annotation).upright
    except UnusableError:  # shown as it was labelled, so that one sees that it does not fit
        upright = False
    size = box_repair.shown_size(head, upright=upright)
    width, height = (annotation.width or size[0], annotation.height or size[1])
    drawn = [
        Box(
            (item.xmin / width, item.ymin / height, item.xmax / width, item.ymax / height),
            item.name,
            marked=item.index == choice.index or choice.group == f"{CLASS}{item.name}",
        )
        for item in annotation.in_pixels(width, height)
    ]
    return tuple(drawn), upright


def _annotation(choice: _Choice) -> Annotation | None:
    """The labels, None if there are none or they cannot be read."""
    if choice.labels is None:
        return None
    source = choice.split.source
    try:
        return annotation_of(source.labels.read(choice.labels), source.format)
    except UnusableError:
        return None
