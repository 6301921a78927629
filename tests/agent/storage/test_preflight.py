"""The preflight check of storage: what it verifies, warns about and refuses, and that it cleans up."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun_agent.config import Source
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.storage import preflight
from trainingrun_agent.storage.s3 import S3Store

pytestmark = [pytest.mark.contract, pytest.mark.s3]
RUN = RunKeys("ml/runs/team-a/tire-0123abcd")
POD = "11112222-3333-4444-5555-666677778888"
PROBE = f"{RUN.folder}/preflight/11112222"


class Odd:
    """A server with a defect: it ignores If-None-Match, returns old bytes, or ignores Range."""

    def __init__(self, store: S3Store, fault: str) -> None:
        self._store = store
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        return self._store.put(key, data, if_absent=if_absent and self._fault != "unconditional")

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        if self._fault == "stale":
            return b""
        if self._fault == "no ranges":
            return self._store.get(key, max_bytes=1000)
        return self._store.get_range(key, start=start, length=length)


def test_a_good_server_gives_no_warning_and_keeps_nothing(s3_store: S3Store) -> None:
    assert preflight.probe(s3_store, RUN, POD) == ()
    assert list(s3_store.list("")) == []


def test_a_probe_left_by_an_earlier_try_is_no_obstacle(s3_store: S3Store) -> None:
    s3_store.put(PROBE, b"old")
    assert preflight.probe(s3_store, RUN, POD) == ()
    assert list(s3_store.list("")) == []


def test_ignored_conditions_are_a_warning(s3_store: S3Store) -> None:
    store: Any = Odd(s3_store, "unconditional")
    (warning,) = preflight.probe(store, RUN, POD)
    assert warning.startswith("ConditionalWritesIgnored: ")
    assert len(warning) < 200


@pytest.mark.parametrize("fault", ["stale", "no ranges"])
def test_reads_that_do_not_show_writes_are_refused(s3_store: S3Store, fault: str) -> None:
    store: Any = Odd(s3_store, fault)
    with pytest.raises(StorageRefused, match=PROBE) as caught:
        preflight.probe(store, RUN, POD)
    assert caught.value.reason == "WritesNotVisible"


@pytest.mark.parametrize(
    ("keys", "empty"),
    [
        ([], "dataset.train.uri"),
        (["train/a.jpg"], "dataset.eval.uri"),
        (["Train/a.jpg", "eval/a.jpg"], "dataset.train.uri"),
        (["train/a.jpg", "eval/b/c.jpg"], None),
    ],
    ids=["nothing at all", "no eval", "wrong case", "both"],
)
def test_an_empty_prefix_is_refused_by_field(s3_store: S3Store, keys: list[str], empty: str | None) -> None:
    for key in keys:
        s3_store.put(key, b"x")
    sources = [
        ("dataset.train.uri", Source(s3_store.bucket, "train/")),
        ("dataset.eval.uri", Source(s3_store.bucket, "eval/")),
    ]
    if empty is None:
        preflight.check_sources(lambda _: s3_store, sources)
        return
    with pytest.raises(StorageRefused) as caught:
        preflight.check_sources(lambda _: s3_store, sources)
    assert caught.value.reason == "EmptyPrefix"
    folder = "train" if "train" in empty else "eval"
    assert caught.value.message == f"spec.{empty}: no object below s3://{s3_store.bucket}/{folder}/"
    assert caught.value.hint == (
        "Upload the images there, then raise spec.retry. If the address is wrong (case matters), create a new"
        f" TrainingRun with another spec.{empty}."
    )
