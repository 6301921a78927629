"""Find duplicates: images with the same bytes in one split or both, and images that look alike across splits.

Invariant: nothing is left out of the data set; each image has one finding at most, and which one does not depend on the
order of shards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from trainingrun_agent.config import Source
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.codes.whole import (
    DUPLICATE_ACROSS_SPLITS,
    DUPLICATE_CONTRADICTS,
    DUPLICATE_IMAGE,
    EVAL_IMAGES_IN_TRAIN,
    NEAR_DUPLICATE_ACROSS_SPLITS,
)
from trainingrun_agent.prep.model.findings import Finding, Findings, Split
from trainingrun_agent.prep.sharding.fingerprints import Fingerprint, Fingerprints
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.progress import Progress, Steps

BANDS, BAND_BITS = 8, 16
MAX_DISTANCE = BANDS - 1
"""Bits of 128 in which look-alikes may differ. Two looks that differ in fewer bits than there are bands share a band,
so that only those are compared (multi-index hashing: Norouzi, Punjani, Fleet, CVPR 2012)."""
EVERY = 1000
MAX_COMPARED = 200
"""Images with the same band that are compared; when there are more, the band shows nothing but background."""


class Seen(NamedTuple):
    """An image of the data set."""

    split: Split
    path: str
    fingerprint: Fingerprint


def duplicates(
    images: Mapping[Split, Sequence[tuple[Sequence[Pair], Fingerprints]]], progress: Progress
) -> Iterator[Finding]:
    """A finding for every image that is the same as another one or looks like it; fingerprints are by shard."""
    counts = {split: sum(len(pairs) for pairs, _ in shards) for split, shards in images.items()}
    looked_at = counts["train"] if len(images) > 1 else 0
    steps = Steps(progress, "comparing", unit="images", total=sum(counts.values()) + looked_at, every=EVERY)
    times = Counter(
        sha256 for shards in images.values() for _, fingerprints in shards for sha256 in fingerprints.hashes()
    )
    # Looks are compared between splits only: with one split, few fingerprints have to be unpacked.
    wanted = times.keys() if len(images) > 1 else {sha256 for sha256, count in times.items() if count > 1}
    first: dict[bytes, Seen] = {}
    alone: dict[Split, list[Seen]] = {split: [] for split in images}
    for split, shards in images.items():  # train first
        found = [
            Seen(split, pairs[one.place].image.path, one)
            for pairs, fingerprints in shards
            for one in steps.counted(fingerprints.select(wanted))
        ]
        for seen in sorted(found, key=attrgetter("path")):
            other = first.setdefault(seen.fingerprint.sha256, seen)
            if other is seen:
                alone[split].append(seen)
            else:
                yield _same(seen, other)
    yield from _look_alikes(steps.counted(alone.get("train", ())), alone.get("eval", ()))


def in_both_splits(findings: Findings, evaluation: int, sources: Mapping[Split, Source]) -> list[Finding]:
    """A warning that counts the images for evaluation, of so many, that training has seen; `findings` name each."""
    same, like = (findings.counts[kind.code] for kind in (DUPLICATE_ACROSS_SPLITS, NEAR_DUPLICATE_ACROSS_SPLITS))
    if not same + like:
        return []
    fields: Fields = {"case": _overlap(sources), "count": same, "like": like, "of": evaluation}
    return [Finding(EVAL_IMAGES_IN_TRAIN, "", fields, split="eval", wide=True)]


def _overlap(sources: Mapping[Split, Source]) -> str:
    """Which folder is inside the other, if one is."""
    if len(sources) < 2:
        return "images"
    train, evaluation = (f"{source.bucket}/{source.key}".rstrip("/") + "/" for source in sources.values())
    if train != evaluation and evaluation.startswith(train):
        return "evalInside"
    return "trainInside" if train != evaluation and train.startswith(evaluation) else "images"


def _look_alikes(train: Iterable[Seen], evaluation: Sequence[Seen]) -> Iterator[Finding]:
    bands: dict[int, list[int]] = {}
    for place, seen in enumerate(evaluation):
        for band in _bands(seen.fingerprint.look):
            bands.setdefault(band, []).append(place)
    reported: set[int] = set()
    for seen in train:
        look = int.from_bytes(seen.fingerprint.look, "big")
        for place in {
            place for band in _bands(seen.fingerprint.look) for place in bands.get(band, ())[:MAX_COMPARED]
        } - reported:
            distance = (look ^ int.from_bytes(evaluation[place].fingerprint.look, "big")).bit_count()
            if distance <= MAX_DISTANCE:
                reported.add(place)
                yield _alike(evaluation[place], seen, distance)


def _bands(look: bytes) -> list[int]:
    """The parts of a difference hash, each with its number; none for an image without hash."""
    return [at << BAND_BITS | int.from_bytes(look[at : at + 2], "big") for at in range(0, len(look), 2)]


def _same(seen: Seen, other: Seen) -> Finding:
    agree = seen.fingerprint.labels == other.fingerprint.labels
    if seen.split != other.split:
        fields = {"case": "sameBoxes" if agree else "otherBoxes", "otherSplit": other.split, "other": other.path}
        return Finding(DUPLICATE_ACROSS_SPLITS, seen.path, fields, split=seen.split)
    kind = DUPLICATE_IMAGE if agree else DUPLICATE_CONTRADICTS
    return Finding(kind, seen.path, {"other": other.path}, split=seen.split)


def _alike(seen: Seen, other: Seen, distance: int) -> Finding:
    fields: Fields = {"otherSplit": other.split, "other": other.path, "bits": distance, "of": BANDS * BAND_BITS}
    return Finding(NEAR_DUPLICATE_ACROSS_SPLITS, seen.path, fields, split=seen.split)
