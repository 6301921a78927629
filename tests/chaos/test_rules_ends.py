"""Rules about ends: what really happened decides what may be recorded, counted, and shown as the end of the run."""

from __future__ import annotations

from typing import Any

import pytest

from hand_made import Hand, broken_by
from trchaos.rules import budgets

DONE = {"Prepared": ("True", "Completed"), "Trained": ("True", "Completed"), "Exported": ("True", "Completed")}
WORKS = {"Succeeded": ("Unknown", "Running"), "Finished": ("False", "Running")}
AT = "2026-01-01T00:00:00Z"
STAGE, KEPT = "a success completes its stage", "progress"
ELSEWHERE = {"back-off", "a run ends with the reason of its last attempt", "stages in their order"}


def end_of(outcome: str, number: int = 1) -> dict[str, Any]:
    return {"number": number, "outcome": outcome, "reason": outcome.capitalize(), "endedAt": AT}


def entry(outcome: str, *, failures: dict[str, int] | None, **fields: Any) -> dict[str, Any]:
    counted = {"failures": failures} if failures else {}
    last = {"lastOutcome": outcome, "lastReason": outcome.capitalize(), "lastMessage": ""}
    return {"stage": "prep", "number": 1, "ended": 1, "history": [end_of(outcome)], **last, **counted, **fields}


def begin(hand: Hand, outcome: str) -> None:
    """Let the first attempt of prep run and really end so."""
    hand.document()
    hand.store(conditions={"Accepted": ("True", "Accepted"), "Prepared": ("False", "Running"), **WORKS})
    job = hand.job()
    hand.store(attempts=[{"stage": "prep", "number": 1, "jobUID": job["metadata"]["uid"]}])
    hand.end(hand.pod(job), outcome)


def recorded(truth: str, outcome: str, failures: dict[str, int] | None, after: str = "", **fields: Any) -> set[str]:
    """Rules that are broken when an attempt that really ended as `truth` is recorded so, and another one follows."""

    async def play(hand: Hand) -> None:
        begin(hand, truth)
        if after:
            fields["nextRetryAt"] = after
        done = {"Prepared": ("True", "Completed")} if outcome == "succeeded" else {}
        hand.store(attempts=[entry(outcome, failures=failures, **fields)], conditions=done)

    return broken_by(play)


def test_ends_are_what_happened() -> None:
    assert not recorded("crash", "crash", {"crash": 1}, after="2026-01-01T00:00:10Z")
    assert not recorded("killed", "crash", {"crash": 1}, after="2026-01-01T00:00:10Z")
    assert not recorded("succeeded", "succeeded", None)
    assert recorded("crash", "interrupted", {"interrupted": 1}) == {"ends are what happened"}
    assert recorded("crash", "succeeded", None) == {"ends are what happened"}
    assert recorded("succeeded", "crash", {"crash": 1}, after="2026-01-01T00:00:10Z") == {"ends are what happened"}


def test_a_deletion_can_hide_how_a_pod_ended() -> None:
    async def play(hand: Hand) -> None:
        begin(hand, "crash")
        hand.ends_by(next(iter(hand.world.cluster.pods.values())), 30)
        hand.store(attempts=[entry("interrupted", failures={"interrupted": 1})])

    assert not broken_by(play)


def test_a_suspension_is_no_failure() -> None:
    assert "ends are what happened" in recorded("crash", "suspended", None)
    assert "failures count what happened" in recorded("crash", "suspended", {"crash": 1})

    async def play(hand: Hand) -> None:
        begin(hand, "interrupted")
        hand.change(suspend=True)
        hand.store(attempts=[entry("suspended", failures=None)])

    assert not broken_by(play)


def test_failures_count_what_happened() -> None:
    assert "failures count what happened" in recorded("crash", "crash", {"crash": 2}, after="2026-01-01T00:00:10Z")
    assert "failures count what happened" in recorded("crash", "crash", None, after="2026-01-01T00:00:10Z")


def test_every_end_is_recorded() -> None:
    async def play(hand: Hand) -> None:
        begin(hand, "crash")
        hand.store(attempts=[{"stage": "prep", "number": 1, "ended": 1}])

    assert broken_by(play) == {"every attempt has one end"}


