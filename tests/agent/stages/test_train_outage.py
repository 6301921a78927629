"""Storage that refuses in bursts delays a training and damages nothing."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from stage_verdict import verdict_of
from trainingrun_agent.errors import Outcome
from trainingrun_agent.keys import is_manifest, manifest_of
from trainingrun_agent.stages import train
from trainingrun_agent.storage import manifest as manifests
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
