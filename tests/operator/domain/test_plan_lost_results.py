"""What a later stage finds lost or damaged in the bucket is made again, by the stage that made it."""

from __future__ import annotations

import pytest

from trainingrun.api.names import Stage
from trfakes.play import Play

LONG = 600  # seconds, longer than every back-off


def jobs(play: Play) -> list[str]:
    """The Jobs that were created, without TensorBoard."""
    return [name for name in play.created if " " not in name]


def lose_dataset(play: Play, job: str) -> None:
    play.end_pod(job, "storageRefused", reason="DatasetLost", message="the prepared data set is lost or damaged: x")
    play.step()


def prepare_again(play: Play, number: int) -> None:
    play.step(1)
    assert jobs(play)[-1] == f"tire-prep-{number}"
    play.end_pod(f"tire-prep-{number}")
    play.step(1)


def test_a_lost_data_set_is_prepared_again_by_itself_and_training_goes_on() -> None:
    play = Play()
    lose_dataset(play, play.play_to(Stage.TRAIN))
    assert play.condition("Prepared") | {"lastTransitionTime": "", "message": ""} == {
        "type": "Prepared",
        "status": "False",
        "reason": "ResultsLost",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": "",
    }
    assert (play.condition("Trained")["reason"], play.condition("Finished")["status"]) == ("DatasetLost", "False")
    assert play.condition("StorageReady")["status"] == "True"
    prepare_again(play, 2)
    assert play.condition("Prepared")["status"] == "True"
    assert jobs(play) == ["tire-prep-1", "tire-train-1", "tire-prep-2", "tire-train-2"]
    assert [event.message for event in play.events if event.reason == "DatasetLost"] == [
        "Attempt 1 of train ended: the prepared data set is lost or damaged: x. The data set is prepared again."
    ]


def test_a_data_set_that_is_lost_again_and_again_ends_the_run() -> None:
    play = Play()
    lose_dataset(play, play.play_to(Stage.TRAIN))
    prepare_again(play, 2)
    lose_dataset(play, "tire-train-2")
    prepare_again(play, 3)
    lose_dataset(play, "tire-train-3")
    play.step(LONG)
    assert play.status["phase"] == "Failed"
    assert play.condition("Succeeded")["reason"] == "DatasetLost"
    assert jobs(play)[-1] == "tire-train-3"


def test_a_new_checkpoint_between_losses_renews_the_budget() -> None:
    play = Play()
    lose_dataset(play, play.play_to(Stage.TRAIN))
    prepare_again(play, 2)
    for number in range(2, 9, 2):
        play.end_pod(f"tire-train-{number}", "interrupted", numbers={"checkpointStep": number * 50})
        play.step()
        play.step(LONG)
        lose_dataset(play, f"tire-train-{number + 1}")
        prepare_again(play, number // 2 + 2)
    assert play.condition("Finished")["status"] == "False"


def test_a_data_set_lost_before_the_export_does_not_train_again() -> None:
    play = Play()
    lose_dataset(play, play.play_to(Stage.EXPORT))
    prepare_again(play, 2)
    assert jobs(play)[-2:] == ["tire-prep-2", "tire-export-2"]
    assert play.condition("Trained")["status"] == "True"


@pytest.mark.parametrize(
    ("stage", "outcome", "reason", "again"),
    [
        ("train", "storageRefused", "DatasetLost", "prep"),
        ("train", "storageRefused", "ObjectNotFound", "prep"),
        ("train", "crash", "IntegrityError", "prep"),
        ("train", "crash", "ResultMissing", "prep"),
        ("export", "crash", "ResultMissing", "prep"),
        ("export", "crash", "CheckpointMissing", "train"),
        ("train", "crash", "TrainerDied", "train"),
        ("train", "storageRefused", "AccessDenied", "train"),
        ("export", "crash", "ExporterDied", "export"),
    ],
)
def test_a_retry_goes_back_to_the_stage_whose_results_are_lost(
    stage: str, outcome: str, reason: str, again: str
) -> None:
    """Also for a status that an older operator wrote: it knows no reason of its own for a lost data set."""
    play = Play()
    play.play_to(Stage(stage))
    while play.status["phase"] != "Failed":
        job = jobs(play)[-1]
        play.end_pod(job, "succeeded" if "-prep-" in job else outcome, reason=reason)
        play.step()
        play.step(LONG)
    play.spec(retry=1)
    play.step(1)
    assert jobs(play)[-1].rpartition("-")[0] == f"tire-{again}"


def test_training_runs_again_when_its_results_are_lost_and_then_the_export() -> None:
    play = Play()
    play.play_to(Stage.EXPORT)
    for number in range(1, 5):
        play.end_pod(f"tire-export-{number}", "crash", reason="ResultMissing")
        play.step()
        play.step(LONG)
    play.spec(retry=1)
    play.step(1)
    play.end_pod("tire-prep-2")
    play.step(1)
    play.end_pod("tire-train-2")
    play.step(1)
    assert jobs(play)[-3:] == ["tire-prep-2", "tire-train-2", "tire-export-5"]


def test_a_second_retry_for_another_reason_prepares_nothing() -> None:
    play = Play()
    play.play_to(Stage.TRAIN)
    play.end_pod("tire-train-1", "storageRefused", reason="ObjectNotFound")
    play.step()
    play.spec(retry=1)
    play.step(1)
    play.end_pod("tire-prep-2")
    play.step(1)
    play.end_pod("tire-train-2", "userError", reason="BoxOutsideImage")
    play.step(1)
    play.spec(retry=2)
    play.step(1)
    assert jobs(play)[-1] == "tire-train-3"
