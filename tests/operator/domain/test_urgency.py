"""How urgent a run is: what is in flight before what is new, and progress after both."""

from __future__ import annotations

import pytest

from trainingrun.api.names import Stage
from trainingrun.domain.urgency import Urgency, urgency_of
from trfakes.builders import RunBuilder, a_job, a_pod, a_run, running, terminated

JOB = a_job(Stage.TRAIN, 2)
BEGUN = {"stage": "train", "number": 2, "ended": 1, "jobUID": JOB.uid}
WORKING = {"agent": running(), "trainer": running()}
ENDED = {"agent": terminated(), "trainer": terminated()}


def at_work() -> RunBuilder:
    before = {"stage": "prep", "number": 1, "ended": 1, "jobUID": "prep"}
    return a_run().status(attempts=[before, BEGUN], observedGeneration=1)


def test_a_run_that_is_gone_holds_what_it_has() -> None:
    assert urgency_of(None, jobs=(), pods=()) is Urgency.ENDED


def test_a_run_without_attempts_is_new() -> None:
    assert urgency_of(a_run().build(), jobs=(), pods=()) is Urgency.NEW


@pytest.mark.parametrize(
    ("pod", "urgency"),
    [
        (None, Urgency.STARTING),
        (a_pod(Stage.TRAIN, 2, job_uid=JOB.uid), Urgency.STARTING),
        (a_pod(Stage.TRAIN, 2, job_uid=JOB.uid, containers=WORKING), Urgency.WORKING),
        (a_pod(Stage.TRAIN, 2, job_uid=JOB.uid, containers=ENDED), Urgency.ENDED),
        (a_pod(Stage.TRAIN, 2, job_uid=JOB.uid, phase="Failed"), Urgency.ENDED),
        (a_pod(Stage.TRAIN, 2, job_uid=JOB.uid, containers=WORKING).departed(), Urgency.ENDED),
        (a_pod(Stage.TRAIN, 1, job_uid="of the attempt before", phase="Failed"), Urgency.STARTING),
    ],
)
def test_an_attempt_is_as_urgent_as_its_pod(pod: object, urgency: Urgency) -> None:
    assert urgency_of(at_work().build(), jobs=(JOB,), pods=[pod] if pod else []) is urgency  # type: ignore[list-item]


@pytest.mark.parametrize("jobs", [(), (a_job(Stage.TRAIN, 2, finished="Failed"),)], ids=["gone", "finished"])
def test_an_attempt_whose_job_has_ended_has_ended(jobs: tuple[object, ...]) -> None:
    assert urgency_of(at_work().build(), jobs=jobs, pods=()) is Urgency.ENDED  # type: ignore[arg-type]


def test_a_run_between_two_attempts_starts() -> None:
    run = a_run().status(attempts=[{**BEGUN, "ended": 2}], observedGeneration=1).build()
    assert urgency_of(run, jobs=(), pods=()) is Urgency.STARTING


def test_a_finished_run_comes_last_until_its_user_changes_it() -> None:
    run = at_work().condition("Finished")
    assert urgency_of(run.build(), jobs=(), pods=()) is Urgency.FINISHED
    changed = run.status(observedGeneration=0)
    assert urgency_of(changed.build(), jobs=(), pods=()) is Urgency.NEW
