"""What an earlier version stored in a bucket is used by today's agent: data set, checkpoints, results."""

from __future__ import annotations

import json
import re

import pytest

from agent_run import Run
from stage_verdict import verdict_of
from trainingrun_agent.errors import Outcome
from trainingrun_agent.stages import export, prep, train
from trdemo.trainer_stand_in import EXPORTED
from trfakes.recording import NAMESPACE, RECORDINGS, Recording

pytestmark = pytest.mark.contract


@pytest.fixture(params=RECORDINGS, ids=[recording.folder.name for recording in RECORDINGS])
def recording(request: pytest.FixtureRequest) -> Recording:
    found: Recording = request.param
    return found


def resume(run: Run, recording: Recording, name: str, *, without: str = "-") -> None:
    """Continue a run run, in the bucket of the test; `without` is the end of a key that is left out."""
    store = run.pod("prep").out
    for key, body in recording.bucket():
        if key.startswith(("datasets/", "tire/", f"runs/{NAMESPACE}/{name}-")) and not key.endswith(without):
            store.put(key, body)
    document = json.loads(document_of(recording, name))
    here = run.document["storage"]
    document["storage"] |= {key: here[key] for key in ("endpoint", "bucket", "addressing")}
    for part in ("train", "eval"):
        document["dataset"][part]["bucket"] = here["bucket"]
    run.document = document


def document_of(recording: Recording, name: str) -> str:
    bodies = recording.objects()["configmaps"]
    body = next(each for each in bodies if each["metadata"]["name"].startswith(f"{name}-resolved-"))
    return str(body["data"]["resolved.json"])


def test_training_resumes_from_the_recorded_checkpoint(run: Run, recording: Recording) -> None:
    resume(run, recording, "suspended")
    manifests = [key.split("/") for key, _ in recording.bucket() if re.search("/suspended-.*/MANIFEST.json", key)]
    reached = max(int(parts[-2]) for parts in manifests)
    context = run.pod("train")
    run.start_trainer(context, seconds_per_step=0, save_every=1000)
    verdict = verdict_of(train, context)
    assert (verdict.outcome, verdict.reason) == (Outcome.SUCCEEDED, "Trained"), verdict
    assert context.progress.snapshot()["resumedFromStep"] == reached
    assert verdict.numbers["step"] == run.document["train"]["steps"]


def test_a_run_that_was_preparing_prepares_the_same_again(run: Run, recording: Recording) -> None:
    """A data set of the first version is not taken for today's, because labels are read in more ways now."""
    resume(run, recording, "preparing")
    verdict = verdict_of(prep, run.pod("prep"))
    assert verdict.outcome is Outcome.SUCCEEDED, verdict
    recorded = recording.get("trainingruns", "training")["status"]["dataset"]
    counts = ("trainImages", "evalImages", "errors")
    assert [verdict.numbers[name] for name in counts] == [recorded[name] for name in counts]
    same = recording.folder.name != "0.1.0"
    assert (verdict.numbers["reused"], verdict.numbers["digest"] == recorded["digest"]) == (same, same)


def test_the_recorded_training_is_exported(run: Run, recording: Recording) -> None:
    resume(run, recording, "succeeded", without="exported.json")
    context = run.pod("export")
    run.start_trainer(context, export=EXPORTED)
    verdict = verdict_of(export, context)
    assert (verdict.outcome, verdict.reason) == (Outcome.SUCCEEDED, "Exported"), verdict
    assert verdict.numbers["checkpointStep"] == 40
