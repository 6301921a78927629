"""Retries: what is waited for, how long, and what makes it end."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import Interrupted, NotFound, StorageOutage, StorageRefused
from trainingrun_agent.reasons.storage import (
    ACCESS_DENIED,
    BUCKET_NOT_FOUND,
    CLOCK_SKEW,
    CREDENTIALS_MISSING,
    ENDPOINT_NOT_S3,
    INVALID_CREDENTIALS,
    SERVER_ERROR,
    TLS_ERROR,
)
from trainingrun_agent.storage.health import StorageHealth
from trainingrun_agent.storage.retry import Retrier, RetryingStore
from trainingrun_agent.storage.s3 import S3Store

pytestmark = pytest.mark.contract
OUTAGE = StorageOutage(SERVER_ERROR, call="GetObject", where="s3://x/y", answer="503")


class Failing:
    """Raises the given errors, one a call, then works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.fixture
def states() -> list[str]:
    """Reports about storage, in order: the reason of an outage, or "ready"."""
    return []


@pytest.fixture
def stop() -> threading.Event:
    """The flag that SIGTERM sets."""
    return threading.Event()


@pytest.fixture
def make_retrier(fake_clock: Clock, states: list[str], stop: threading.Event) -> Callable[..., Retrier]:
    """Make a Retrier with a tolerance of a minute and without jitter."""

    def make(**changes: Any) -> Retrier:
        fields: dict[str, Any] = {
            "tolerance_seconds": 60,
            "health": StorageHealth(lambda wrong: states.append(wrong.reason if wrong else "ready"), clock=fake_clock),
            "stop": stop,
            "clock": fake_clock,
            "jitter": lambda: 0.5,
        }
        return Retrier(**{**fields, **changes})

    return make


def test_an_outage_is_waited_for_with_growing_delays(
    make_retrier: Callable[..., Retrier], fake_clock: Any, states: list[str]
) -> None:
    call = Failing(*[OUTAGE] * 6)
    assert make_retrier().run(call, kind="reads") == "done"
    assert fake_clock.waits == [1, 2, 4, 6, 6, 6]
    assert states == ["ServerError", "ready"]


def test_nothing_is_reported_while_storage_works(make_retrier: Callable[..., Retrier], states: list[str]) -> None:
    retrier = make_retrier()
    assert [retrier.run(Failing(), kind="reads") for _ in range(3)] == ["done"] * 3
    assert states == []


def test_beyond_the_tolerance_the_outage_is_raised(make_retrier: Callable[..., Retrier], fake_clock: Any) -> None:
    with pytest.raises(StorageOutage, match=r"503; waited 60 s of spec\.storage\.outageToleranceSeconds") as caught:
        make_retrier().run(Failing(*[OUTAGE] * 99), kind="reads")
    assert fake_clock.seconds == 60
    assert caught.value.hint == "Look at the log of the storage server."


def test_no_tolerance_means_one_try(make_retrier: Callable[..., Retrier], fake_clock: Any) -> None:
    call = Failing(OUTAGE)
    with pytest.raises(StorageOutage):
        make_retrier(tolerance_seconds=0).run(call, kind="reads")
    assert (call.calls, fake_clock.waits) == (1, [])


def test_a_refusal_is_not_waited_for(make_retrier: Callable[..., Retrier], states: list[str]) -> None:
    call = Failing(StorageRefused(ACCESS_DENIED, call="GetObject", where="s3://x/y", answer="403"))
    with pytest.raises(StorageRefused):
        make_retrier().run(call, kind="reads")
    assert (call.calls, states) == (1, [])


DENIED = StorageRefused(ACCESS_DENIED, call="PutObject", where="s3://x/y", answer="403")
ROTATED = StorageRefused(INVALID_CREDENTIALS, call="PutObject", where="s3://x/y", answer="403 InvalidAccessKeyId")


