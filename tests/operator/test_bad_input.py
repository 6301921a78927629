"""Bad input: the exact messages in status and `kubectl get`, from agent and operator in one process.

Specs that the API server refuses are in tests/api; bad input on a real node is in tests/e2e/test_bad_input.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import zoo
from prep_in_memory import Preparation
from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun_agent.errors import StageError, UserError
from trainingrun_agent.reasons.dataset import DATA_CHANGED
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.stages.pretrained_check import check_weights
from trainingrun_agent.storage.failures import Target, explain
from trainingrun_agent.training_settings import Uri
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.weights import fetch_weights
from trainingrun_agent.verdict import Verdict
from trfakes.builders import RunBuilder, a_run, waiting
from trfakes.play import Play
from voc_data import jpeg, labelled, voc

AGAIN = 'To try again: kubectl -n default patch trainingrun tire --type merge -p \'{"spec":{"retry":1}}\''
COPY = "kubectl -n default get trainingrun tire -o yaml | grep -v resourceVersion: > new.yaml"
CREATE = f"To create the new run: (1) {COPY} (2) edit metadata.name and the fields there (3) kubectl create -f new.yaml"
ENDINGS = {"retry": AGAIN, "newRun": CREATE}
REPORT = "Report: s3://detectors/ml/datasets/failed/<digest>/report.html."
CORRECT = (
    "Correct the files that the report names, then raise spec.retry; or create a new TrainingRun with a higher"
    " spec.dataset.maxBadFiles."
)
ARCHIVE = "zoo/ssd_inception_v2_coco_2018_01_28.tar.gz"


@dataclass(frozen=True)
class Shown:
    """What a user reads: the condition's reason, the Progress column, the message."""

    reason: str
    progress: str
    message: str


def shown_in(play: Play, kind: str) -> Shown:
    status = play.status
    text = re.sub("[0-9a-f]{64}", "<digest>", status["message"])
    return Shown(play.condition(kind)["reason"], status["progress"]["text"], text)


def played(error: StageError) -> Play:
    """Simulate a run whose prep ends with this error."""
    play = Play()
    job = play.play_to(Stage.PREP)
    document = Verdict.failed(error, stage="prep").to_json()
    play.end_pod(
        job, document["outcome"], **{name: document[name] for name in ("reason", "message", "hint", "nextStep")}
    )
    play.step(1)
    assert play.status["phase"] == "Failed"
    assert play.condition("Finished")["status"] == "True"
    return play


def commands(error: StageError) -> str:
    """The commands at the end of the message."""
    return ENDINGS[error.entry.step]


@pytest.fixture
def prep(tmp_path: Path) -> Preparation:
    """Sixty images for train, forty for eval, and the API's default limit for bad files."""
    prep = Preparation(tmp_path, max_bad_files="1%")
    for number in range(60):
        prep.add(f"tire_{number:03d}")
    for number in range(40):
        prep.add(f"tire_{number:03d}", split="eval")
    return prep


def truncate(prep: Preparation, count: int) -> None:
    for number in range(count):
        prep.add(f"tire_{number:03d}", jpeg()[:-9])


def lose(prep: Preparation, *keys: str) -> None:
    for key in keys:
        del prep.memory.objects[key]


def misname(prep: Preparation) -> None:
    """One file writes the class in another case; the others are right."""
    prep.add("tire_000", xml=voc([labelled("Tire")]))
    prep.add("tire_001", xml=voc([labelled("Tire")]))


