"""Rules about the status as a document and about progress."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hand_made import Hand, broken_by
from trchaos.agents import AgentLife, End
from trchaos.bucket import Bucket, Result

AT = "2026-01-01T00:00:00Z"
CONSISTENT = "the status is consistent"
WORKS = {"Succeeded": ("Unknown", "Running"), "Finished": ("False", "Running")}


def stored(*statuses: dict[str, Any]) -> set[str]:
    """Rules that are broken when these statuses are stored, a second after each other."""

    async def play(hand: Hand) -> None:
        for status in statuses:
            hand.store(**status)
            await asyncio.sleep(1)

    return broken_by(play)


def test_a_status_that_is_right_breaks_nothing() -> None:
    assert not stored({"conditions": WORKS, "phase": "Preparing"}, {"phase": "Training", "message": "Training"})


def test_the_status_is_valid() -> None:
    assert "the status is valid" in stored({"conditions": {"Accepted": ("Perhaps", "Accepted")}})


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": WORKS, "phase": "Succeeded"},
        {"conditions": {"Succeeded": ("True", "Completed"), "Finished": ("False", "Running")}},
        {"conditions": WORKS, "finishedAt": AT},
        {"conditions": {"Succeeded": ("False", "Crash"), "Finished": ("True", "Failed")}, "phase": "Failed"},
        {"conditions": WORKS, "phase": "Suspended"},
        {"conditions": {"Exported": ("True", "Completed")}},
    ],
)
def test_conditions_agree_with_each_other(status: dict[str, Any]) -> None:
    assert CONSISTENT in stored(status)


def test_a_transition_has_its_time() -> None:
    async def play(hand: Hand, *, moves: bool) -> None:
        hand.store(conditions={"Prepared": ("False", "Running")})
        await asyncio.sleep(5)
        if moves:
            held = hand.world.store.get("trainingruns", "run")["status"]["conditions"][0]
            held["lastTransitionTime"] = hand.world.store.now_text()
            hand.invariants.truth.runs[hand.uid].status = {
                "conditions": [{**held, "lastTransitionTime": AT}],
                "observedGeneration": 1,
                "phase": "Preparing",
            }
        hand.store(message="it goes on")

    assert broken_by(lambda hand: play(hand, moves=True)) == {CONSISTENT}
    assert not broken_by(lambda hand: play(hand, moves=False))


def test_the_generation_that_was_observed_never_falls() -> None:
    async def play(hand: Hand) -> None:
        hand.change(retry=1)
        hand.store(message="a")
        hand.world.server.acting = "operator-0"
        hand.world.store.patch("trainingruns", "run", {"status": {"observedGeneration": 1}}, status=True)

    assert broken_by(play) == {CONSISTENT}


def test_a_new_time_alone_is_no_news() -> None:
    async def play(hand: Hand, *texts: str) -> None:
        for number, text in enumerate(texts):
            hand.store(progress={"updated": f"2026-01-01T00:00:0{number}Z", "text": text})

    assert broken_by(lambda hand: play(hand, "waiting", "waiting")) == {"no status without news"}
    assert not broken_by(lambda hand: play(hand, "waiting", "running"))


def test_what_is_asked_is_answered() -> None:
    async def play(hand: Hand, **answers: Any) -> None:
        hand.change(retry=1, finish=True)
        end = {"Succeeded": ("False", "ChildRefused"), "Finished": ("True", "Failed")}
        hand.store(conditions=end, phase="Failed", finishedAt=AT, **answers)
        hand.invariants.finish()

    assert "what is asked is answered" in broken_by(lambda hand: play(hand, retry=1))
    assert "what is asked is answered" in broken_by(lambda hand: play(hand, finish=True))
    assert "what is asked is answered" not in broken_by(lambda hand: play(hand, retry=1, finish=True))


def shown(*done: int, number: int = 1) -> list[dict[str, Any]]:
    attempts = [{"stage": "train", "number": number, "jobUID": "a"}]
    return [
        {"attempts": attempts, "progress": {"stage": "train", "unit": "steps", "done": at, "updated": AT, "text": ""}}
        for at in done
    ]


def test_progress_never_falls_within_an_attempt() -> None:
    assert not stored(*shown(1, 5, 9))
    assert stored(*shown(5, 3)) == {"progress"}
    assert not stored(*shown(5), *shown(3, number=2))


def trained(*steps: int, number: int = 1, saved: int = 0) -> list[dict[str, Any]]:
    attempts = [{"stage": "train", "number": number, "jobUID": "a"}]
    return [{"attempts": attempts, "training": {"step": step, "steps": 100, "checkpointStep": saved}} for step in steps]


def test_a_step_never_falls_within_an_attempt() -> None:
    assert not stored(*trained(0, 10, 20))
    assert stored(*trained(0, 20, 10)) == {"progress"}


def test_sums_of_training_never_fall() -> None:
    assert stored({"training": {"stepsLost": 5}}, {"training": {"stepsLost": 4}}) == {"progress"}
    assert not stored({"training": {"stepsLost": 5}}, {"training": {"stepsLost": 6}})


def test_a_checkpoint_that_is_shown_is_in_the_bucket() -> None:
    assert stored({"training": {"checkpointStep": 50}}) == {"progress"}


def test_images_that_are_saved_never_become_fewer() -> None:
    saved = [{"dataset": {"savedImages": count, "images": 120}} for count in (20, 10)]
    assert stored(*saved) == {"progress"}
    assert not stored(*reversed(saved))


def test_an_attempt_that_has_worked_does_not_start_again() -> None:
    running = {"conditions": {"Trained": ("False", "Running")}}
    starts = {"progress": {"stage": "train", "unit": None, "done": None, "updated": AT, "text": "starting"}}
    attempts = [{"stage": "train", "number": 2, "jobUID": "a"}]
    assert stored({**shown(5)[0], **running}, starts) == {"progress"}
    assert not stored({**shown(5)[0], **running}, {**starts, "attempts": attempts})


def life(bucket: Bucket, stage: str) -> AgentLife:
    return AgentLife(stage, "a", bucket, End(), steps=100, rate=1.0, started_at=0.0)


def test_one_epochs_result_wins() -> None:
    async def publish(hand: Hand, *, first: bool) -> None:
        bucket = hand.world.cluster.buckets[hand.uid] = Bucket()
        lives = [life(bucket, "export") for _ in range(2)]
        for epoch, each in enumerate(lives, 1):
            each.epoch = epoch
            bucket.lives.append(each)
        winner = lives[0 if first else 1]
        await asyncio.sleep(1)
        bucket.results["export"] = Result(winner.epoch, "a", hand.world.loop.time())
        bucket.published.append(("export", winner.epoch))
        hand.invariants._look()

    assert broken_by(lambda hand: publish(hand, first=True)) == {"one epoch's result wins"}
    assert not broken_by(lambda hand: publish(hand, first=False))


def test_a_resume_is_from_the_newest_checkpoint() -> None:
    async def resume(hand: Hand, step: int) -> None:
        hand.world.cluster.buckets[hand.uid] = Bucket(resumed=[(step, 60)])
        hand.invariants._look()

    assert broken_by(lambda hand: resume(hand, 30)) == {"resume from the newest checkpoint"}
    assert not broken_by(lambda hand: resume(hand, 60))