@pytest.mark.parametrize(
    "refusal",
    [
        DENIED,
        ROTATED,
        StorageRefused(CREDENTIALS_MISSING, key="AWS_ACCESS_KEY_ID"),
        StorageRefused(CLOCK_SKEW, call="PutObject", where="s3://x/y", answer="403"),
        StorageRefused(BUCKET_NOT_FOUND, call="PutObject", where="s3://x/y", answer="404", bucket="x"),
        StorageRefused(ENDPOINT_NOT_S3, call="PutObject", where="s3://x/y", answer="404"),
        StorageRefused(TLS_ERROR, call="PutObject", where="s3://x/y", answer="expired"),
    ],
    ids=lambda refusal: refusal.reason,
)
def test_credentials_rotated_in_mid_training_are_waited_for(
    make_retrier: Callable[..., Retrier], fake_clock: Any, states: list[str], refusal: StorageRefused
) -> None:
    retrier = make_retrier(tolerance_seconds=0)
    retrier.run(Failing(), kind="writes")
    assert retrier.run(Failing(*[refusal] * 11), kind="writes") == "done"
    assert fake_clock.seconds > 45  # the kubelet brings a changed Secret within 90 s
    assert states == [refusal.reason, "ready"]


def test_a_refusal_that_lasts_is_final_and_says_that_it_had_worked(
    make_retrier: Callable[..., Retrier], fake_clock: Any
) -> None:
    retrier = make_retrier()
    retrier.run(Failing(), kind="writes")
    words = "403; such calls had worked before in this attempt, and were refused for 300 s"
    with pytest.raises(StorageRefused, match=words) as caught:
        retrier.run(Failing(*[DENIED] * 99), kind="writes")
    assert fake_clock.seconds == 300
    assert caught.value.hint.endswith("then raise spec.retry.")


def test_refusals_are_waited_for_once_also_by_what_saves_the_work_at_the_end(
    make_retrier: Callable[..., Retrier], fake_clock: Any
) -> None:
    """A preparation that was refused writes the list of its shards, and waited five more minutes for that."""
    retrier = make_retrier()
    retrier.run(Failing(), kind="writes")
    for _ in range(3):
        with pytest.raises(StorageRefused):
            retrier.run(Failing(*[DENIED] * 99), kind="writes")
    assert fake_clock.seconds == 300
    retrier.run(Failing(), kind="writes")
    assert retrier.run(Failing(DENIED), kind="writes") == "done"


@pytest.mark.parametrize(
    ("first", "then"), [(OUTAGE, ROTATED), (ROTATED, OUTAGE)], ids=["outage first", "refusal first"]
)
def test_an_outage_that_ends_in_refusals_is_not_final_at_the_first_one(
    make_retrier: Callable[..., Retrier], fake_clock: Any, first: Exception, then: Exception
) -> None:
    """As of a gateway that has started before its disks: the one is waited for although the other took longer."""
    retrier = make_retrier(tolerance_seconds=299)
    retrier.run(Failing(), kind="writes")
    assert retrier.run(Failing(*[first] * 50, *[then] * 48), kind="writes") == "done"
    assert fake_clock.seconds > 500


def test_refusals_and_outages_in_turn_come_to_an_end(make_retrier: Callable[..., Retrier], fake_clock: Any) -> None:
    retrier = make_retrier()
    retrier.run(Failing(), kind="writes")
    with pytest.raises((StorageOutage, StorageRefused), match=r"36[0-9] s"):
        retrier.run(Failing(*[OUTAGE, ROTATED] * 99), kind="writes")
    assert 360 <= fake_clock.seconds < 380


@pytest.mark.parametrize("before", ["reads", "writes of another"], ids=["only reads worked", "another bucket worked"])
def test_a_key_that_may_not_write_is_told_at_once(make_retrier: Callable[..., Retrier], before: str) -> None:
    retrier, call = make_retrier(), Failing(DENIED)
    retrier.run(Failing(), kind=before)
    with pytest.raises(StorageRefused):
        retrier.run(call, kind="writes")
    assert call.calls == 1


