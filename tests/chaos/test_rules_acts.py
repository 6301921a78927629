"""Rules about what operators delete and tell, and about the document and the deadlines of a run."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from hand_made import Hand, broken_by

AT = "2026-01-01T00:00:00Z"
WORKS = {"Succeeded": ("Unknown", "Running"), "Finished": ("False", "Running")}


def as_operator(hand: Hand, act: Any) -> None:
    hand.world.server.acting = "operator-0"
    act()
    hand.world.server.acting = ""


def test_a_job_is_deleted_once_the_status_says_why() -> None:
    async def play(hand: Hand, ended: int) -> None:
        hand.document()
        job = hand.job()
        hand.end(hand.pod(job), "interrupted")
        hand.store(attempts=[{"stage": "prep", "number": 1, "ended": ended, "jobUID": "a"}])
        as_operator(hand, lambda: hand.world.store.remove("jobs", "run-prep-1"))

    assert broken_by(lambda hand: play(hand, 0)) == {"a Job is deleted once the status says why"}
    assert not broken_by(lambda hand: play(hand, 1))


def expired(
    *, ttl: int | None = 0, retry: int = 0, tells: bool = True, ended: bool = True, age: float = 30
) -> set[str]:
    """Rules that are broken when an operator deletes a run that has failed."""

    async def play(hand: Hand) -> None:
        hand.invariants._look()
        await asyncio.sleep(10)
        finished = {"Succeeded": ("False", "ActiveDeadlineExceeded"), "Finished": ("True", "Failed")}
        more = {"phase": "Failed", "finishedAt": hand.world.store.now_text()} if ended else {}
        hand.store(activeSince="2025-12-31T00:00:00Z", message="a")
        hand.store(conditions=finished if ended else WORKS, **more)
        if tells:
            tell(hand, "ActiveDeadlineExceeded", "It took too long.")
        if retry:
            hand.change(retry=retry)
        await asyncio.sleep(age)
        as_operator(hand, lambda: hand.world.store.remove("trainingruns", "run"))

    spec = {} if ttl is None else {"ttlSecondsAfterFinished": ttl}
    return broken_by(play, activeDeadlineSeconds=60, **spec)


def tell(hand: Hand, reason: str, message: str, name: str = "a") -> None:
    about = {"uid": hand.uid, "name": "run", "namespace": "default"}
    body = {"metadata": {"name": name}, "reason": reason, "message": message, "involvedObject": about}
    as_operator(hand, lambda: hand.world.store.create("events", body))


def test_a_run_is_deleted_at_its_time() -> None:
    rule = {"a run is deleted at its time"}
    assert not expired()
    assert expired(ttl=None) == rule
    assert expired(ttl=3600) == rule
    assert expired(retry=1) == rule
    assert expired(ended=False) == rule


def test_events_follow_the_status() -> None:
    async def play(hand: Hand, ended: int) -> None:
        hand.document()
        hand.store(attempts=[{"stage": "prep", "number": 1, "ended": ended, "jobUID": "a"}])
        tell(hand, "Crash", "Attempt 1 of prep ended: it crashed.")

    assert broken_by(lambda hand: play(hand, 0)) == {"Events follow the status"}
    assert not broken_by(lambda hand: play(hand, 1))


def test_one_event_for_one_thing() -> None:
    async def play(hand: Hand, *times: str) -> None:
        for number, at in enumerate(times):
            hand.store(progress={"updated": at, "text": f"waiting since {at}"})
            tell(hand, "QuotaExceeded", "There is no quota.", name=f"e{number}")

    assert broken_by(lambda hand: play(hand, AT, AT)) == {"one Event for one thing"}
    assert not broken_by(lambda hand: play(hand, AT, "2026-01-01T00:10:00Z"))


def test_attempts_are_made_from_what_was_accepted() -> None:
    async def play(hand: Hand, text: str, image: str = "agent:1") -> None:
        hand.document()
        hand.store(resolvedDigest=hashlib.sha256(text.encode()).hexdigest())
        await asyncio.sleep(10)
        hand.job(image=image)

    right = '{"train": {"batchSize": 8}}'
    rule = {"attempts are what was accepted"}
    assert not broken_by(lambda hand: play(hand, right))
    assert broken_by(lambda hand: play(hand, "another")) == rule
    assert broken_by(lambda hand: play(hand, right, image="evil:1")) == rule


def test_another_document_is_accepted_only_with_a_retry() -> None:
    async def play(hand: Hand, retry: int) -> None:
        hand.store(resolvedDigest="a" * 64, message="a")
        hand.store(resolvedDigest="b" * 64, retry=retry)

    assert broken_by(lambda hand: play(hand, 0)) == {"attempts are what was accepted"}
    assert not broken_by(lambda hand: play(hand, 1))


def test_a_deadline_ends_what_has_passed_it() -> None:
    async def play(hand: Hand, since: str) -> None:
        hand.store(activeSince=since, conditions=WORKS)
        finished = {"Succeeded": ("False", "ActiveDeadlineExceeded"), "Finished": ("True", "Failed")}
        hand.store(conditions=finished, phase="Failed", finishedAt="2026-01-01T00:01:00Z")

    assert not broken_by(lambda hand: play(hand, AT), activeDeadlineSeconds=60)
    rule = {"deadlines end what has passed them"}
    assert broken_by(lambda hand: play(hand, "2026-01-01T00:00:30Z"), activeDeadlineSeconds=60) == rule


def test_a_start_deadline_ends_only_what_never_ran() -> None:
    async def play(hand: Hand, *, ran: bool, at: str) -> None:
        hand.document()
        hand.store(conditions={"Accepted": ("True", "Accepted"), "Prepared": ("False", "Running"), **WORKS})
        job = hand.job()
        begun = {"stage": "prep", "number": 1, "jobUID": job["metadata"]["uid"], "startedAt": AT}
        hand.store(attempts=[{**begun, **({"ranAt": AT} if ran else {})}])
        hand.pod(job, phase="Running" if ran else "Pending", begins=ran)
        reason = "StartDeadlineExceeded"
        end = {"number": 1, "outcome": "userError", "reason": reason, "endedAt": at}
        last = {"lastOutcome": "userError", "lastReason": reason, "lastMessage": "", "failures": {"userError": 1}}
        finished = {"Succeeded": ("False", reason), "Finished": ("True", "Failed")}
        entry = {"stage": "prep", "number": 1, "ended": 1, "history": [end], **last}
        hand.store(attempts=[entry], conditions=finished, phase="Failed", finishedAt=at)

    late, early = "2026-01-01T00:01:00Z", "2026-01-01T00:00:30Z"
    rule = "deadlines end what has passed them"
    assert not broken_by(lambda hand: play(hand, ran=False, at=late), startDeadlineSeconds=60)
    assert rule in broken_by(lambda hand: play(hand, ran=False, at=early), startDeadlineSeconds=60)
    assert rule in broken_by(lambda hand: play(hand, ran=True, at=late), startDeadlineSeconds=60)


def test_a_start_deadline_does_not_count_while_a_job_is_suspended() -> None:
    async def play(hand: Hand, suspended: str) -> None:
        hand.document()
        hand.store(conditions={"Accepted": ("True", "Accepted"), "Prepared": ("False", "JobSuspended"), **WORKS})
        await hand.calm()
        job = hand.job()
        hand.store(attempts=[{"stage": "prep", "number": 1, "jobUID": job["metadata"]["uid"], "startedAt": AT}])
        held = [{"type": "Suspended", "status": suspended}]
        hand.world.store.update_status("jobs", "run-prep-1", conditions=held)
        ended = {"number": 1, "ended": 1, "lastReason": "StartDeadlineExceeded", "lastOutcome": "userError"}
        finished = {"Succeeded": ("False", "StartDeadlineExceeded"), "Finished": ("True", "Failed")}
        at = "2026-01-01T00:05:00Z"
        hand.store(attempts=[{"stage": "prep", **ended}], conditions=finished, phase="Failed", finishedAt=at)

    rule = "deadlines end what has passed them"
    assert rule in broken_by(lambda hand: play(hand, "True"), startDeadlineSeconds=10)
    assert rule not in broken_by(lambda hand: play(hand, "False"), startDeadlineSeconds=10)


def test_the_storage_is_blamed_for_what_is_its_fault() -> None:
    async def play(hand: Hand, reason: str) -> None:
        hand.document()
        hand.store(conditions={"StorageReady": ("True", "Usable"), "Prepared": ("False", "Running")})
        job = hand.job()
        hand.store(attempts=[{"stage": "prep", "number": 1, "jobUID": "a"}])
        hand.end(hand.pod(job), "storageOutage")
        end = {"number": 1, "outcome": "storageOutage", "reason": reason, "endedAt": AT}
        last = {
            "lastOutcome": "storageOutage",
            "lastReason": reason,
            "lastMessage": "",
            "failures": {"storageOutage": 1},
        }
        entry = {"stage": "prep", "number": 1, "ended": 1, "history": [end], **last, "nextRetryAt": AT}
        hand.store(conditions={"StorageReady": ("False", reason)}, attempts=[entry])

    assert not broken_by(lambda hand: play(hand, "EndpointUnreachable"))
    assert broken_by(lambda hand: play(hand, "DatasetLost")) == {"the storage is blamed for what is its fault"}
