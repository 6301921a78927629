"""The agent's own peak of memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainingrun_agent import host_memory


def test_memory_that_was_held_counts_after_it_was_freed() -> None:
    before = host_memory.peak_bytes()
    assert before is not None
    held = bytearray(64 << 20)
    held[:: 4 << 10] = b"x" * len(held[:: 4 << 10])
    del held
    after = host_memory.peak_bytes()
    assert after is not None
    assert after >= before + (32 << 20) or after > 96 << 20


def test_each_worker_counts_like_the_largest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", "x = b'x' * (8 << 20)"], check=True)
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t  1000 kB\nVmRSS:\t 900 kB\n")
    monkeypatch.setattr(host_memory, "STATUS", tmp_path / "status")
    assert host_memory.peak_bytes() == 1000 * 1024
    one, two = host_memory.peak_bytes(workers=1), host_memory.peak_bytes(workers=2)
    assert one is not None
    assert two is not None
    assert one - 1000 * 1024 > 8 << 20
    assert two - one == one - 1000 * 1024
    assert host_memory.reported(trainer=7) == {"peakMemoryBytes": {"agent": 1000 * 1024, "trainer": 7}}


@pytest.mark.parametrize("text", [None, "Name:\tpython\n"], ids=["no file", "no peak"])
def test_a_kernel_that_reports_none_leaves_it_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "status").write_text(text)
    monkeypatch.setattr(host_memory, "STATUS", tmp_path / "status")
    assert host_memory.reported() == {}
    assert host_memory.reported(trainer=7) == {"peakMemoryBytes": {"trainer": 7}}
