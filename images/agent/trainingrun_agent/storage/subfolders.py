"""Listing the folders of a bucket without listing what they hold."""

from __future__ import annotations

from collections.abc import Iterator

from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.reasons.storage import TOO_MANY_OBJECTS
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Place

MAX_FOLDERS = 100_000
_AFTER_SLASH = "0"
"""The character after "/": a folder's name followed by it sorts after everything in the folder."""


def subfolders(store: ObjectStore, folder: str, *, depth: int = 1) -> Iterator[str]:
    """The folders `depth` names below `folder`, in key order, without a slash at the end; one request each.

    Raises StorageRefused for very many.
    """
    after, count = "", 0
    while (first := next(iter(store.list(f"{folder}/", start_after=after, limit=1)), None)) is not None:
        names = first.key[len(folder) + 1 :].split("/")
        if len(names) > depth:
            count += 1
            if count > MAX_FOLDERS:
                raise StorageRefused(TOO_MANY_OBJECTS, where=Place(store.bucket, f"{folder}/"), limit=MAX_FOLDERS)
            found = "/".join([folder, *names[:depth]])
            yield found
            after = found + _AFTER_SLASH
        else:
            after = first.key
