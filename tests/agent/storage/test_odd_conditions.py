"""Servers that refuse or ignore If-None-Match: runs work, and are warned."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from odd_s3 import HTML, Answer, Oddities, OddS3, refusal, serve
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import StageError, StorageRefused
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import epochs, preflight
from trainingrun_agent.storage.client import PREFLIGHT
from trainingrun_agent.storage.s3 import S3Store, open_store
from trainingrun_agent.storage.stores import Stores

pytestmark = pytest.mark.contract
RUN = RunKeys("ml/runs/team-a/tire-0123abcd")
POD = "11112222-3333-4444-5555-666677778888"
OTHER_POD = "99992222-3333-4444-5555-666677778888"
Open = Callable[..., tuple[OddS3, S3Store]]
REFUSED_CONDITIONS = {
    "501": refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented"),
    "400 InvalidArgument": refusal(400, "InvalidArgument"),
    "400 InvalidRequest": refusal(400, "InvalidRequest", "If-None-Match is not supported"),
    "405": refusal(405, "MethodNotAllowed"),
    "501 of a web server": Answer(501, b"<html>Not Implemented</html>", HTML),
    "400 of a web server": Answer(400, b"<html>Bad Request</html>", HTML),
    "501 without a body": Answer(501),
}


@pytest.mark.parametrize("answer", REFUSED_CONDITIONS.values(), ids=REFUSED_CONDITIONS)
def test_refused_conditions_are_done_without(odd: Open, answer: Answer) -> None:
    bucket, store = odd(condition=answer)
    assert store.put("k", b"1", if_absent=True)
    assert not store.traits.conditional_writes
    asked = len(bucket.requests)
    assert not store.put("k", b"2", if_absent=True)
    assert store.put("other", b"3", if_absent=True)
    assert bucket.requests[asked:] == ["HEAD k?", "HEAD other?", "PUT other?"]
    assert (store.get("k", max_bytes=9), store.get("other", max_bytes=9)) == (b"1", b"3")


@pytest.mark.parametrize("status", [304, 412])
def test_a_key_that_exists_is_not_written(odd: Open, status: int) -> None:
    bucket, store = odd(condition=Answer(status))
    assert not store.put("k", b"2", if_absent=True)
    assert store.traits.conditional_writes
    assert bucket.requests == ["PUT k?"]


def test_a_server_that_takes_every_key_for_one_that_exists_is_warned_about(odd: Open) -> None:
    bucket, store = odd(condition=refusal(412, "PreconditionFailed"))
    assert epochs.claim(store, RUN, POD) == 1  # as a pod that has no preflight
    store.traits.conditional_writes = True
    (warning,) = preflight.probe(store, RUN, POD)
    assert warning.startswith("ConditionalWritesIgnored")
    assert epochs.claim(store, RUN, OTHER_POD) == 2
    assert sorted(bucket.objects) == [RUN.epoch(1), RUN.epoch(2)]


def test_a_refused_condition_never_overwrites(odd: Open) -> None:
    """Whether the condition was refused, or the key, is not known."""
    bucket, store = odd(condition=REFUSED_CONDITIONS["501"])
    bucket.store("k", b"1")
    assert not store.put("k", b"2", if_absent=True)
    assert store.traits.conditional_writes
    assert store.get("k", max_bytes=9) == b"1"


def test_a_write_that_fails_without_condition_too_says_why(odd: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, store = odd(condition=REFUSED_CONDITIONS["400 InvalidArgument"])
    monkeypatch.setattr(bucket, "_checked", lambda *_: refusal(400, "EntityTooLarge", "too large"))
    with pytest.raises(StorageRefused, match=r"PutObject on s3://detectors/k at .* failed: 400 EntityTooLarge"):
        store.put("k", b"1", if_absent=True)
    assert store.traits.conditional_writes


NOT_ABOUT_CONDITIONS = {
    "a token that expired": (refusal(400, "ExpiredToken"), "InvalidCredentials"),
    "a request that took too long": (refusal(400, "RequestTimeout"), "ServerError"),
    "another region": (refusal(400, "AuthorizationHeaderMalformed"), "WrongRegion"),
    "a second writer": (refusal(409, "ConditionalRequestConflict"), "ServerError"),
    "no right": (refusal(403, "AccessDenied"), "AccessDenied"),
    "a server that is down": (refusal(503, "SlowDown"), "ServerError"),
}


@pytest.mark.parametrize(("answer", "reason"), NOT_ABOUT_CONDITIONS.values(), ids=NOT_ABOUT_CONDITIONS)
def test_an_answer_with_another_meaning_is_not_about_the_condition(
    make_config: Callable[..., AgentConfig], answer: Answer, reason: str
) -> None:
    with serve(Oddities(condition=answer)) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors", limits=PREFLIGHT)
        with pytest.raises(StageError) as caught:
            store.put("k", b"1", if_absent=True)
    assert caught.value.reason == reason
    assert bucket.requests == ["PUT k?"]
    assert store.traits.conditional_writes


@pytest.mark.parametrize("condition", ["ignored", REFUSED_CONDITIONS["501"]], ids=["ignored", "refused"])
def test_the_preflight_warns_and_later_stores_know(
    make_config: Callable[..., AgentConfig], fake_clock: Any, condition: Any
) -> None:
    with serve(Oddities(condition=condition)) as bucket:
        progress = Progress(stage="prep", pod_uid=POD)
        stores = Stores(
            make_config(endpoint=bucket.endpoint), progress=progress, stop=threading.Event(), clock=fake_clock
        )
        stores.open_quick("detectors")._store._clock_checked = True  # type: ignore[attr-defined]
        (warning,) = preflight.probe(stores.open_quick("detectors"), RUN, POD)
        assert warning.startswith("ConditionalWritesIgnored: the storage server refuses or ignores If-None-Match")
        assert not bucket.objects
        asked = len(bucket.requests)
        assert stores.open("detectors").put("k", b"1", if_absent=True)
        assert bucket.requests[asked:] == ["HEAD k?", "PUT k?"]


@pytest.mark.parametrize(
    "condition", ["honoured", "ignored", REFUSED_CONDITIONS["501"]], ids=["", "ignored", "refused"]
)
def test_epochs_are_claimed_without_conditions(odd: Open, condition: Any) -> None:
    _, store = odd(condition=condition)
    preflight.probe(store, RUN, POD)
    assert [epochs.claim(store, RUN, pod) for pod in (POD, OTHER_POD)] == [1, 2]


def test_a_claim_that_another_pod_overwrote_is_not_kept(odd: Open) -> None:
    bucket, store = odd(condition="ignored")
    store.traits.conditional_writes = False
    put = bucket._put

    def overwritten(key: str, headers: Any, body: bytes) -> Answer:
        answer = put(key, headers, body)
        if key == RUN.epoch(1):
            bucket.store(key, body.replace(POD.encode(), OTHER_POD.encode()))
        return answer

    bucket._put = overwritten  # type: ignore[method-assign]
    assert epochs.claim(store, RUN, POD) == 2
