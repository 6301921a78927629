"""Paths as they are compared, and the words in the names of folders.

Invariant: pure functions of a path; nothing is known about which files there are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote

from trainingrun_agent.prep.source.listing import IMAGE_SUFFIXES

_IMAGE_WORDS = (
    "data dataset frames image images img imgs jpegimages jpeg jpg photo photos pic pics picture pictures png"
)
_LABEL_WORDS = (
    "ann anno annos annot annotation annotations annots bbox bboxes boxes coco csv gt groundtruth json jsons label "
    "labelme labels txt txts voc xml xmls yolo"
)
_CONTAINERS = frozenset(f"{_IMAGE_WORDS} {_LABEL_WORDS}".split())
_LABELS = frozenset(("annotation", "annotations", "groundtruth", "gt", "label", "labels"))
_MASKS = frozenset(
    ("mask", "masks", "panoptic", "segmentation", "segmentationclass", "segmentationobject", "trimap", "trimaps")
)
_MASK_NAME = re.compile("(.+?)[-_. ](?:mask|masks|seg|segmentation|trimap|gt)")
_TOKENS = re.compile(r"[^\W\d_]+|\d+")


def fold(path: str) -> str:
    """A path in lower case, normal Unicode form and with forward slashes, for comparison."""
    folded = unicodedata.normalize("NFC", path.replace("\\", "/")).casefold()
    while folded.startswith(("./", "/")):
        folded = folded[folded.index("/") + 1 :]
    return folded


def loose(path: str) -> str:
    """A path for comparison, whether or not it is encoded as in an address: `a%20b` and `a+b` are `a b`."""
    if "%" in path or "+" in path:
        path = unquote(path, errors="replace").replace("+", " ")
    return fold(path)


def stem(name: str) -> str:
    """A file name without the suffix of an image; other dots belong to the name."""
    head, dot, suffix = name.rpartition(".")
    return head if dot and f".{suffix}" in IMAGE_SUFFIXES else name


def bare(name: str) -> str:
    """A file name without any suffix of an image: `a.webp.jpg` is `a`."""
    while (shorter := stem(name)) != name:
        name = shorter
    return name


@lru_cache(maxsize=1 << 12)
def tokens(folder: str) -> tuple[str, ...]:
    """The words and numbers in the name of a folder."""
    return tuple(_TOKENS.findall(folder))


def own_parts(folders: Sequence[str]) -> tuple[str, ...]:
    """What the names of folders say besides `images` or `labels`, without those that say nothing else."""
    return tuple(part for folder in folders if (part := own_part(folder)))


def own_part(folder: str) -> str:
    """What the name of a folder says besides `images` or `labels`: `train` of `JPEGImages-train`; may be empty."""
    return "-".join(token for token in tokens(folder) if token not in _CONTAINERS)


def original_of_mask(path: str) -> str | None:
    """The name of the image that a mask belongs to, if the path is that of a mask; compared with `bare`."""
    folder, _, name = path.rpartition("/")
    name = bare(name)
    if found := _MASK_NAME.fullmatch(name):
        return found[1]
    return name if says_mask(folder) or holds_labels(folder) else None


def says_mask(folder: str) -> bool:
    """Whether a folder, or one above it, is named for masks."""
    return any(not _MASKS.isdisjoint(tokens(part)) for part in folder.split("/"))


def holds_labels(folder: str) -> bool:
    """Whether a folder is named for labels: an image in it is a drawing of them."""
    return not _LABELS.isdisjoint(tokens(folder.rpartition("/")[2]))
