"""Storage that refuses in bursts, or hangs, delays a training or an export, shows at once and damages nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stage_verdict import verdict_of
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Outcome
from trainingrun_agent.keys import is_manifest, manifest_of
from trainingrun_agent.stages import export, train
from trainingrun_agent.storage import heartbeat, stores
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.client import HEARTBEAT
from trcluster import waiting
from trdemo.trainer_stand_in import EXPORTED
from trfakes import flaky_s3 as flaky

pytestmark = pytest.mark.contract


def test_bursts_of_503_are_waited_out(prepared: Any, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flaky.FlakyS3, "refuses", two_of_eight)
    with flaky.flaky_s3(moto_endpoint, address="127.0.0.1") as (proxy, endpoint):
        prepared.document["storage"]["endpoint"] = endpoint
        context = prepared.pod("train")
        prepared.start_trainer(context, seconds_per_step=0.1)
        verdict = verdict_of(train, context)
        store = context.out
        proxy.flaky = False
        keys = [key for key in prepared.keys(store, "train/") if is_manifest(key)]
        assert verdict.outcome is Outcome.SUCCEEDED, verdict
        assert proxy.refused >= 3
        assert len(keys) == 3
        for key in keys:
            folder = f"{prepared.prefix}/train/{key}".rpartition("/")[0]
            for entry in manifests.read(store, manifest_of(folder)).objects:
                data = store.get(f"{folder}/{entry.key}", max_bytes=1_000_000)
                assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size, entry.sha256)


def two_of_eight(proxy: flaky.FlakyS3) -> bool:
    """Refuse two of every eight requests: bursts by count instead of time, so that a short run meets some too."""
    refuse = proxy.flaky and (proxy.refused + proxy.passed) % 8 < 2
    proxy.refused += refuse
    proxy.passed += not refuse
    return refuse


@pytest.fixture
def proxied(prepared: Any, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, flaky.FlakyS3]]:
    """The prepared run at a server that can hang, with an agent that is less patient than ours."""
    monkeypatch.setattr(heartbeat, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(heartbeat, "TURN_SECONDS", 0.05)
    monkeypatch.setattr(stores, "HEARTBEAT", HEARTBEAT._replace(read=0.3))
    with flaky.flaky_s3(moto_endpoint, address="127.0.0.1") as (proxy, endpoint):
        proxy.flaky = False
        prepared.document["storage"]["endpoint"] = endpoint
        yield prepared, proxy


def until(probe: Callable[[], Any], what: str) -> None:
    waiting.until(lambda: bool(probe()), what=what, seconds=30, every=0.02)


def hang_and_come_back(run: Any, proxy: flaky.FlakyS3, context: StageContext, *, meanwhile: Callable[[], Any]) -> None:
    """Let the server hang until that shows and `meanwhile` is true, then let it answer until that shows."""

    def ready() -> bool:
        return bool(context.progress.snapshot().get("storage", {}).get("ready", True))

    with run.stores[-1].heartbeat():
        with proxy.hanging():
            until(lambda: not ready(), "the hang to show")
            until(meanwhile, "the work to go on")
        until(ready, "the end of the hang to show")


def test_a_training_goes_on_while_storage_hangs(proxied: tuple[Any, flaky.FlakyS3]) -> None:
    run, proxy = proxied
    context = run.pod("train")
    run.start_trainer(context, seconds_per_step=0.06)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(verdict_of, train, context)
        until(lambda: context.progress.snapshot().get("step", 0) >= 2, "two steps")
        hang_and_come_back(run, proxy, context, meanwhile=lambda: context.progress.snapshot()["step"] >= 15)
        verdict = ended.result()
    assert verdict.outcome is Outcome.SUCCEEDED, verdict
    assert verdict.numbers["checkpointStep"] == 30


def test_an_export_that_asks_nothing_of_storage_notices_its_hang(proxied: tuple[Any, flaky.FlakyS3]) -> None:
    run, proxy = proxied
    trained = run.pod("train")
    run.start_trainer(trained)
    assert verdict_of(train, trained).outcome is Outcome.SUCCEEDED
    context = run.pod("export")
    run.start_trainer(context, export=EXPORTED, export_seconds=1.5)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(verdict_of, export, context)
        until(lambda: context.progress.snapshot()["phase"] == "exporting", "the exporter to work")
        hang_and_come_back(run, proxy, context, meanwhile=lambda: True)
        assert context.progress.snapshot()["phase"] == "exporting"
        verdict = ended.result()
    assert verdict.outcome is Outcome.SUCCEEDED, verdict
