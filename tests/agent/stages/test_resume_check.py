"""Prep checks the run to continue before a GPU is reserved: the exact message for each reason why it cannot be."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

import pipeline_wishes
from stage_verdict import verdict_of
from trainingrun_agent.attempt_record import AttemptRecord
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UserError
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prep import prepare
from trainingrun_agent.progress import Progress
from trainingrun_agent.stages import prep
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.storage.s3 import S3Store
from voc_data import jpeg, voc

pytestmark = pytest.mark.contract
OTHER = "0a0a0a0a-0000-4000-8000-000000000000"
FOLDER = "ml/vision/runs/team-a/tire-0a0a0a0a"


class Setup:
    """A bucket with images, and in it a run that was prepared and has saved checkpoints."""

    def __init__(self, config: Callable[[], AgentConfig], document: dict[str, Any], store: S3Store) -> None:
        self._config, self._document, self.store = config, document, store
        for key in ("tire/images/train/0", "tire/images/test/0"):
            store.put(f"{key}.jpg", jpeg())
            store.put(f"{key}.xml", voc())
        self.run = copy.deepcopy(document["run"])
        self.prepare_as(OTHER)
        for step in (20, 40):
            self.checkpoint(step)

    def context(self, uid: str) -> StageContext:
        self._document["run"]["uid"] = uid
        config = self._config()
        progress, clock = Progress(stage="prep", pod_uid=config.pod_uid), Clock()
        return StageContext(
            config, lambda _: self.store, progress, threading.Event(), clock, AttemptRecord(clock, progress)
        )

    def prepare_as(self, uid: str) -> dict[str, Any]:
        context = self.context(uid)
        prep.run(context)
        return dict(context.record.numbers)

    def checkpoint(self, step: int) -> str:
        run = BucketKeys("ml/vision").run(namespace="team-a", name="tire", uid=OTHER)
        folder = run.attempt("train", epoch=2, pod_uid="abcdef01").checkpoint(step)
        data = f"step {step}".encode()
        names = [f"model.ckpt-{step}.data-00000-of-00001", f"model.ckpt-{step}.index"]
        objects = tuple(ManifestObject(n, len(data), hashlib.sha256(data).hexdigest(), "data") for n in names)
        for name in names:
            self.store.put(f"{folder}/{name}", data)
        manifests.write(self.store, folder, Manifest("checkpoint", Producer("p", 2), "2026-01-01", objects, step=step))
        return folder

    def resume(self, folder: str = f"{FOLDER}/", **changes: Any) -> dict[str, Any]:
        self.ask(folder)
        for path, value in changes.items():
            group, _, name = path.partition("__")
            self._document[group][name] = value
        return self.prepare_as(self.run["uid"])

    def ask(self, folder: str = f"{FOLDER}/") -> None:
        self._document["resumeFrom"] = {"bucket": self.store.bucket, "key": folder}

    def replace(self, name: str, **values: Any) -> None:
        """Change top-level values of a document in the other run's folder; None removes one."""
        key = f"{FOLDER}/{name}"
        document = {**json.loads(self.store.get(key, max_bytes=1 << 20)), **values}
        kept = {field: value for field, value in document.items() if value is not None}
        self.store.put(key, json.dumps(kept).encode())


@pytest.fixture
def setup(
    s3_config: AgentConfig, s3_store: S3Store, make_config: Callable[..., AgentConfig], document: dict[str, Any]
) -> Setup:
    return Setup(make_config, document, s3_store)


def test_a_run_that_can_be_continued_passes(setup: Setup, contract: Callable[[str, Any], None]) -> None:
    setup.ask()
    verdict = verdict_of(prep, setup.context(setup.run["uid"])).to_json()
    uri = f"s3://{setup.store.bucket}/{FOLDER}/"
    assert verdict["numbers"]["resumedFrom"] == {"uri": uri, "step": 40, "dataset": "Same"}
    contract("verdict", verdict)
    assert " labels; training continues from step 40, with the same data set; " in verdict["message"]
    contract("stage-result", json.loads(setup.store.get(f"{FOLDER}/prepared.json", max_bytes=1 << 20)))


