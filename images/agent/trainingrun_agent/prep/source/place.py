"""Where files of a source are, and how messages call them.

Invariant: the path of an entry is what messages show; only its place knows the object's key.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainingrun_agent.storage.base import ObjectStore


@dataclass(frozen=True)
class Place:
    """A folder of a bucket. `key` ends in a slash or is empty; `shown` stands before the paths of its files."""

    store: ObjectStore
    key: str
    shown: str = ""

    def key_of(self, path: str) -> str:
        """The key of the object with this path."""
        return self.key + self.inner(path)

    def inner(self, path: str) -> str:
        """A path relative to the place."""
        return path.removeprefix(self.shown)

    def path_of(self, key: str) -> str:
        """The path of the object with this key."""
        return self.shown + key[len(self.key) :]

    def down(self, key: str) -> Place:
        """A folder in this one, by its key."""
        return Place(self.store, key, self.path_of(key))

    @property
    def widened(self) -> Place:
        """The same folder in a store of what lies around, where its store ends at a local folder."""
        wider = self.store.wider()
        return self if wider is None else Place(wider[0], wider[1] + self.key, self.shown)

    @property
    def above(self) -> Place | None:
        """The folder that holds this one; None at the root of the bucket."""
        if not self.key:
            return None
        outside = not self.shown or self.shown.endswith("../")
        return Place(self.store, _parent(self.key), f"{self.shown}../" if outside else _parent(self.shown))


def _parent(folder: str) -> str:
    return folder[: folder.rfind("/", 0, -1) + 1]
