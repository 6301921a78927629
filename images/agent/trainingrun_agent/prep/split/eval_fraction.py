"""The split of an image, if a fraction of a single source is set aside for evaluation.

Invariant: it depends only on the image's path below the source's URI and on the rule, never on other images. So no
image changes its split when others are added or removed, a larger fraction keeps the eval images of a smaller one, and
a group is never divided. Case and Unicode form make no difference.

Groups:

- `folder`: the images of a folder, without its subfolders.
- `image`: every image is a group.
- `sequence`: the frames of a video. An image may be a frame if its name ends in a number.
  - If the name before that number contains another number or the suffix of a video file, it identifies the sequence,
    within the folder: `clip7_frame_0001`, `video12_000123`, `street_mp4-17`.
  - Otherwise, if the name of the image's folder contains one, the folder is the sequence: `clip7/frame_0001`.
  - Every other image is a group of its own: `BloodImage_00001`, `DSC00012`, `images/0001`.
  - Years, dates and sizes are not such numbers (`2007_000027`, `train2014_0001`, `2020/0001`, `tire_640x480_0001`), nor
    are the numbers of cameras' folders (`100CANON/IMG_0001`). A date and time followed by another number is a sequence.

For `sequence` and `image`, copies made by augmentation (`<name>_jpg.rf.<32 hexadecimal digits>.jpg`) belong to the
image that they were made from.
"""

from __future__ import annotations

import hashlib
import re

from trainingrun_agent.config import GroupBy, SplitRule
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.source.listing import IMAGE_SUFFIXES
from trainingrun_agent.prep.source.matching import fold, stem

_DIGITS, _SEPARATORS = "0123456789", "-_. "
_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_COMMON_NUMBERS = re.compile(
    rf"(?<![0-9])(?:{_YEAR}(?:[-_.]?{_MONTH}(?:[-_.]?{_DAY})?)?"
    rf"|[0-9]{{1,2}}[-_.][0-9]{{1,2}}[-_.]{_YEAR}"
    r"|[0-9]+x[0-9]+)(?![0-9])"
)
"""Numbers that are in many names of a data set although the images are not frames of one video."""
_CAMERA_FOLDER = re.compile("[1-9][0-9]{2}[a-z0-9_]{5}")
_VIDEO = re.compile("[-_.](?:3gp|avi|m4v|mkv|mov|mp4|mpe?g|mts|webm|wmv)(?![a-z0-9])")
_COPY = re.compile(rf"(.+)_({'|'.join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))})\.rf\.[0-9a-f]{{32}}\.[a-z]+")
_SPACE = 2**64


def split_of(path: str, rule: SplitRule) -> Split:
    """The split of an image, given by its path below the source's URI."""
    return split_of_group(group_key(path, rule.group_by), rule)


def split_of_group(group: str, rule: SplitRule) -> Split:
    """The split of all images of a group."""
    key = f"{rule.seed}\n{group}"
    number = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return "eval" if number < rule.fraction * _SPACE else "train"


def group_key(path: str, group_by: GroupBy) -> str:
    """The group of an image; images with the same key are in one group."""
    folder, slash, name = fold(path).rpartition("/")
    if group_by == "folder":
        return folder
    origin = _origin(name)
    return f"{folder}{slash}{origin}" if group_by == "image" else _sequence(folder, stem(origin))


def _origin(name: str) -> str:
    """The name of the image that a copy was made from; that may be a copy as well."""
    while found := _COPY.fullmatch(name):
        name = f"{found[1]}.{found[2]}"
    return name


def _sequence(folder: str, name: str) -> str:
    """The sequence that an image belongs to, from its name without suffix."""
    before = name.rstrip(_DIGITS)
    if before != name:
        title = before.rstrip(_SEPARATORS)
        if _identifies_sequence(title):
            return f"{folder}/{title}"
        last = folder.rpartition("/")[2]
        if _identifies_sequence(last) and not _CAMERA_FOLDER.fullmatch(last):
            return folder
    return f"{folder}/{name}"


def _identifies_sequence(text: str) -> bool:
    return _VIDEO.search(text) is not None or any(digit in _DIGITS for digit in _COMMON_NUMBERS.sub("", text))
