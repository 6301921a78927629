"""The pause of the garbage collector."""

from __future__ import annotations

import gc

import pytest

from trainingrun_agent.gc_pause import gc_paused


def test_collection_resumes_afterwards_and_skips_what_was_allocated() -> None:
    gc.collect()
    before = gc.get_freeze_count()
    with gc_paused():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(kept)


def test_collection_resumes_after_an_error() -> None:
    with pytest.raises(ValueError, match="listing"), gc_paused():
        raise ValueError("listing")
    assert gc.isenabled()
