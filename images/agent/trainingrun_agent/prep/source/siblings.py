"""The folders beside that of the images: labels that lie between folders may belong to another one of them.

Invariant: folders are never listed with what is below them; one that may not be listed is not there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from trainingrun_agent.prep.source.listing import IMAGE_SUFFIXES, suffix_of
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.prep.source.spelling import bare, fold, holds_labels, own_part, says_mask

LEVELS = 2
"""Folders above the images that are looked at."""
MAX_COMPARED, MAX_NAMES = 20, 1000
"""Folders whose images are compared by name, and names of one."""


@dataclass(frozen=True)
class Siblings:
    """The folders beside the one with the images, or beside that above it if its own name is only `images`.

    They are in the folder that is so many `levels` above the images. `own` is what the name of the folder that they
    are beside says; `inside` leads from there to the images, and from one of these folders to its images.
    """

    places: Sequence[Place] = ()
    own: str = ""
    inside: str = ""
    levels: int = 0

    @classmethod
    def of(cls, images: Place) -> Siblings:
        """List the folders beside that of the images."""
        place: Place = images
        for level in range(1, LEVELS + 1):
            if (above := place.above) is None:
                break
            if own := own_part(fold(_name(place.key))):
                keys = above.store.children(above.key).folders
                places = [above.down(key) for key in keys if key != place.key and _may_hold_images(_name(key))]
                return cls(places, own, images.key[len(place.key) :], level)
            place = above
        return cls()

    @property
    def said(self) -> frozenset[str]:
        """What their names say."""
        return frozenset(own_part(fold(_name(place.key))) for place in self.places)

    def same_name(self, names: Container[str]) -> str | None:
        """An image in one of them that has one of these names, which are without suffix and folded; None if none is."""
        return next(
            (place.shown + found for place in self.places[:MAX_COMPARED] for found in self._in(place, names)), None
        )

    def _in(self, place: Place, names: Container[str]) -> Iterator[str]:
        files = place.store.children(place.key + self.inside, limit=MAX_NAMES).files
        for path in (one.key[len(place.key) :] for one in islice(files, MAX_NAMES)):
            if suffix_of(path) in IMAGE_SUFFIXES and bare(fold(_name(path))) in names:
                yield path


def _may_hold_images(name: str) -> bool:
    folder = fold(name)
    return bool(own_part(folder)) and not says_mask(folder) and not holds_labels(folder)


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
