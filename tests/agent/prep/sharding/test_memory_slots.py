"""Large images share a part of the container's memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from trainingrun_agent.prep.image.images import BYTES_PER_PIXEL, COEFFICIENT_BYTES, MAX_DECODED_PIXELS
from trainingrun_agent.prep.sharding import memory_slots
from trainingrun_agent.prep.sharding.memory_slots import SLOT, reserved, slots


@pytest.mark.parametrize("version", [0, 1], ids=["cgroup v2", "cgroup v1"])
@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param("max\n", 10, id="no limit"),
        pytest.param(f"{1 << 30}\n", 10, id="1Gi, the default"),
        pytest.param(f"{8 << 30}\n", 10, id="8Gi"),
        pytest.param("9223372036854771712\n", 10, id="no limit, v1"),
        pytest.param(f"{512 << 20}\n", 5, id="512Mi"),
        pytest.param(f"{64 << 20}\n", 1, id="64Mi"),
        pytest.param("nonsense", 10, id="nonsense"),
        pytest.param(None, 10, id="no such file"),
    ],
)
def test_slots_follow_the_limit_of_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str | None, expected: int, version: int
) -> None:
    paths = tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"
    monkeypatch.setattr(memory_slots, "LIMITS", paths)
    if limit is not None:
        paths[version].write_text(limit)
    assert slots() == expected


def test_what_the_largest_image_takes_is_about_all_slots_of_the_default_limit() -> None:
    largest = MAX_DECODED_PIXELS * (BYTES_PER_PIXEL + COEFFICIENT_BYTES)
    assert 10 * SLOT < largest < 12 * SLOT  # so it is decoded alone


def test_images_that_fit_are_decoded_beside_each_other(tmp_path: Path) -> None:
    with held(tmp_path, 2), held(tmp_path, 1), held(tmp_path, 1):
        pass


@pytest.mark.parametrize("wanted", [3, 4, 100], ids=["more than is free", "all", "more than there are"])
def test_an_image_waits_for_memory(tmp_path: Path, wanted: int) -> None:
    entered = threading.Event()

    def wait() -> None:
        with held(tmp_path, wanted):
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with held(tmp_path, 2):
            future = pool.submit(wait)
            assert not entered.wait(0.2)
        future.result(10)


def test_many_at_once_never_hold_more_than_there_is(tmp_path: Path) -> None:
    lock, in_use, most = threading.Lock(), 0, 0

    def work(wanted: int) -> None:
        nonlocal in_use, most
        for _ in range(20):
            with held(tmp_path, wanted):
                with lock:
                    in_use += wanted
                    most = max(most, in_use)
                with lock:
                    in_use -= wanted

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, wanted) for wanted in (1, 2, 3, 4)]:
            future.result(30)
    assert most <= 4


def held(scratch: Path, wanted: int) -> AbstractContextManager[None]:
    return reserved(wanted * SLOT, scratch=scratch, count=4)
