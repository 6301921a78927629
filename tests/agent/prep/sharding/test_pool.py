"""The number of worker processes follows what the container may use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from trainingrun_agent.prep.sharding import memory_slots, pool

HOST = 64
V2, QUOTA, PERIOD = "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A node with many cores, whose limits are read from files in `tmp_path`."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(HOST))
    monkeypatch.setattr(pool, "QUOTAS", tuple(tuple(tmp_path / path.name for path in files) for files in pool.QUOTAS))
    monkeypatch.setattr(memory_slots, "LIMITS", tuple(tmp_path / path.name for path in memory_slots.LIMITS))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, HOST, id="no limit"),
        pytest.param({V2: "max 100000\n"}, HOST, id="v2: no limit"),
        pytest.param({V2: "50000 100000\n"}, 1, id="v2: half a core"),
        pytest.param({V2: "200000 100000\n"}, 2, id="v2: two cores"),
        pytest.param({QUOTA: "-1\n", PERIOD: "100000\n"}, HOST, id="v1: no limit"),
        pytest.param({QUOTA: "50000\n", PERIOD: "100000\n"}, 1, id="v1: half a core"),
        pytest.param({QUOTA: "300000\n", PERIOD: "100000\n"}, 3, id="v1: three cores"),
        pytest.param({QUOTA: "300000\n"}, HOST, id="v1: no period"),
        pytest.param({QUOTA: "1\n", PERIOD: "0\n"}, HOST, id="v1: nonsense"),
        pytest.param({V2: f"{1000 * HOST}00000 100000\n"}, HOST, id="more than the node has"),
    ],
)
def test_cores_follow_the_limit_of_the_container(tmp_path: Path, files: Mapping[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert pool.cores() == expected


@pytest.mark.parametrize(
    ("mebibytes", "expected"), [(1024, 4), (512, 4), (384, 3), (256, 2), (128, 1), (64, 1)], ids=str
)
def test_workers_follow_the_memory_of_the_container(tmp_path: Path, mebibytes: int, expected: int) -> None:
    (tmp_path / memory_slots.LIMITS[0].name).write_text(f"{mebibytes << 20}\n")
    assert pool.most_workers() == expected