def test_back_off() -> None:
    assert recorded("crash", "crash", {"crash": 1}) == {"back-off"}
    assert recorded("stalled", "stalled", {"stalled": 1}, after="2026-01-01T00:00:10Z") == {"back-off"}


def test_back_off_is_that_of_the_table() -> None:
    async def play(hand: Hand, until: str) -> None:
        begin(hand, "crash")
        shown = {"updated": AT, "text": "attempt 2 soon", "stage": "prep"}
        hand.store(attempts=[entry("crash", failures={"crash": 1}, nextRetryAt=until)], progress=shown)

    assert not broken_by(lambda hand: play(hand, "2026-01-01T00:00:10Z"))
    assert broken_by(lambda hand: play(hand, "2026-01-01T00:00:30Z")) == {"back-off"}


FAILED = {"Succeeded": ("False", "Usererror"), "Finished": ("True", "Failed")}
LAST = "a run ends with the reason of its last attempt"


def ended(truth: str, failures: dict[str, int], conditions: dict[str, tuple[str, str]], **more: Any) -> set[str]:
    """Rules that are broken when an attempt is counted and the run has these conditions then."""

    async def play(hand: Hand) -> None:
        begin(hand, truth)
        kept = {"phase": "Failed", "finishedAt": AT} if conditions["Finished"][0] == "True" else {}
        hand.store(attempts=[entry(truth, failures=failures, **more)], conditions=conditions, **kept)

    return broken_by(play)


def test_a_run_ends_with_the_reason_of_its_last_attempt() -> None:
    assert not ended("userError", {"userError": 1}, FAILED)
    assert ended("userError", {"userError": 1}, WORKS) == {LAST}
    assert ended("userError", {"userError": 1}, {**FAILED, "Succeeded": ("False", "Crash")}) == {LAST}
    assert LAST in ended("stalled", {"stalled": 1}, FAILED)


@pytest.mark.parametrize("missing", DONE)
def test_a_run_succeeds_with_all_results(missing: str) -> None:
    async def play(hand: Hand, conditions: dict[str, tuple[str, str]]) -> None:
        hand.store(conditions=WORKS)
        done = {"phase": "Succeeded", "finishedAt": AT}
        end = {"Succeeded": ("True", "Completed"), "Finished": ("True", "Succeeded")}
        hand.store(conditions={**conditions, **end}, **done)

    lacking = {kind: value for kind, value in DONE.items() if kind != missing}
    assert "a run succeeds with all results" in broken_by(lambda hand: play(hand, lacking))


def test_an_end_is_final() -> None:
    async def play(hand: Hand, retry: int) -> None:
        begin(hand, "userError")
        ends = [entry("userError", failures={"userError": 1})]
        hand.store(attempts=ends, conditions=FAILED, phase="Failed", finishedAt=AT)
        ends = [{key: value for key, value in ends[0].items() if not (retry and key == "failures")}]
        hand.store(attempts=ends, conditions=WORKS, phase="Pending", finishedAt=None, retry=retry)

    assert broken_by(lambda hand: play(hand, 0)) == {"an end is final"}
    assert not broken_by(lambda hand: play(hand, 1))


def test_a_success_completes_its_stage() -> None:
    async def play(hand: Hand, reason: str) -> None:
        begin(hand, "succeeded")
        done = {"Prepared": ("True" if reason == "Completed" else "False", reason)}
        hand.store(attempts=[entry("succeeded", failures=None)], conditions=done)

    assert broken_by(lambda hand: play(hand, "Running")) == {"a success completes its stage"}
    assert not broken_by(lambda hand: play(hand, "Completed"))


@pytest.mark.parametrize(("reason", "broken"), [("DatasetLost", set()), ("InvalidCredentials", {STAGE, KEPT})])
def test_a_data_set_may_be_made_and_lost_in_one_status(reason: str, broken: set[str]) -> None:
    """The end of preparation and that of the training which did not find the data set are seen at once."""

    async def play(hand: Hand) -> None:
        begin(hand, "succeeded")
        hand.store(dataset={"images": 120, "savedImages": 100})
        job = hand.job("train")
        hand.end(hand.pod(job), "storageRefused")
        ends = [
            entry("succeeded", failures=None),
            entry("storageRefused", failures={"storageRefused": 1}, lastReason=reason, stage="train"),
        ]
        works = {"Prepared": ("False", "Running"), **WORKS}
        hand.store(attempts=ends, dataset={"images": 120, "savedImages": 0}, conditions=works)

    assert broken_by(play) - ELSEWHERE == broken


