"""The folder that images are in, as label files elsewhere name it.

Invariant: a name that says another split than the folder's is none of its images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from trainingrun_agent.prep.source.index import Listed
from trainingrun_agent.prep.source.spelling import fold
from trainingrun_agent.prep.source.split_names import is_for_another, splits_of

NAMED = 2
"""The last folders of a path, whose names may say the split."""


@dataclass(frozen=True)
class Home:
    """A folder by its key, which ends in a slash or is empty."""

    key: str

    @cached_property
    def names(self) -> list[str]:
        """The names of the last folders of its path."""
        return [name for name in self.key.split("/") if name][-NAMED:]

    @cached_property
    def splits(self) -> frozenset[str]:
        """The splits that the last folder says, else those that the one before it says."""
        return next((said for name in reversed(self.names) if (said := splits_of(name))), frozenset())

    def listed(self, images: Iterable[Listed]) -> Iterator[Listed]:
        """The images that may be in the folder, of those that label files elsewhere list, named from the folder."""
        last = fold(self.names[-1]) if self.names else ""
        for image in images:
            *folders, name = image.name.replace("\\", "/").split("/")
            here = max((at for at, folder in enumerate(folders, start=1) if fold(folder) == last), default=0)
            leading = folders[max(0, here - NAMED) : here] or folders[-NAMED:]
            if is_for_another("/".join(leading), self.splits):
                continue
            yield replace(image, name="/".join((*folders[here:], name))) if here else image