def test_an_answer_that_an_object_is_missing_shows_that_the_key_may_read(
    make_retrier: Callable[..., Retrier], states: list[str]
) -> None:
    retrier = make_retrier()
    with pytest.raises(NotFound):
        retrier.run(Failing(OUTAGE, NotFound(call="GetObject", where="s3://x/y", answer="404")), kind="reads")
    assert states == ["ServerError", "ready"]
    assert retrier.run(Failing(ROTATED), kind="reads") == "done"


def test_reads_that_work_do_not_hide_that_writes_are_refused(
    make_retrier: Callable[..., Retrier], fake_clock: Any, states: list[str]
) -> None:
    retrier = make_retrier()
    for kind in ("reads", "writes"):
        retrier.run(Failing(), kind=kind)
    wait = fake_clock.wait

    def read_meanwhile(*args: Any) -> bool:
        retrier.run(Failing(), kind="reads")
        return bool(wait(*args))

    fake_clock.wait = read_meanwhile
    retrier.run(Failing(DENIED, DENIED), kind="writes")
    assert states == ["AccessDenied", "ready"]


def test_sigterm_ends_the_wait_for_access(
    make_retrier: Callable[..., Retrier], stop: threading.Event, fake_clock: Any
) -> None:
    retrier = make_retrier()
    retrier.run(Failing(), kind="writes")
    stop.set()
    with pytest.raises(
        Interrupted, match="SIGTERM arrived while storage refused what it had allowed before: PutObject"
    ):
        retrier.run(Failing(*[DENIED] * 99), kind="writes")
    assert fake_clock.seconds == 0


def test_a_stopped_pod_does_not_wait(
    make_retrier: Callable[..., Retrier], stop: threading.Event, fake_clock: Any
) -> None:
    stop.set()
    with pytest.raises(Interrupted, match="SIGTERM arrived while storage did not answer: GetObject on s3://x/y failed"):
        make_retrier().run(Failing(*[OUTAGE] * 99), kind="reads")
    assert fake_clock.seconds == 0


def test_a_stopped_pod_that_ships_uses_its_grace_once_for_all_calls(
    make_retrier: Callable[..., Retrier], stop: threading.Event, fake_clock: Any
) -> None:
    stop.set()
    retrier = make_retrier(after_stop_seconds=20)
    assert retrier.run(Failing(OUTAGE, OUTAGE), kind="reads") == "done"
    with pytest.raises(Interrupted):
        retrier.run(Failing(*[OUTAGE] * 99), kind="reads")
    assert fake_clock.seconds == 20


def test_a_listing_goes_on_after_the_last_key(
    make_retrier: Callable[..., Retrier], s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun_agent.storage.bucket_listing.PAGE", 2)
    keys = [f"k{number}" for number in range(7)]
    for key in keys:
        s3_store.put(key, b"x")
    client = s3_store._client
    pages = client.list_objects_v2
    breaks = iter([False, True, False, True, True] + [False] * 20)

    def flaky(**arguments: Any) -> Any:
        if next(breaks):
            raise OUTAGE
        return pages(**arguments)

    monkeypatch.setattr(client, "list_objects_v2", flaky)
    store = RetryingStore(s3_store, make_retrier())
    assert [info.key for info in store.list("k")] == keys


def test_an_upload_starts_again_and_takes_its_count_back(make_retrier: Callable[..., Retrier]) -> None:
    class Store:
        bucket = "b"
        broken = 1

        def upload(self, key: str, file: Any, *, size: int, on_bytes: Callable[[int], None]) -> str:
            file.seek(0)
            on_bytes(2)
            if self.broken:
                self.broken -= 1
                raise OUTAGE
            on_bytes(3)
            return "digest"

    counted: list[int] = []
    store = RetryingStore(Store(), make_retrier())  # type: ignore[arg-type]
    assert store.upload("k", io.BytesIO(b"12345"), size=5, on_bytes=counted.append) == "digest"
    assert (counted, sum(counted)) == ([2, -2, 2, 3], 5)
