"""Paths of objects inside one local folder.

Invariant: a returned path leads to something inside the folder, whatever names and links the folder holds; only OSError
is raised. There is no protection against somebody who changes the folder meanwhile.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

MAX_FOLDERS = 10_000


class SafePaths:
    """Makes paths from keys; follows links to files inside the folder, but no links to folders or out of it."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._plain = {""}
        """Folders that are known not to be links, relative to the root."""

    def path(self, key: str) -> str:
        """The path of the file of a key, whether it exists or not."""
        folder, _, name = key.rpartition("/")
        if folder not in self._plain:
            self.check_folder(folder)
        if name in ("", ".", "..") or not is_key_part(name) or key[0] == "/":
            raise _absent("not the name of a file", key)
        return f"{self.root}/{key}"

    def check_folder(self, folder: str) -> None:
        """Raise FileNotFoundError for a folder that is reached by a link, or whose path is not canonical."""
        path = f"{self.root}/{folder}" if folder else self.root
        if not is_key_part(folder) or os.path.realpath(path) != path:
            raise _absent("not a folder inside, or reached by a link", folder)
        if Path(path).is_dir():  # if it does not exist, it could still become a link
            if len(self._plain) > MAX_FOLDERS:
                self._plain = {""}
            self._plain.add(folder)

    def target(self, key: str) -> str:
        """The path that the link at a key leads to."""
        path = os.path.realpath(f"{self.root}/{key}")
        if not path.startswith(self.root.rstrip("/") + "/"):
            raise _absent("a link that leads out of the folder", key)
        if not Path(path).exists():
            raise _absent("a link that leads nowhere", key)
        return path

    def entries(self, folder: str) -> Iterator[tuple[str, bool]]:
        """Names in a folder (ending in a slash, or empty), each with whether it is a folder."""
        with os.scandir(f"{self.root}/{folder}") as found:
            for entry in found:
                yield entry.name, entry.is_dir(follow_symlinks=False)


def is_key_part(text: str) -> bool:
    """Whether a name may be a part of a key: Python shows names that are not UTF-8 with surrogates."""
    try:
        return "\0" not in text and (text.isascii() or bool(text.encode()))
    except UnicodeEncodeError:
        return False


def _absent(what: str, key: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, what, key)
