"""Preparations that are interrupted: they go on where they were, and count as no failure while they advance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainingrun.api import clock
from trfakes.play import Play

LONG = 600  # seconds, longer than every back-off


def test_interruptions_of_a_preparation_are_unlimited_while_it_saves_images() -> None:
    play = Play()
    play.step()
    for number in range(1, 21):
        play.end_pod(f"tire-prep-{number}", "interrupted", numbers={"images": 5000, "savedImages": number * 100})
        play.step()
        play.step(LONG)
        assert play.created[-1] == f"tire-prep-{number + 1}"
    assert play.attempts("prep")["failures"] == {"interrupted": 1}
    assert play.attempts("prep")["savedImages"] == 2000


def test_the_next_attempt_of_a_preparation_says_where_it_goes_on() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", "interrupted", numbers={"images": 5000, "savedImages": 1200})
    play.step()
    assert play.status["message"] == "Attempt 2 of prep goes on at image 1200 of 5000."
    assert play.status["progress"]["text"] == "Preparing: attempt 2 goes on at image 1200 of 5000"


def test_interruptions_of_a_preparation_that_saves_nothing_more_end_the_run() -> None:
    play = Play()
    play.step()
    for number in range(1, 7):
        play.end_pod(f"tire-prep-{number}", "interrupted", numbers={"images": 5000, "savedImages": 1200})
        play.step()
        play.step(LONG)
    assert (play.status["phase"], play.attempts("prep")["number"]) == ("Failed", 6)


def test_interruptions_without_a_verdict_count_the_images_of_progress() -> None:
    """The pod of a lost node leaves no verdict, and an agent of an older version reports no saved images."""
    play = Play()
    play.step()
    for number in range(1, 11):
        job = f"tire-prep-{number}"
        pod = play.start_pod(job)
        play.progress = {"podUID": pod.uid, "phase": "checking", "images": 5000, "savedImages": number * 100}
        play.step(1)
        assert play.status["dataset"] == {"images": 5000, "savedImages": number * 100}
        play.change_pod(job, gone=True, deletion_at=clock.to_text(play.now))
        play.jobs[job] = replace(play.jobs[job], finished="Failed")
        play.step()
        play.step(LONG)
        assert play.created[-1] == f"tire-prep-{number + 1}"
    assert play.attempts("prep")["failures"] == {"interrupted": 1}


@pytest.mark.parametrize(("outcome", "attempts"), [("crash", 4), ("outOfMemory", 2)])
def test_a_preparation_that_fails_by_itself_is_counted_also_when_it_saves_images(outcome: str, attempts: int) -> None:
    play = Play()
    play.step()
    for number in range(1, attempts + 1):
        play.end_pod(f"tire-prep-{number}", outcome, numbers={"images": 5000, "savedImages": number * 100})
        play.step()
        play.step(LONG)
        assert play.status["phase"] == ("Failed" if number == attempts else "Preparing")


def test_a_data_set_that_is_prepared_anew_begins_at_its_first_image() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", "interrupted", numbers={"images": 5000, "savedImages": 1200})
    play.step()
    play.end_pod("tire-prep-2")
    play.step()
    assert play.created[-1] == "tire-train-1"
    assert "savedImages" not in play.attempts("prep")
    assert play.status["dataset"].keys().isdisjoint({"images", "savedImages"})
