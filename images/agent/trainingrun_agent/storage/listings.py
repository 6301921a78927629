"""Follows a listing from page to page, also on servers that do not name, or do not know, the next page.

Some servers leave the token of the next page out, repeat it, refuse it, or ignore it and send the first page again;
some answer version 2 of the call as version 1. Then the listing goes on after its last key, with StartAfter, and if
that leads no further with Marker of version 1.

Invariant: a listing is complete or raises StorageRefused, after a bounded number of pages that bring nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from trainingrun_agent.reasons.storage import LISTING_ENDLESS, TOO_MANY_OBJECTS
from trainingrun_agent.storage.base import ObjectInfo
from trainingrun_agent.storage.failures import Target, endless

MAX_KEYS, MAX_EMPTY_PAGES = 10_000_000, 1000
"""Of one listing; some servers give pages without keys while they pass over deleted ones."""
_LAST_IN_FOLDER: Final = "\U0010ffff"
"""A key with this behind the folder's name comes after all others in the folder."""


class Page(NamedTuple):
    """A page of a listing. `token` names the next one, if it is `truncated`: a token, or the marker of version 1."""

    objects: Sequence[ObjectInfo]
    folders: Sequence[str]
    truncated: bool
    token: str


class Request(NamedTuple):
    """A call for a page, with the arguments that say which one."""

    call: Literal["ListObjectsV2", "ListObjects"]
    where: dict[str, str]

    @property
    def goes_on_after_key(self) -> bool:
        """Whether it names the key after which the page begins."""
        return self.where.keys() == {"StartAfter"} or self.call == "ListObjects"


class _Way(Enum):
    TOKENS = auto()
    START_AFTER = auto()
    MARKER = auto()


class Walk:
    """The way through one listing: `first` is the first request, `turn` takes each answer and makes the next one."""

    def __init__(self, target: Target, prefix: str, *, start_after: str = "") -> None:
        self._target, self._prefix = target, prefix
        self._start_after = self._last = start_after
        self._way, self._why = _Way.TOKENS, ""
        self._seen: set[int] = set()  # hashes of tokens and of first entries: either is as long as the server likes
        self._keys = self._empty = 0
        self._ordered = True

    @property
    def first(self) -> Request:
        """The request for the first page."""
        return Request("ListObjectsV2", {"StartAfter": self._start_after} if self._start_after else {})

    def turn(self, page: Page) -> tuple[Page, Request | None]:
        """The page without entries that are known or not wanted, and the next request. Raises StorageRefused."""
        again = self._way is _Way.TOKENS and self._came_before(page)
        # Not every server supports StartAfter, and none is asked to on the first way.
        after = self._start_after if self._way is _Way.TOKENS and not again else self._last
        new = page._replace(
            objects=[info for info in page.objects if info.key > after],
            folders=[folder for folder in page.folders if _end(folder) > after],
        )
        ends = [self._last, *(info.key for info in new.objects), *map(_end, new.folders)]
        self._last = max(ends)
        self._ordered = self._ordered and all(one.key <= other.key for one, other in pairwise(page.objects))
        self._count(page)
        if self._way is not _Way.TOKENS:
            self._check_order()
        if not page.truncated:
            return new, None
        if self._way is _Way.TOKENS:
            return new, self._by_token(page, again=again)
        return new, self._by_key(page, further=len(ends) > 1)

    def _by_token(self, page: Page, *, again: bool) -> Request:
        if again:
            self._why = "a page came twice"
        elif not page.token:
            self._why = "a page does not name the next one"
        elif hash(page.token) in self._seen:
            self._why = "a page names one as the next that came before"
        else:
            self._seen.add(hash(page.token))
            return Request("ListObjectsV2", {"ContinuationToken": page.token})
        self._way = _Way.START_AFTER
        self._check_order()
        return self._after_last()

    def _by_key(self, page: Page, *, further: bool) -> Request:
        if self._way is _Way.MARKER and page.token > self._last:  # past keys that were deleted
            self._last, further = page.token, True
        if not further and self._way is _Way.MARKER:
            raise self._endless(f"{self._why}, and neither StartAfter nor Marker leads to a further key")
        if not further:
            self._way = _Way.MARKER
        return self._after_last()

    def _after_last(self) -> Request:
        if self._way is _Way.START_AFTER:
            return Request("ListObjectsV2", {"StartAfter": self._last})
        return Request("ListObjects", {"Marker": self._last})

    def _check_order(self) -> None:
        if not self._ordered:
            raise self._endless(f"{self._why}, and keys are not in order, so that it cannot go on after the last one")

    def _came_before(self, page: Page) -> bool:
        first = hash((page.objects[0].key if page.objects else None, page.folders[0] if page.folders else None))
        if not page.objects and not page.folders:
            return False
        before = first in self._seen
        self._seen.add(first)
        return before

    def _count(self, page: Page) -> None:
        self._keys += len(page.objects)
        self._empty = 0 if page.objects or page.folders else self._empty + 1
        if self._keys > MAX_KEYS:
            raise endless(self._target, key=self._prefix, entry=TOO_MANY_OBJECTS, limit=MAX_KEYS)
        if page.truncated and self._empty > MAX_EMPTY_PAGES:
            raise self._endless(f"{self._empty} pages in a row have no object")

    def _endless(self, problem: str) -> Exception:
        return endless(self._target, key=self._prefix, entry=LISTING_ENDLESS, problem=problem)


def _end(folder: str) -> str:
    return folder + _LAST_IN_FOLDER
