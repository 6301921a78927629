"""Names that say which split files are for: `train2017/`, `images/val/`, `instances_test.json`.

Invariant: only whole words count: `strain/` and `evaluated-2021/` are no splits.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SPLITS = {
    "train": ("train", "training", "trn", "trainval"),
    "val": ("val", "valid", "validation", "eval", "evaluation", "dev", "trainval"),
    "test": ("test", "testing", "tst"),
}
_LIST = re.compile(r"(?:autosplit_)?(?:train|trainval|val|valid|validation|minival|test|test-dev)(?:\d{4})?\.txt")
_WORDS = re.compile(r"[a-z]+")
_PLAIN = re.compile(r"([a-z]+)\d*")


@lru_cache(maxsize=1 << 12)
def splits_of(name: str) -> frozenset[str]:
    """The splits that a name of a file or folder says, of `train`, `val` and `test`."""
    words = set(_WORDS.findall(name.casefold()))
    return frozenset(split for split, known in _SPLITS.items() if not words.isdisjoint(known))


def is_plain(name: str) -> bool:
    """Whether a name is nothing but a split's, as `train` and `train2017` are and `train - copy` is not."""
    found = _PLAIN.fullmatch(name.casefold())
    return found is not None and bool(splits_of(found[1]))


def is_split_list(path: str) -> bool:
    """Whether a file directly in a folder is named as a list of the images of a split: `train.txt`, `val2017.txt`."""
    return bool(_LIST.fullmatch(path.casefold()))


def is_for_another(name: str, own: frozenset[str]) -> bool:
    """Whether a name says splits, none of which is among `own`."""
    said = splits_of(name)
    return bool(said and own) and said.isdisjoint(own)