AMONG_100 = "bad files among 100 images (spec.dataset.maxBadFiles 1% allows 1)"
ORPHAN = "AnnotationWithoutImage: no image has this name or the name in <filename>, or the name is not unique"
MALFORMED = "AnnotationMalformed: not well-formed XML: expected '>', line 1, column 387"
MISSPELT = (
    "spec.dataset.classes has 'tire', the labels have 'tire' (58 boxes), 'Tire' (2 boxes); first in tire_000.xml,"
    " tire_001.xml"
)
TRUNCATED = "ImageTruncated: image file is truncated (1 bytes not processed)"
DATA: dict[str, tuple[Callable[[Preparation], Any], str, str, str]] = {
    "class that is not in the data": (
        lambda prep: setattr(prep, "classes", ("tire", "zebra")),
        "ClassNotFound",
        "spec.dataset.classes: no object of class 'zebra' in spec.dataset.train; class names there: 'tire' (60).",
        (
            "Class names are case-sensitive: create a new TrainingRun with spec.dataset.classes: [tire]; or correct the"
            " labels and raise spec.retry."
        ),
    ),
    "class in another case": (
        lambda prep: setattr(prep, "classes", ("Tire",)),
        "ClassNotFound",
        (
            "spec.dataset.classes: no object of class 'Tire' (did you mean 'tire'?) in spec.dataset.train; class names"
            " there: 'tire' (60)."
        ),
        (
            "Class names are case-sensitive: create a new TrainingRun with spec.dataset.classes: [tire]; or correct the"
            " labels and raise spec.retry."
        ),
    ),
    "class in another case in two files": (
        misname,
        "TooManyBadFiles",
        f"2 {AMONG_100}: train tire_000.xml: ClassSpelling: {MISSPELT}.",
        CORRECT,
    ),
    "images missing": (
        lambda prep: lose(prep, "train/tire_003.jpg", "eval/tire_005.jpg"),
        "TooManyBadFiles",
        (
            "2 bad files among 98 images (spec.dataset.maxBadFiles 1% allows 0): "
            f"train tire_003.xml: {ORPHAN}; eval tire_005.xml: {ORPHAN}."
        ),
        CORRECT,
    ),
    "XML broken": (
        lambda prep: [prep.add(name, xml=voc()[:-20]) for name in ("tire_003", "tire_004")],
        "TooManyBadFiles",
        f"2 {AMONG_100}: train tire_003.xml: {MALFORMED}; train tire_004.xml: {MALFORMED}.",
        CORRECT,
    ),
    "five percent of the JPEGs truncated": (
        lambda prep: truncate(prep, 5),
        "TooManyBadFiles",
        (
            f"5 {AMONG_100}: train tire_000.jpg: {TRUNCATED}; "
            f"train tire_001.jpg: {TRUNCATED}; train tire_002.jpg: {TRUNCATED}."
        ),
        CORRECT,
    ),
    "no image at all": (
        lambda prep: lose(prep, *(key for key in list(prep.memory.objects) if key.startswith("eval/"))),
        "EmptyEvalSet",
        "spec.dataset.eval: no image file in it.",
        (
            "Put images and their labels there, then raise spec.retry. If the place is wrong, create a new"
            " TrainingRun with another spec.dataset.eval.uri."
        ),
    ),
    "not one box": (
        lambda prep: [prep.add(f"tire_{number:03d}", xml=voc([])) for number in range(60)],
        "EmptyTrainSet",
        "spec.dataset.train: no usable box in its 60 images.",
        (
            "Draw boxes of the classes in spec.dataset.classes, or correct the files that the report names; then raise"
            " spec.retry."
        ),
    ),
    "not one image": (
        lambda prep: truncate(prep, 60),
        "EmptyTrainSet",
        (
            f"spec.dataset.train: none of its 60 images can be used: train tire_000.jpg: {TRUNCATED}; train "
            f"tire_001.jpg: "
            f"{TRUNCATED}; train tire_002.jpg: {TRUNCATED}."
        ),
        "Correct the files that the report names, each finding says how; then raise spec.retry.",
    ),
}


@pytest.mark.parametrize(("change", "reason", "what", "hint"), DATA.values(), ids=DATA)
def test_data_that_cannot_be_trained_on(
    prep: Preparation, change: Callable[[Preparation], Any], reason: str, what: str, hint: str
) -> None:
    change(prep)
    with pytest.raises(StageError) as caught:
        prep.run()
    play = played(caught.value)
    seen = shown_in(play, "Succeeded")
    assert seen.message == f"{what} {hint} {REPORT} {commands(caught.value)}"
    assert (seen.reason, play.condition("Prepared")["reason"]) == (reason, reason)
    assert seen.progress == f"Preparing: {reason}"


def test_one_truncated_jpeg_is_skipped_and_the_run_goes_on(prep: Preparation) -> None:
    truncate(prep, 1)
    prepared = prep.run()
    play = Play()
    job = play.play_to(Stage.PREP)
    play.end_pod(job, numbers=prepared.numbers)
    play.step(1)
    assert play.condition("Prepared")["status"] == "True"
    dataset = play.status["dataset"]
    assert (dataset["trainImages"], dataset["errors"]) == (59, 1)
    assert dataset["topFindings"] == [f"train: tire_000.jpg: {TRUNCATED}"]
    assert "tire-train-1" in play.created


