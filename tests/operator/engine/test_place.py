"""When a place is listed again: after a watch had to list, once for all that this one shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

import pytest

from trainingrun.api.clock import Clock
from trainingrun.engine.lease import Lease
from trainingrun.engine.lister import Lister
from trainingrun.engine.place import FIRST_RESYNCS_SECONDS, LIST_AGAIN_SECONDS, SHOWN_SECONDS, Place
from trchaos.loop import run_virtual

CALM = sum(FIRST_RESYNCS_SECONDS) + 10.0  # from then on nothing is listed for minutes


class Listings:
    """Notes when listings begin; each takes a second."""

    def __init__(self) -> None:
        self.at: list[float] = []

    async def list(self, namespace: str | None) -> None:
        """Take a second."""
        self.at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1.0)


def listed(shown: Iterable[float] = ()) -> list[float]:
    """When a place is listed after CALM, where watches show objects of their own listings at these times."""

    async def play() -> list[float]:
        loop, listings = asyncio.get_running_loop(), Listings()
        place = Place(
            "vision",
            lease=cast("Lease", SimpleNamespace(settled=True)),
            lister=cast("Lister", listings),
            changed=lambda _: None,
            clock=Clock(monotonic=loop.time),
        )
        for at in shown:
            loop.call_at(at, place.watch_listed_again)
        task = asyncio.create_task(place._list_repeatedly())
        await asyncio.sleep(CALM + 300.0)
        task.cancel()
        return [at for at in listings.at if at >= CALM]

    return run_virtual(play())


def test_it_is_not_listed_while_no_watch_lists() -> None:
    assert listed() == []


def test_it_is_listed_soon_after_a_watch_has_listed() -> None:
    assert listed([CALM]) == [pytest.approx(CALM + LIST_AGAIN_SECONDS, abs=0.1)]


def test_what_a_watch_lists_during_a_listing_is_not_forgotten() -> None:
    """The listing may be older than that of the watch, and so hold what was deleted in between."""
    assert len(listed([CALM, CALM + LIST_AGAIN_SECONDS + 0.5])) == 2


def test_a_watch_that_shows_its_listing_for_long_leads_to_one() -> None:
    """Thousands of objects arrive one by one; a listing for each few of them would make it last longer."""
    shown = [CALM + 0.5 * number for number in range(80)]
    assert listed(shown) == [pytest.approx(shown[-1] + LIST_AGAIN_SECONDS, abs=LIST_AGAIN_SECONDS)]


def test_watches_that_list_without_end_hold_nothing_up() -> None:
    shown = [CALM + 0.5 * number for number in range(600)]
    assert len(listed(shown)) == pytest.approx(300 / SHOWN_SECONDS, abs=1)
