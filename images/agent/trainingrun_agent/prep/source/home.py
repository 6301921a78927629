"""The folder that images are in, as label files elsewhere name it.

Invariant: a name that says another split than the folder's, or a folder beside it, is none of its images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from trainingrun_agent.prep.source.index import Listed
from trainingrun_agent.prep.source.spelling import fold, own_part
from trainingrun_agent.prep.source.split_names import is_for_another, splits_of

NAMED = 2
"""The last folders of a path, whose names may say the split."""


@dataclass(frozen=True)
class Home:
    """A folder by its key, which ends in a slash or is empty; `others` is what the names of folders beside it say."""

    key: str
    others: frozenset[str] = frozenset()

    @cached_property
    def names(self) -> list[str]:
        """The names of the last folders of its path."""
        return [name for name in self.key.split("/") if name][-NAMED:]

    @cached_property
    def splits(self) -> frozenset[str]:
        """The splits that the last folder says, else those that the one before it says."""
        return next((said for name in reversed(self.names) if (said := splits_of(name))), frozenset())

    def is_for_another(self, path: str) -> bool:
        """Whether a path, from the folder that holds this one, says another split or the name of a folder beside it."""
        return is_for_another(path, self.splits) or any(own_part(fold(name)) in self.others for name in path.split("/"))

    def is_elsewhere(self, folders: Sequence[str]) -> bool:
        """Whether the folders in the name of an image are those of another split, or of a folder beside this one."""
        said = [part for folder in folders if (part := own_part(fold(folder)))]
        return is_for_another("/".join(folders), self.splits) or bool(said and said[-1] in self.others)

    def listed(self, images: Iterable[Listed]) -> Iterator[Listed]:
        """The images that may be in the folder, of those that label files elsewhere list, named from the folder."""
        last = fold(self.names[-1]) if self.names else ""
        for image in images:
            *folders, name = image.name.replace("\\", "/").split("/")
            here = max((at for at, folder in enumerate(folders, start=1) if fold(folder) == last), default=0)
            named = folders[max(0, here - NAMED) : here]
            if self.is_for_another("/".join(named)) if here else self.is_elsewhere(folders[-NAMED:]):
                continue
            yield replace(image, name="/".join((*folders[here:], name))) if here else image


BUCKET = Home("")
"""The root of a bucket, which no name excludes."""