HINT = (
    "Create a new TrainingRun with another spec.model.pretrained.uri: a .tar.gz of the TensorFlow 1 detection model"
    " zoo, or the export folder of a run. If only the upload was broken, upload it again and raise spec.retry."
)
WEIGHTS = {
    "no archive": (
        b"<!DOCTYPE html><title>404 Not Found</title>",
        "PretrainedUnusable",
        f"spec.model.pretrained: s3://detectors/{ARCHIVE} is not a complete .tar.gz or .tar archive: truncated header.",
        HINT,
    ),
    "archive of something else": (
        zoo.archive({"photo.jpg": b"x"}),
        "PretrainedUnusable",
        (
            f"spec.model.pretrained: s3://detectors/{ARCHIVE} holds no model.ckpt.index and no "
            "model.ckpt.data-00000-of-00001."
        ),
        HINT,
    ),
    "other variables": (
        zoo.zoo_archive(zoo.MOBILENET_WIDE),
        "PretrainedMismatch",
        (
            f"spec.model.pretrained: the weights in s3://detectors/{ARCHIVE} have no variable below "
            "FeatureExtractor/InceptionV2/, where ssd_inception_v2 has its own; they are of ssd_mobilenet_v1."
        ),
        (
            "Create a new TrainingRun with spec.model.network: ssd_mobilenet_v1 (now ssd_inception_v2); or, to keep the"
            " network, create a new TrainingRun with another spec.model.pretrained.uri."
        ),
    ),
}


