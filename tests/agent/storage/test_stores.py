"""The stores of a pod: an outage shows in progress and in the log, and so does its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from trainingrun.domain.draft import MAX_CAUSE
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig, Command
from trainingrun_agent.errors import Interrupted
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.stores import Stores

pytestmark = pytest.mark.contract
BUSY = (503, "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>busy</Message></Error>")
FULL = (403, "<?xml version='1.0'?><Error><Code>QuotaExceeded</Code></Error>")
UNKNOWN_KEY = (
    403,
    "<?xml version='1.0'?><Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>",
)
EMPTY = (200, "<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")


def test_a_burst_of_503_is_waited_out_and_shown(
    make_config: Callable[..., AgentConfig],
    canned_server: Any,
    fake_clock: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="trainingrun_agent")
    canned_server.date = fake_clock.now()
    canned_server.answers = [BUSY] * 4 + [EMPTY]
    progress = Progress(stage="prep", pod_uid="pod", clock=fake_clock)
    seen: list[Any] = []
    wait = fake_clock.wait

    def watched(event: threading.Event, seconds: float) -> bool:
        seen.append(progress.snapshot()["storage"])
        return bool(wait(event, seconds))

    fake_clock.wait = watched
    config = make_config(endpoint=canned_server.endpoint)
    stores = Stores(config, progress=progress, stop=threading.Event(), clock=fake_clock)
    assert list(stores.open_quick("detectors").list("x/")) == []
    assert [(state["ready"], state["reason"]) for state in seen] == [(False, "ServerError")] * 4
    assert "ListObjectsV2 on s3://detectors/x/" in seen[0]["message"]
    assert progress.snapshot()["storage"] == {"ready": True}
    assert caplog.messages[-1] == "storage answers again"


def test_the_next_step_of_an_outage_is_whole_in_the_condition(
    make_config: Callable[..., AgentConfig], canned_server: Any, fake_clock: Any
) -> None:
    """A long answer of the server pushed it out of the 360 characters of StorageReady."""
    text = "x" * 500
    canned_server.date = fake_clock.now()
    canned_server.answers = [(503, f"<Error><Code>SlowDown</Code><Message>{text}</Message></Error>"), EMPTY]
    progress, seen = Progress(stage="prep", pod_uid="pod", clock=fake_clock), []
    config = make_config(endpoint=canned_server.endpoint)
    stores = Stores(config, progress=progress, stop=threading.Event(), clock=fake_clock)
    wait = fake_clock.wait

    def watched(event: threading.Event, seconds: float) -> bool:
        seen.append(progress.snapshot()["storage"]["message"])
        return bool(wait(event, seconds))

    fake_clock.wait = watched
    assert list(stores.open_quick("detectors").list("y" * 300)) == []
    assert len(seen[0]) <= MAX_CAUSE
    assert seen[0].startswith("ListObjectsV2 on s3://detectors/yyy")
    assert seen[0].endswith("… Look at the log of the storage server.")


def test_a_full_bucket_is_waited_for_and_says_what_to_do(
    make_config: Callable[..., AgentConfig], canned_server: Any, fake_clock: Any
) -> None:
    """Reads that work meanwhile do not hide it."""
    canned_server.date = fake_clock.now()
    canned_server.answers = [FULL] * 9 + [(200, "")]
    progress, seen = Progress(stage="train", pod_uid="pod", clock=fake_clock), []
    config = make_config("train", endpoint=canned_server.endpoint)
    stores = Stores(config, progress=progress, stop=threading.Event(), clock=fake_clock)
    wait = fake_clock.wait

    def watched(event: threading.Event, seconds: float) -> bool:
        seen.append(progress.snapshot()["storage"])
        return bool(wait(event, seconds))

    fake_clock.wait = watched
    assert stores.open("detectors").put("k", b"x")
    assert {(state["ready"], state["reason"]) for state in seen} == {(False, "StorageFull")}
    assert seen[0]["message"] == (
        f"PutObject on s3://detectors/k at {canned_server.endpoint} failed: there is no room for it (403 QuotaExceeded"
        "). Make room in bucket detectors, or have its quota raised; `trainingrun prune` shows what can be deleted."
    )
    assert progress.snapshot()["storage"] == {"ready": True}


def test_a_rotated_key_is_shown_and_waited_for(
    make_config: Callable[..., AgentConfig], canned_server: Any, fake_clock: Any
) -> None:
    """The new key is in the Secret already, and the kubelet brings it into the pod a minute later."""
    canned_server.date = fake_clock.now()
    canned_server.answers = [EMPTY, *[UNKNOWN_KEY] * 6, EMPTY]
    progress, seen = Progress(stage="train", pod_uid="pod", clock=fake_clock), []
    wait = fake_clock.wait

    def watched(event: threading.Event, seconds: float) -> bool:
        seen.append(progress.snapshot()["storage"])
        return bool(wait(event, seconds))

    fake_clock.wait = watched
    config = make_config("train", endpoint=canned_server.endpoint)
    store = Stores(config, progress=progress, stop=threading.Event(), clock=fake_clock).open("detectors")
    key = f"runs/faults/cut-54e7df54/train/0002-63769e33/events/train/events.out.tfevents.{'9' * 90}"
    assert list(store.list("x/")) == list(store.list(key)) == []
    assert {(state["ready"], state["reason"]) for state in seen} == {(False, "InvalidCredentials")}
    assert seen[0]["message"].startswith(
        f"ListObjectsV2 on s3://detectors/{key[:35]}…{'9' * 50} at {canned_server.endpoint} failed: "
    )
    assert seen[0]["message"].endswith(
        "failed: 403 InvalidAccessKeyId, no such key. It worked before, so the pod goes on and tries again for 5"
        " minutes. A change of the Secret named in spec.storage.credentials.secretName reaches it within two minutes."
    )
    assert progress.snapshot()["storage"] == {"ready": True}


@pytest.mark.parametrize(("stage", "waited"), [("prep", 0), ("train", 20), ("export", 20), ("mirror", 0)], ids=str)
def test_only_stages_that_ship_use_the_grace_period_in_an_outage(
    make_config: Callable[..., AgentConfig],
    canned_server: Any,
    fake_clock: Any,
    stage: Command,
    waited: int,
) -> None:
    canned_server.date = fake_clock.now()
    canned_server.answers = [BUSY]
    stop = threading.Event()
    stop.set()
    progress = Progress(stage=stage, pod_uid="pod", clock=fake_clock)
    config = make_config(stage, endpoint=canned_server.endpoint)
    stores = Stores(config, progress=progress, stop=stop, clock=fake_clock)
    with pytest.raises(Interrupted, match="SIGTERM arrived while storage did not answer"):
        stores.open_quick("detectors").head("x")
    assert fake_clock.seconds == waited


def test_a_bucket_is_opened_once(make_config: Callable[..., AgentConfig]) -> None:
    stores = Stores(
        make_config(),
        progress=Progress(stage="prep", pod_uid="pod"),
        stop=threading.Event(),
        clock=Clock(),
    )
    assert stores.open("detectors") is stores.open("detectors")
    assert stores.open("detectors") is not stores.open("photos")
    assert stores.open("detectors") is not stores.open_quick("detectors")
