"""What a trainer printed is made plain in bounded memory."""

from __future__ import annotations

import tracemalloc

import pytest

from trainingrun_agent.shared.trainer_log import plain_log


@pytest.mark.parametrize("unit", ["я" * 40 + "\0", "\n", "\udcff\0"], ids=["one line", "empty lines", "no UTF-8"])
def test_a_log_is_made_plain_in_little_memory(unit: str) -> None:
    """The agent has 512 MiB in all, and an agent that is killed for memory leaves no verdict."""
    data = unit.encode(errors="surrogateescape")
    data *= 200_000 // len(data)
    tracemalloc.start()
    try:
        plain_log(data, max_bytes=4 << 20)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 25 * len(data)
