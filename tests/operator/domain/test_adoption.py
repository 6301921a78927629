"""The document of a run accepted before digests were kept: adopted once, if the operator could have written it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import resolved_name
from trainingrun.api.run import Run
from trainingrun.api.settings import Policy
from trainingrun.domain.adoption import why_not_ours
from trainingrun.domain.policy import repository
from trfakes.builders import SETTINGS
from trfakes.recording import FOLDER, Recording

OBJECTS = Recording(FOLDER / "0.1.0").objects()
RUNS = [body["metadata"]["name"].rpartition("-resolved-")[0] for body in OBJECTS["configmaps"]]
REGISTRY = "trainingrun.dev"
POLICY = Policy(images=(f"{REGISTRY}/*",), endpoints=("http://s3.storage:7070",))
UPGRADED = replace(
    SETTINGS,
    agent_image=f"{REGISTRY}/agent:new",
    trainer_image=f"{REGISTRY}/trainer:new",
    tensorboard_image=f"{REGISTRY}/tensorboard:new",
    policy=POLICY,
)


def written(plural: str, name: str) -> dict[str, Any]:
    (found,) = (body for body in OBJECTS[plural] if body["metadata"]["name"] in {name, map_of(name)})
    return dict(copy.deepcopy(found))


def map_of(run: str) -> str:
    (uid,) = (body["metadata"]["uid"] for body in OBJECTS["trainingruns"] if body["metadata"]["name"] == run)
    return resolved_name(run, uid=uid)


def old_run(**spec: Any) -> Run:
    run = Run.from_object(written("trainingruns", "training"))
    return replace(run, spec={**run.spec, **spec})


def old_document() -> dict[str, Any]:
    return dict(json.loads(written("configmaps", "training")["data"]["resolved.json"]))


def with_value(path: str, value: object) -> dict[str, Any]:
    document = inner = old_document()
    *folders, last = path.split("/")
    for name in folders:
        inner = inner[name]
    inner[last] = value
    return document


def without(path: str) -> dict[str, Any]:
    document = inner = old_document()
    *folders, last = path.split("/")
    for name in folders:
        inner = inner[name]
    del inner[last]
    return document


@pytest.mark.parametrize("name", RUNS)
def test_what_the_version_before_wrote_is_adopted_after_an_upgrade(name: str) -> None:
    document = json.loads(written("configmaps", name)["data"]["resolved.json"])
    assert why_not_ours(Run.from_object(written("trainingruns", name)), document, settings=UPGRADED) == ""


@pytest.mark.parametrize(
    ("forged", "named"),
    [
        (with_value("images/agent", f"{REGISTRY}-evil/agent:0.1.0"), "images.agent is"),
        (with_value("images/agent", "evil@sha256:ab"), "images.agent is"),
        (with_value("images/agent", ["evil"]), "images.agent differs"),
        (with_value("images/tensorboard", "evil:1"), "images.tensorboard is 'evil:1'"),
        (with_value("images/trainer", "evil:1"), "images.trainer differs from the spec"),
        (with_value("images/helper", "evil:1"), "images differs"),
        (with_value("images", "evil:1"), "images differs"),
        (without("images"), "images differs"),
        (with_value("storage/endpoint", "http://169.254.169.254"), "storage.endpoint differs"),
        (with_value("storage/refusedNetworks", ["10.0.0.0/8"]), "storage.refusedNetworks differs"),
        (without("storage/refusedNetworks"), "storage.refusedNetworks differs"),
        (with_value("storage/proxy", "http://evil"), "storage.proxy differs"),
        (with_value("storage/encryption", {"type": "AES256", "kmsKeyId": None}), "storage.encryption differs"),
        (
            with_value("storage/webIdentity", {"roleARN": None, "stsEndpoint": "https://sts.evil.example"}),
            "storage.webIdentity differs",
        ),
        (with_value("dataset/train/bucket", "of-others"), "dataset.train.bucket differs"),
        (with_value("train/gpus", 8), "train.gpus differs"),
        (with_value("train/steps", "150"), "train.steps differs"),
        (with_value("train/steps", 150.0), "train.steps differs"),
        (with_value("train/batchSize", "8"), "train.batchSize differs"),
        (with_value("run/uid", "another"), "run.uid differs"),
        (with_value("contractVersion", True), "contractVersion differs"),
        (with_value("model/pretrained", {"bucket": "x", "key": "y"}), "model.pretrained differs"),
        ({"contractVersion": 1}, "differs from the spec"),
        ({}, "differs from the spec"),
    ],
)
def test_what_the_operator_would_not_have_written_is_named(forged: dict[str, Any], named: str) -> None:
    assert named in why_not_ours(old_run(), forged, settings=UPGRADED)


@pytest.mark.parametrize("field", ["batchSize", "saveEverySteps"])
def test_defaults_may_have_been_others_but_not_what_the_spec_says(field: str) -> None:
    document = with_value(f"train/{field}", 7)
    said = {**old_run().spec["train"], field: 8}
    assert why_not_ours(old_run(train=said), document, settings=UPGRADED) == f"train.{field} differs from the spec."
    unsaid = {name: value for name, value in said.items() if name != field}
    assert why_not_ours(old_run(train=unsaid), document, settings=UPGRADED) == ""


def test_fields_that_the_earliest_documents_lack_are_not_missed() -> None:
    document = without("dataset/split")
    del document["dataset"]["train"]["format"], document["dataset"]["eval"]["format"]
    assert "terminationGracePeriodSeconds" not in document["train"]
    assert why_not_ours(old_run(), document, settings=UPGRADED) == ""


def test_a_document_of_a_version_without_labels_is_not_refused_for_it_but_other_labels_are() -> None:
    dataset = old_run().spec["dataset"]
    labelled = old_run(dataset={**dataset, "train": {**dataset["train"], "labels": {"uri": "labels/"}}})
    assert why_not_ours(labelled, with_value("dataset/maxBadFiles", "1%"), settings=UPGRADED) == ""
    others = with_value("dataset/train/labels", {"bucket": "detectors", "key": "evil/"})
    assert "dataset.train.labels.key differs" in why_not_ours(labelled, others, settings=UPGRADED)
    assert "dataset.train.labels differs" in why_not_ours(old_run(), others, settings=UPGRADED)


def test_a_document_of_a_version_without_encryption_is_not_refused_for_it() -> None:
    storage = {**old_run().spec["storage"], "encryption": {"type": "AES256"}}
    assert why_not_ours(old_run(storage=storage), old_document(), settings=UPGRADED) == ""
    other = with_value("storage/encryption", {"type": "aws:kms", "kmsKeyId": "theirs"})
    assert "storage.encryption.type differs" in why_not_ours(old_run(storage=storage), other, settings=UPGRADED)


def test_the_weights_of_a_run_that_is_gone_are_kept() -> None:
    run = old_run(model={**old_run().spec["model"], "pretrained": {"run": "gone"}})
    weights = with_value("model/pretrained", {"bucket": "detectors", "key": "runs/default/gone-1/export/1/"})
    assert why_not_ours(run, weights, settings=UPGRADED) == ""
    assert "pretrained differs" in why_not_ours(run, with_value("model/pretrained", "evil"), settings=UPGRADED)


def test_images_and_endpoint_pass_the_policy_of_today() -> None:
    theirs = with_value("images/trainer", "registry.example.com/vision/trainer:2")
    said = old_run(train={**old_run().spec["train"], "image": theirs["images"]["trainer"]})
    assert "is not allowed here" in why_not_ours(said, theirs, settings=UPGRADED)
    allowed = replace(UPGRADED, policy=replace(POLICY, images=("registry.example.com/vision/*",)))
    assert why_not_ours(said, theirs, settings=allowed) == ""
    assert "images.trainer differs" in why_not_ours(said, old_document(), settings=allowed)
    strict = replace(UPGRADED, policy=replace(POLICY, endpoints=("https://s3.example.com",)))
    assert "spec.storage.endpoint" in why_not_ours(old_run(), old_document(), settings=strict)


def test_without_an_image_in_the_spec_the_trainer_is_of_the_operators_own_repository_or_allowed() -> None:
    run = old_run(train={name: value for name, value in old_run().spec["train"].items() if name != "image"})
    strict = replace(UPGRADED, policy=replace(POLICY, images=()))
    for image, problem in ((f"{REGISTRY}/trainer:old", ""), ("evil:1", "images.trainer is 'evil:1'")):
        assert problem in why_not_ours(run, with_value("images/trainer", image), settings=strict)
        assert bool(problem) == bool(why_not_ours(run, with_value("images/trainer", image), settings=strict))
    assert why_not_ours(run, with_value("images/trainer", f"{REGISTRY}/other:1"), settings=UPGRADED) == ""


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("agent", "agent"),
        ("agent:1", "agent"),
        ("localhost:5000/agent", "localhost:5000/agent"),
        ("localhost:5000/agent:1@sha256:ab", "localhost:5000/agent"),
        ("r.io/a/agent@sha256:ab", "r.io/a/agent"),
        ("r.io/a/agent:1/x", "r.io/a/agent:1/x"),
    ],
)
def test_the_repository_of_an_image(image: str, name: str) -> None:
    assert repository(image) == name
