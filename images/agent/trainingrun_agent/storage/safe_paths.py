"""Keys of objects as files inside one folder of this machine.

Invariant: a path given out leads to something inside the folder, whatever names and links lie in it; only OSError is
raised. Against somebody who changes the folder meanwhile nothing is promised.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

MAX_FOLDERS = 10_000


class Inside:
    """Links to files inside are followed, links to folders and links that lead out are not."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._plain = {""}
        """Folders known to be no links, relative to the root."""

    def path(self, key: str) -> str:
        """Where the file of a key is, or would be."""
        folder, _, name = key.rpartition("/")
        if folder not in self._plain:
            self.check_folder(folder)
        if name in ("", ".", "..") or not is_name(name) or key[0] == "/":
            raise _absent("no name of a file", key)
        return f"{self.root}/{key}"

    def check_folder(self, folder: str) -> None:
        """Raises FileNotFoundError for a folder that is reached by a link, or has no path of its own."""
        path = f"{self.root}/{folder}" if folder else self.root
        if not is_name(folder) or os.path.realpath(path) != path:
            raise _absent("no folder inside, or reached by a link", folder)
        if Path(path).is_dir():  # else it could still become a link
            if len(self._plain) > MAX_FOLDERS:
                self._plain = {""}
            self._plain.add(folder)

    def target(self, key: str) -> str:
        """Where the link at a key leads."""
        path = os.path.realpath(f"{self.root}/{key}")
        if not path.startswith(self.root.rstrip("/") + "/"):
            raise _absent("a link that leads out of the folder", key)
        if not Path(path).exists():
            raise _absent("a link that leads nowhere", key)
        return path

    def entries(self, folder: str) -> Iterator[tuple[str, bool]]:
        """Names in a folder (with a slash at its end, or empty), and whether each is a folder."""
        with os.scandir(f"{self.root}/{folder}") as found:
            for entry in found:
                yield entry.name, entry.is_dir(follow_symlinks=False)


def is_name(text: str) -> bool:
    """Whether it may be a part of a key: file systems have other bytes too, and Python shows them as surrogates."""
    try:
        return "\0" not in text and (text.isascii() or bool(text.encode()))
    except UnicodeEncodeError:
        return False


def _absent(what: str, key: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, what, key)