def test_a_second_attempt_at_prep_says_the_same(setup: Setup) -> None:
    first, second = setup.resume(), setup.resume()
    assert second["resumedFrom"] == first["resumedFrom"]


def test_an_image_more_is_allowed_and_said(setup: Setup) -> None:
    setup.store.put("tire/images/train/1.jpg", jpeg())
    setup.store.put("tire/images/train/1.xml", voc())
    assert setup.resume()["resumedFrom"]["dataset"] == "Changed"


def test_an_upgrade_that_prepares_data_otherwise_is_no_change(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "OUTPUT_FORMAT", prepare.OUTPUT_FORMAT + 1)
    numbers = setup.resume()
    assert numbers["reused"] is False
    assert numbers["resumedFrom"]["dataset"] == "Same"


def test_data_of_a_version_that_recorded_no_digest_is_not_known(setup: Setup) -> None:
    setup.replace("prepared.json", dataDigest=None)
    assert setup.resume()["resumedFrom"]["dataset"] == "Unknown"


def test_a_newest_checkpoint_that_is_cut_is_passed_over(setup: Setup) -> None:
    folder = setup.checkpoint(60)
    setup.store.put(f"{folder}/model.ckpt-60.index", b"s")
    assert setup.resume()["resumedFrom"]["step"] == 40


@pytest.mark.parametrize("trained", [b"true", b"false"])
def test_faster_rcnn_goes_on_with_its_batch_norm_frozen_or_not(setup: Setup, trained: bytes) -> None:
    """By itself, a run of so many steps without weights of its own would train it, one of fewer steps would not."""
    described = json.loads(setup.store.get(f"{FOLDER}/run.json", max_bytes=1 << 20))["resolved"]
    setup.replace(
        "run.json", resolved={**described, "model": {**described["model"], "network": "faster_rcnn_resnet50"}}
    )
    steps = 900 if trained == b"true" else 5000
    theirs = pipeline_wishes.default("faster_rcnn_resnet50", num_classes=1, steps=1000, pretrained=False).encode()
    assert b"batch_norm_trainable: true" in theirs
    theirs = theirs.replace(b"batch_norm_trainable: true", b"batch_norm_trainable: " + trained)
    setup.store.put(f"{FOLDER}/pipeline.config", theirs)
    numbers = setup.resume(model__network="faster_rcnn_resnet50", train__steps=steps)
    key = numbers["configURI"].split("/", 3)[3]
    assert b"batch_norm_trainable: " + trained in setup.store.get(key, max_bytes=1 << 20)
    assert numbers["configChanges"] == 0


def expect(setup: Setup, reason: str, message: str, hint: str, **options: Any) -> None:
    with pytest.raises(UserError) as caught:
        setup.resume(**options)
    place = f"s3://{setup.store.bucket}/{FOLDER}/"
    found = caught.value
    assert (found.reason, found.message, found.hint) == (reason, message.format(place=place), hint.format(place=place))


INSTEAD = "start from its export with spec.model.pretrained instead of spec.resumeFrom"


@pytest.mark.parametrize("steps", [40, 30])
def test_no_more_steps_than_that_run_made(setup: Setup, steps: int) -> None:
    message = (
        f"spec.train.steps is {steps}, but the newest checkpoint of {{place}} is of step 40: nothing would be left to "
        "train"
    )
    hint = (
        "Steps count from the beginning of that run: create a new TrainingRun with spec.train.steps: "
        f"{40 + steps} (now {steps})."
    )
    expect(setup, "ResumeFromStepsTooFew", message, hint, train__steps=steps)


@pytest.mark.parametrize(
    ("ours", "message", "to"),
    [
        (
            ["tire", "wheel"],
            "spec.dataset.classes is [tire, wheel], but {place} was trained with [tire]",
            "[tire]",
        ),
        (["Tire"], "spec.dataset.classes is [Tire], but {place} was trained with [tire]", "[tire]"),
    ],
    ids=["more", "another name"],
)
def test_other_classes(setup: Setup, ours: list[str], message: str, to: str) -> None:
    hint = (
        f"Create a new TrainingRun with spec.dataset.classes: {to}. For other classes, create a new TrainingRun: "
        f"{INSTEAD}; the class heads then start anew."
    )
    expect(setup, "ResumeFromOtherClasses", message, hint, dataset__classes=ours)


