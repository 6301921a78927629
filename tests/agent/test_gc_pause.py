"""The pause of the garbage collector."""

from __future__ import annotations

import gc

import pytest

from trainingrun_agent.gc_pause import gc_paused


def test_cycles_are_looked_for_again_afterwards_but_not_in_what_stays() -> None:
    gc.collect()
    before = gc.get_freeze_count()
    with gc_paused():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(kept)


def test_an_error_leaves_no_search_switched_off() -> None:
    with pytest.raises(ValueError, match="listing"), gc_paused():
        raise ValueError("listing")
    assert gc.isenabled()
