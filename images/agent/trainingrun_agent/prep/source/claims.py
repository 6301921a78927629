"""What labels say about the path of their image: the path of a label file, or a name in one.

Invariant: a claim is about one image and made of the labels alone; whether that image is there is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property

from trainingrun_agent.prep.source.spelling import loose, own_parts
from trainingrun_agent.prep.source.split_names import splits_of

_ELSEWHERE = re.compile("/|[a-z][a-z0-9+.-]*:|~")
"""The beginning of a path on another machine."""
_ADDRESS = re.compile("/?data/upload/(?:[0-9]+/)?")
_UPLOADED = re.compile("[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that is uploaded to it."""


@dataclass(frozen=True)
class Claim:
    """Folders and name of the image, both loose.

    `own`: it is the path of a label file. `relative`: it is a path below the uri. `home`: only an image in the same
    folder can be meant. `splits` are those that the labels are named for.
    """

    folders: tuple[str, ...]
    name: str
    own: bool = False
    relative: bool = True
    home: bool = False
    splits: frozenset[str] = frozenset()

    @cached_property
    def own_folders(self) -> tuple[str, ...]:
        """What the folders say besides `images` or `labels`."""
        return own_parts(self.folders)

    def before_upload(self) -> Claim | None:
        """The claim without what Label Studio puts before a name; None if nothing is."""
        name = without_upload(self.name)
        return None if name == self.name else replace(self, name=name)


def claim_of_file(path: str, *, home: bool) -> Claim:
    """The claim of a label file with this path, given without the suffix of labels."""
    folder, _, name = loose(path).rpartition("/")
    folders = tuple(folder.split("/")) if folder else ()
    return Claim(folders, name, own=True, home=home, splits=splits_of(folder))


def claim_of_name(name: str, label_file: str) -> Claim:
    """The claim of an image's name in a label file."""
    path = without_address(name.replace("\\", "/"))
    relative = _ELSEWHERE.match(path.casefold()) is None
    parts = loose(label_file).split("/")[:-1] if path.startswith("../") else []
    for part in loose(path).split("/"):
        if part not in ("", ".", ".."):
            parts.append(part)
        elif part == ".." and parts:
            parts.pop()
        elif part == "..":
            relative = False
    *folders, last = parts or [""]
    splits = splits_of("/".join(folders)) or splits_of(loose(label_file))
    return Claim(tuple(folders), last, relative=relative, splits=splits)


def without_address(name: str) -> str:
    """A name without the folder in which Label Studio keeps uploads."""
    found = _ADDRESS.match(name)
    return name[found.end() :] if found else name


def without_upload(name: str) -> str:
    """A file name without what Label Studio puts before the names of uploads."""
    found = _UPLOADED.match(name)
    return name[found.end() :] if found else name