@pytest.mark.parametrize(
    ("failures", "right"), [({"interrupted": 1, "crash": 1}, True), ({"crash": 1}, False), ({"crash": 2}, False)]
)
def test_several_ends_of_one_status_count_one_by_one(failures: dict[str, int], *, right: bool) -> None:
    was, now = {"stage": "prep"}, {"stage": "prep", "failures": failures}
    expected = budgets.failures_after(was, now, stage="prep", outcomes=["interrupted", "crash"])
    assert (failures in expected) == right


def test_what_attempts_have_saved_takes_interruptions_back() -> None:
    was: dict[str, Any] = {"failures": {"interrupted": 3, "storageRefused": 1}, "checkpointStep": 10}
    after = {"checkpointStep": 20}
    assert budgets.failures_after(was, after, stage="train", outcomes=["interrupted"]) == [{"interrupted": 1}]
    twice = budgets.failures_after(was, after, stage="train", outcomes=["interrupted", "interrupted"])
    assert [found["interrupted"] for found in twice] == [1, 2, 1]  # both, the first, or the second have saved something
    assert budgets.failures_after(was, was, stage="train", outcomes=["succeeded"]) == [was["failures"]]


def test_a_lost_data_set_is_prepared_again_twice() -> None:
    async def play(hand: Hand, failures: int, conditions: dict[str, tuple[str, str]]) -> None:
        hand.document()
        begun = {"Accepted": ("True", "Accepted"), "Prepared": ("True", "Completed"), "Trained": ("False", "Running")}
        hand.store(conditions={**begun, **WORKS})
        job = hand.job("train")
        hand.store(attempts=[{"stage": "train", "number": 1, "jobUID": job["metadata"]["uid"]}])
        if failures > 1:  # earlier ones, whose ends no rule looks at any more
            hand.invariants.truth.runs[hand.uid].status["attempts"][0]["failures"] = {"storageRefused": failures - 1}
        hand.end(hand.pod(job), "storageRefused")
        lost = entry("storageRefused", failures={"storageRefused": failures}, lastReason="DatasetLost", stage="train")
        kept = {"phase": "Failed", "finishedAt": AT} if "Finished" in conditions else {}
        hand.store(attempts=[lost], conditions=conditions, **kept)

    again = {"Prepared": ("False", "DatasetLost")}
    failed = {"Succeeded": ("False", "DatasetLost"), "Finished": ("True", "Failed")}
    for failures in (1, 2):
        assert not broken_by(lambda hand, failures=failures: play(hand, failures, again))  # type: ignore[misc]
        wrong = broken_by(lambda hand, failures=failures: play(hand, failures, failed))  # type: ignore[misc]
        assert "a lost data set is prepared again" in wrong
    assert not broken_by(lambda hand: play(hand, 3, failed))
    assert broken_by(lambda hand: play(hand, 3, again)) == {LAST}


def test_a_job_that_something_else_suspends_goes_on() -> None:
    async def play(hand: Hand, *, suspended: bool, failed: bool = False) -> None:
        hand.document()
        hand.store(conditions={"Accepted": ("True", "Accepted"), "Prepared": ("False", "Running"), **WORKS})
        job = hand.job()
        hand.store(attempts=[{"stage": "prep", "number": 1, "jobUID": job["metadata"]["uid"]}])
        played = hand.pod(job)
        hand.world.store.patch("jobs", "run-prep-1", {"spec": {"suspend": suspended}})
        hand.ends_by(played, 5)
        hand.end(played, "interrupted")
        await hand.calm()
        hand.world.store.patch("jobs", "run-prep-1", {"spec": {"suspend": False}})
        if failed:
            conditions = [{"type": "Failed", "status": "True"}]
            hand.world.store.update_status("jobs", "run-prep-1", conditions=conditions)
        hand.store(attempts=[entry("interrupted", failures={"interrupted": 1})])

    rule = "a suspended Job goes on"
    assert rule in broken_by(lambda hand: play(hand, suspended=True))
    assert rule not in broken_by(lambda hand: play(hand, suspended=False))
    assert rule not in broken_by(lambda hand: play(hand, suspended=True, failed=True))
