"""What the end of a run says about its scores."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.api.names import Stage
from trfakes.fake_cluster import NUMBERS
from trfakes.play import Play

SCORE = "Exported checkpoint 150 with AP@.5 0.912"


def ended(prep: dict[str, Any], export: dict[str, Any]) -> Play:
    play = Play()
    play.step(1)
    play.end_pod("tire-prep-1", numbers={**NUMBERS["prep"], **prep})
    play.end_pod(play.play_to(Stage.EXPORT), numbers={**NUMBERS["export"], **export})
    play.step(1)
    return play


@pytest.mark.parametrize(
    ("prep", "export", "message"),
    [
        ({}, {}, f"{SCORE}."),
        (
            {},
            {"evalImages": 12, "ap50Uncertainty": 0.2104, "mAPUncertainty": 0.24},
            f"{SCORE} ± 0.210 (95 % interval for 12 images).",
        ),
        (
            {"evalImages": 67, "evalImagesInTrain": 67},
            {},
            f"{SCORE}. 67 of 67 evaluation images are training images: the score says little about other images.",
        ),
        (
            {"evalImages": 1200, "evalImagesInTrain": 30, "evalImagesLikeTrain": 1000},
            {},
            (
                f"{SCORE}. 30 of 1 200 evaluation images are training images, 1 000 of 1 200 evaluation images look"
                " like training images: the score says little about other images."
            ),
        ),
    ],
    ids=["nothing to say", "few images", "eval is train", "some of both"],
)
def test_the_end_says_what_the_score_is_worth(prep: dict[str, Any], export: dict[str, Any], message: str) -> None:
    play = ended(prep, export)
    assert play.status["message"] == message
    [condition] = [one for one in play.status["conditions"] if one["type"] == "Succeeded"]
    assert condition["message"] == message


def test_the_event_of_preparation_counts_images_that_training_has_seen() -> None:
    play = Play()
    play.step(1)
    play.end_pod("tire-prep-1", numbers={**NUMBERS["prep"], "evalImagesInTrain": 20})
    [event] = [one for one in play.step(1).draft.events if one.reason == "Prepared"]
    assert "20 of 20 evaluation images are training images" in event.message


def test_counts_of_an_earlier_preparation_do_not_stay() -> None:
    play = Play()
    play.step(1)
    play.status["dataset"] = {"evalImagesInTrain": 20}
    play.end_pod("tire-prep-1", numbers=NUMBERS["prep"])
    play.step(1)
    assert "evalImagesInTrain" not in play.status["dataset"]
