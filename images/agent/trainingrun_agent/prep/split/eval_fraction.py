"""The split of an image, if a fraction of a single source is set aside for evaluation.

Invariant: it depends only on the image's path below the source's URI and on the rule, never on other images. So no
image changes its split when others are added or removed, a larger fraction keeps the eval images of a smaller one, and
a group is never divided. Case and Unicode form make no difference.

Groups:

- `folder`: the images of a folder, without its subfolders.
- `image`: every image is a group.
- `sequence`: the frames of a video, recognised by their paths as described in sequence.py; every other image is a group
  of its own.

For `sequence` and `image`, copies made by augmentation (`<name>_jpg.rf.<32 hexadecimal digits>.jpg`) and tiles, which
overlap (`<name>__1024__0___512.png` of DOTA's tools, `<name>_0_512_640_1152.png` of SAHI), belong to the image that
they were made from.
"""

from __future__ import annotations

import hashlib
import re

from trainingrun_agent.config import GroupBy, SplitRule
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.source.listing import IMAGE_SUFFIXES
from trainingrun_agent.prep.source.spelling import fold, stem
from trainingrun_agent.prep.split.sequence import sequence_key

_COPY = re.compile(rf"(.+)_({'|'.join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))})\.rf\.[0-9a-f]{{32}}\.[a-z]+")
_TILE = re.compile(
    r"(.+?)(?:__[0-9]{1,6}(?:\.[0-9]{1,6})?__[0-9]{1,6}___[0-9]{1,6}"
    r"|_(0|[1-9][0-9]{0,5})_(0|[1-9][0-9]{0,5})_([1-9][0-9]{0,5})_([1-9][0-9]{0,5}))(\.[a-z]+)"
)
"""A scale or size and the corner of a tile, or two corners."""
_LEAST_TILE = 32
_SPACE = 2**64


def split_of(path: str, rule: SplitRule) -> Split:
    """The split of an image, given by its path below the source's URI."""
    return split_of_group(group_key(path, rule.group_by), rule)


def split_of_group(group: str, rule: SplitRule) -> Split:
    """The split of a group's images."""
    key = f"{rule.seed}\n{group}"
    number = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return "eval" if number < rule.fraction * _SPACE else "train"


def group_key(path: str, group_by: GroupBy) -> str:
    """The group of an image; images with the same key are in one group."""
    folder, slash, name = fold(path).rpartition("/")
    if group_by == "folder":
        return folder
    origin = _origin(name)
    return f"{folder}{slash}{origin}" if group_by == "image" else sequence_key(folder, stem(origin))


def _origin(name: str) -> str:
    """The name of the image that a copy or a tile was made from; that may be one as well."""
    while made := _made_from(name):
        name = made
    return name


def _made_from(name: str) -> str:
    if copy := _COPY.fullmatch(name):
        return f"{copy[1]}.{copy[2]}"
    tile = _TILE.fullmatch(name)
    if tile is None or (tile[2] and not _is_square(*map(int, tile.group(2, 3, 4, 5)))):
        return ""
    return tile[1] + tile[6]


def _is_square(left: int, top: int, right: int, bottom: int) -> bool:
    """Whether these can be the corners of a tile, and not the parts of a date."""
    return right - left == bottom - top >= _LEAST_TILE