def test_classes_in_another_order(setup: Setup) -> None:
    described = json.loads(setup.store.get(f"{FOLDER}/run.json", max_bytes=1 << 20))["resolved"]
    setup.replace("run.json", resolved={**described, "dataset": {**described["dataset"], "classes": ["a", "b"]}})
    message = "spec.dataset.classes is [b, a], but {place} was trained with [a, b], which are the same in another order"
    hint = (
        "Create a new TrainingRun with spec.dataset.classes: [a, b]. For other classes, create a new TrainingRun: "
        f"{INSTEAD}; the class heads then start anew."
    )
    expect(setup, "ResumeFromOtherClasses", message, hint, dataset__classes=["b", "a"])


def test_another_network(setup: Setup) -> None:
    message = "spec.model.network is ssd_mobilenet_v1, but {place} was trained with ssd_inception_v2"
    hint = "Create a new TrainingRun with spec.model.network: ssd_inception_v2 (now ssd_mobilenet_v1)."
    expect(setup, "ResumeFromMismatch", message, hint, model__network="ssd_mobilenet_v1")


def test_another_configuration_of_the_same_network(setup: Setup) -> None:
    key = f"{FOLDER}/pipeline.config"
    theirs = setup.store.get(key, max_bytes=1 << 20).replace(b"use_moving_average: false", b"use_moving_average: true")
    setup.store.put(key, theirs)
    message = (
        "spec.resumeFrom: {place}pipeline.config differs from this run in train_config.optimizer, so its checkpoint "
        "does not fit"
    )
    hint = f"Create a new TrainingRun with the same network, model settings and optimizer as that run; or {INSTEAD}."
    expect(setup, "ResumeFromMismatch", message, hint)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("run.json", None, ""),
        ("run.json", b"{}", ""),
        ("run.json", b'{"resolved": {"dataset": {"classes": 1}}}', ": it names no classes"),
        ("pipeline.config", b"hello {", ": it is not a configuration of a known network"),
    ],
    ids=["no run.json", "empty run.json", "no classes", "no configuration"],
)
def test_a_folder_that_does_not_say_what_it_trained(setup: Setup, name: str, data: bytes | None, problem: str) -> None:
    if data is None:
        setup.store.delete(f"{FOLDER}/{name}")
    else:
        setup.store.put(f"{FOLDER}/{name}", data)
    message = f"spec.resumeFrom: {{place}}{name} cannot be read{problem}, so nobody can tell whether it fits this run"
    hint = f"Put it back, then raise spec.retry; or create a new TrainingRun: {INSTEAD}."
    expect(setup, "ResumeFromUnreadable", message, hint)


def test_a_folder_without_a_checkpoint(setup: Setup) -> None:
    for step in (20, 40):
        setup.store.delete(f"{setup.checkpoint(step)}/MANIFEST.json")
    message = "spec.resumeFrom: {place} has no complete checkpoint below train/"
    hint = (
        "Create a new TrainingRun with another spec.resumeFrom: a run whose checkpoints are still there. If that run "
        f"has exported a model, create a new TrainingRun: {INSTEAD}."
    )
    expect(setup, "ResumeFromNoCheckpoint", message, hint)


def test_a_folder_that_does_not_exist(setup: Setup) -> None:
    with pytest.raises(UserError) as caught:
        setup.resume("runs/none/")
    assert caught.value.reason == "ResumeFromNotFound"
    assert caught.value.message == f"spec.resumeFrom: no object below s3://{setup.store.bucket}/runs/none/"
    assert caught.value.hint == (
        "Create a new TrainingRun with another spec.resumeFrom.uri: status.storageURI of the run to continue, as it "
        "was there (case matters)."
    )