@pytest.mark.parametrize(("data", "reason", "what", "hint"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_cannot_be_used(prep: Preparation, data: bytes, reason: str, what: str, hint: str) -> None:
    prep.memory.objects[ARCHIVE] = data
    meter = Meter(prep.progress, prep.stop)
    uri = Uri("detectors", ARCHIVE)
    with Folder.open(prep.scratch) as scratch:
        fetch = partial(fetch_weights, prep.memory, uri, shared=scratch, meter=meter)
        with pytest.raises(StageError) as caught:
            check_weights(fetch, uri, network="ssd_inception_v2", scratch=scratch)
    play = played(caught.value)
    assert shown_in(play, "Succeeded") == Shown(
        reason, f"Preparing: {reason}", f"{what} {hint} {commands(caught.value)}"
    )


STORAGE = {
    "no bucket": (
        (404, "NoSuchBucket", "The specified bucket does not exist."),
        "BucketNotFound",
        (
            "Create bucket detectors, then raise spec.retry. If the name is wrong, create a new TrainingRun"
            " with another spec.storage.bucket."
        ),
    ),
    "wrong key": (
        (403, "SignatureDoesNotMatch", "The request signature does not match."),
        "InvalidCredentials",
        (
            "Correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (if any) in the Secret named in "
            "spec.storage.credentials.secretName, then raise spec.retry."
        ),
    ),
    "unknown key": (
        (403, "InvalidAccessKeyId", ""),
        "InvalidCredentials",
        (
            "Correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (if any) in the Secret named in "
            "spec.storage.credentials.secretName, then raise spec.retry."
        ),
    ),
}


@pytest.mark.parametrize(("answer", "reason", "hint"), STORAGE.values(), ids=STORAGE)
def test_storage_that_refuses(answer: tuple[int, str, str], reason: str, hint: str) -> None:
    status, code, text = answer
    reply: Any = {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}
    target = Target("detectors", "http://s3.storage:7070", "storage.bucket")
    play = played(explain(ClientError(reply, "ListObjectsV2"), target, call="ListObjectsV2", key="runs/x/preflight/"))
    what = f"ListObjectsV2 on s3://detectors/runs/x/preflight/ at http://s3.storage:7070 failed: {status} {code}"
    what += f", {text}" if text else ""
    end = "" if text else "."
    assert shown_in(play, "Succeeded") == Shown(reason, f"Preparing: {reason}", f"{what}{end} {hint} {AGAIN}")
    assert shown_in(play, "StorageReady").reason == reason
    assert play.condition("StorageReady")["message"] == f"{what}{end} {hint}"


ASK = (
    "Create a new TrainingRun with an allowed value, or ask your platform team to extend policy.{} of the operator's "
    "Helm values."
)
THEN = AGAIN.replace("To try again", "After that, try again")
REFUSED: dict[str, tuple[RunBuilder, str, str]] = {
    "image that is not on the list": (
        a_run().spec(train={"image": "docker.io/me/trainer:1"}),
        "ForbiddenByPolicy",
        f"spec.train.image: 'docker.io/me/trainer:1' is not allowed here; allowed: trainer:1. {ASK.format('images')}",
    ),
    "Secret that is not on the list": (
        a_run().spec(storage={"credentials": {"secretName": "s3"}}),
        "ForbiddenByPolicy",
        (
            "spec.storage.credentials.secretName: 's3' is not allowed here; allowed: trainingrun-*. "
            f"{ASK.format('secretNames')}"
        ),
    ),
}


@pytest.mark.parametrize(("builder", "reason", "what"), REFUSED.values(), ids=REFUSED)
def test_a_spec_that_policy_refuses(builder: RunBuilder, reason: str, what: str) -> None:
    play = Play(builder)
    play.step()
    assert shown_in(play, "Accepted") == Shown(reason, reason, f"{what} {THEN}")
    assert play.condition("Accepted")["message"] == what
    assert play.created == []


NO_GPU = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu"
STEP = "Create a new TrainingRun with spec.train.gpus: 0, which trains on the CPU, or free or add such a node."
IMAGE = (
    "If the name is wrong, create a new TrainingRun with another spec.train.image, or once your platform team has "
    "corrected images of the operator's Helm values. Otherwise push the image, or create the Secret that pulls it."
)
STARTS = "The pod then starts by itself."


def waiting_for_a_gpu(**fields: Any) -> tuple[Play, str]:
    play = Play(a_run().spec(train={"gpus": 1}, **fields))
    job = play.play_to(Stage.TRAIN)
    unschedulable = f"{NO_GPU}. preemption: 0/2 nodes are available"
    play.start_pod(job, phase="Pending", scheduled_at="", containers={}, unschedulable=unschedulable)
    play.step(3)
    return play, job


def test_a_gpu_on_a_cluster_without_any_is_waited_for_with_the_cause() -> None:
    play, job = waiting_for_a_gpu()
    what = f"No node can run pod {job}-x1: {NO_GPU}."
    assert shown_in(play, "Trained") == Shown(
        "PodUnschedulable", "Training: waiting (PodUnschedulable)", f"{what} {STEP} {STARTS}"
    )
    play.step(86400 * 30)
    assert (play.status["phase"], play.condition("Finished")["status"]) == ("Training", "False")


def test_a_gpu_that_does_not_come_by_the_deadline_ends_the_run() -> None:
    play, job = waiting_for_a_gpu(startDeadlineSeconds=60)
    play.step(58)
    what = (
        f"The pod of {job} did not start within spec.startDeadlineSeconds (60 s): "
        f"No node can run pod {job}-x1: {NO_GPU}."
    )
    assert shown_in(play, "Succeeded") == Shown(
        "StartDeadlineExceeded",
        "Training: StartDeadlineExceeded",
        f"{what} {STEP} {AGAIN}",
    )
    assert job not in play.jobs


def test_an_image_that_cannot_be_pulled_is_waited_for_with_the_cause() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    pull_error = 'Back-off pulling image "trainer:1": ErrImagePull: not found'
    pod = play.start_pod(job, phase="Pending")
    play.change_pod(job, containers={**pod.containers, "trainer": waiting("ImagePullBackOff", pull_error)})
    play.step(3)
    what = f"Container trainer: ImagePullBackOff: {pull_error}."
    assert shown_in(play, "Trained") == Shown(
        "ImagePullFailed",
        "Training: waiting (ImagePullFailed)",
        f"{what} {IMAGE} {STARTS}",
    )
    assert clock.parse(play.status["progress"]["updated"])


def test_a_long_message_keeps_the_next_step() -> None:
    play = played(UserError(DATA_CHANGED, files="x" * 1400))
    message = play.status["message"]
    assert 680 < len(message) <= 690
    assert message.endswith(f"x… Wait until no more files change, then raise spec.retry. {AGAIN}")
