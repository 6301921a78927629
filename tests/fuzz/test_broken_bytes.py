"""Fuzz each reader of users' files for some seconds; `make fuzz` does so for minutes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from trainingrun_agent.prep.source.readers import FORMATS
from trfuzz import targets
from trfuzz.bombs import BOMBS
from trfuzz.fuzzing import fuzz
from trfuzz.regressions import REGRESSIONS
from trfuzz.seeds import seeds

SECONDS = int(os.environ.get("FUZZ_SECONDS", "3"))
needs_fuzzer = pytest.mark.skipif(find_spec("atheris") is None, reason="no wheel of atheris for this Python or machine")


@pytest.mark.parametrize("target", targets.TARGETS)
def test_the_seeds_of_fuzzing_are_read(target: str) -> None:
    """Fuzzing needs seeds that are read successfully; a truncated seed must not crash the reader either."""
    assert sum(targets.run(target, data) for data in seeds(target)) > 0
    for data in seeds(target):
        targets.run(target, data[: len(data) // 2])


@pytest.mark.parametrize(("target", "data"), REGRESSIONS.values(), ids=REGRESSIONS)
def test_an_input_that_failed_once_does_not_fail_again(target: str, data: bytes) -> None:
    for _ in range(20):  # a memory error in a library shows up some calls later
        targets.run(target, data)


def test_no_bomb_takes_more_memory_than_preparation_may_use() -> None:
    """All in one process whose address space is bounded, as by `ulimit -v`."""
    argv = [sys.executable, "-W", "ignore", "-m", "trfuzz.bombs"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_every_label_format_has_bombs() -> None:
    assert FORMATS.keys() - BOMBS.keys() == set()


@needs_fuzzer
@pytest.mark.parametrize("target", targets.TARGETS)
def test_fuzz(target: str) -> None:
    found = fuzz(target, seconds=SECONDS)
    assert found.runs, found.report()
    assert found.runs > len(seeds(target))


PLANTED = {
    "raises": ("raises", "ValueError: planted"),
    "hangs": ("hangs", "ALARM: working on the last Unit for"),
    "grows": ("grows", "out-of-memory|MemoryError"),  # whichever limit is met first
}


@needs_fuzzer
@pytest.mark.parametrize(("target", "error"), PLANTED.values(), ids=PLANTED)
def test_a_bug_is_found_and_reported_with_its_input(target: str, error: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    found = fuzz(target, seconds=60, corpus=corpus, per_input=5)
    assert found.runs == 0
    assert found.broken is not None
    assert b"!" in found.broken
    report = found.report()
    assert re.search(error, report)
    assert found.broken.hex() in report
    assert f"make fuzz ONLY={target} INPUT=HEX" in report
