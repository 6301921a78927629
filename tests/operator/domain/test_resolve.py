"""Resolving a spec gives the resolved document, or a refusal that names the field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.settings import Policy
from trainingrun.domain.endpoints import REFUSED_NETWORKS
from trainingrun.domain.networks import NETWORKS
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.resolve import resolve
from trainingrun.domain.starting_point import split_uri
from trainingrun.domain.training_options import train_options
from trfakes.builders import SETTINGS, RunBuilder, a_run
from trfakes.schema import contract, crd_part, errors


def resolved(builder: RunBuilder) -> dict[str, Any]:
    return resolve(builder.build(), settings=SETTINGS, find_run=lambda _: None)


FULL = a_run().spec(
    storage={"caBundle": {"configMapName": "ca"}, "endpoint": "https://s3", "prefix": "team/a", "addressing": "path"},
    dataset={
        "train": {"uri": "s3://photos/a/", "imageSet": "trainval", "format": "pascalVOC"},
        "eval": {"uri": "b/", "imageSet": "test"},
        "classes": ["a", "b"],
        "maxBadFiles": "5",
    },
    model={"network": "faster_rcnn_resnet50", "pretrained": {"uri": "zoo/x.tar.gz"}},
    train={"steps": 7, "batchSize": 2, "learningRate": "0.1", "gpus": 1, "saveEverySteps": 3, "evalEverySteps": 4},
)


@pytest.mark.parametrize(
    "builder",
    [
        a_run(),
        FULL,
        a_run().without("model", "train", "prep", "export", "tensorboard"),
        a_run().spec(model={"pretrained": {"uri": "s3://zoo/x.tar.gz"}}),
        a_run().spec(model={"pretrained": {"uri": "zoo/x.tar.gz", "scope": "backbone", "sha256": "0a" * 32}}),
        a_run().spec(resumeFrom={"uri": "s3://old/runs/default/tire-0a1b2c3d/"}),
        a_run().spec(
            dataset={"train": {"uri": "a/", "labels": {"uri": "b/"}}, "evalFraction": "0.1", "classes": ["a"]}
        ),
        a_run().spec(
            train={"pod": {"labels": {"team": "a"}, "nodeSelector": {"pool": "gpu"}}},
            tensorboard={"pod": {"nodeSelector": {"pool": "cpu"}, "tolerations": [{"key": "a"}]}},
        ),
    ],
    ids=["demo", "full", "minimal", "foreign bucket", "scope", "resume", "labels apart", "pod settings"],
)
def test_the_resolved_document_keeps_its_contract(builder: RunBuilder) -> None:
    assert errors(crd_part("spec"), dict(builder.build().spec)) == []
    assert errors(contract("resolved"), resolved(builder)) == []


@pytest.mark.parametrize(
    ("asked", "resolved_as"),
    [
        ({"uri": "a.tar"}, {"bucket": "detectors", "key": "a.tar"}),
        ({"uri": "a.tar", "scope": "auto"}, {"bucket": "detectors", "key": "a.tar"}),
        ({"uri": "s3://zoo/a/", "scope": "all"}, {"bucket": "zoo", "key": "a/", "scope": "all"}),
        ({"uri": "a.tar", "sha256": "0a" * 32}, {"bucket": "detectors", "key": "a.tar", "sha256": "0a" * 32}),
        (
            {"uri": "https://zoo.example/a.tar", "sha256": "0a" * 32, "scope": "backbone"},
            {"url": "https://zoo.example/a.tar", "sha256": "0a" * 32, "scope": "backbone"},
        ),
    ],
    ids=["auto", "auto, said", "all", "digest", "https"],
)
def test_weights_are_resolved(asked: dict[str, str], resolved_as: dict[str, Any]) -> None:
    run = a_run().spec(model={"pretrained": asked}).build()
    settings = replace(SETTINGS, policy=Policy(weight_hosts=("zoo.example",)))
    document = resolve(run, settings=settings, find_run=lambda _: None)
    assert document["model"]["pretrained"] == resolved_as
    assert errors(contract("resolved"), document) == []


def test_the_run_to_continue_is_in_the_document_only_where_one_is_named() -> None:
    found = resolved(a_run().spec(resumeFrom={"uri": "runs/default/tire-0a1b2c3d/"}))
    assert found["resumeFrom"] == {"bucket": "detectors", "key": "runs/default/tire-0a1b2c3d/"}
    assert "resumeFrom" not in resolved(a_run())


def test_labels_are_in_the_document_only_where_the_spec_names_their_folder() -> None:
    """So a document of an earlier version is still what the same spec gives."""
    both = {
        "train": {"uri": "a/", "labels": {"uri": "s3://labels/a/"}},
        "eval": {"uri": "b/", "labels": {"uri": "c/"}},
        "classes": ["a"],
    }
    found = resolved(a_run().spec(dataset=both))["dataset"]
    assert found["train"]["labels"] == {"bucket": "labels", "key": "a/"}
    assert found["eval"]["labels"] == {"bucket": "detectors", "key": "c/"}
    assert "labels" not in resolved(a_run())["dataset"]["train"]


def test_pod_settings_of_earlier_versions_are_not_in_the_document() -> None:
    """So a document of an earlier version is still what the same spec gives."""
    assert "pods" not in resolved(a_run().spec(train={"pod": {"nodeSelector": {"pool": "gpu"}}}))
    both = {"labels": {"team": "a"}, "nodeSelector": {"pool": "gpu"}}
    assert resolved(a_run().spec(train={"pod": both}))["pods"] == {"train": {"labels": {"team": "a"}}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.004", "0.004"),
        (".01", ".01"),
        ("0.10", "0.10"),
        (0.001, "0.001"),
        ("1e-3", "0.001"),
        (2.5e-7, "0.00000025"),
        ("2.5E-05", "0.000025"),
        (1, "1"),
    ],
    ids=str,
)
def test_a_rate_is_one_text_however_it_is_written(value: float | str, text: str) -> None:
    """What earlier versions accepted stays as it is: the document of an accepted run is made again."""
    builder = a_run().spec(train={"learningRate": value})
    assert errors(crd_part("spec"), dict(builder.build().spec)) == []
    document = resolved(builder)
    assert document["train"]["learningRate"] == text
    assert errors(contract("resolved"), document) == []


def _share(**fields: Any) -> RunBuilder:
    """A run whose only folder is split into train and eval."""
    dataset = {"train": {"uri": "a/", "imageSet": "trainval"}, "classes": ["a"], "evalFraction": "0.15", **fields}
    return a_run().without("dataset").spec(dataset=dataset)


@pytest.mark.parametrize(
    ("fields", "split"),
    [
        ({}, {"fraction": "0.15", "seed": 0, "groupBy": "sequence"}),
        ({"splitSeed": 7, "splitGroup": "folder"}, {"fraction": "0.15", "seed": 7, "groupBy": "folder"}),
        ({"evalFraction": 0.25}, {"fraction": "0.25", "seed": 0, "groupBy": "sequence"}),
        ({"evalFraction": 1e-4}, {"fraction": "0.0001", "seed": 0, "groupBy": "sequence"}),
        ({"evalFraction": 1e-9}, {"fraction": "0.0001", "seed": 0, "groupBy": "sequence"}),
        ({"evalFraction": 0.999999}, {"fraction": "0.9999", "seed": 0, "groupBy": "sequence"}),
        ({"evalFraction": 1 / 3}, {"fraction": "0.3333", "seed": 0, "groupBy": "sequence"}),
        ({"evalFraction": ".5"}, {"fraction": "0.5", "seed": 0, "groupBy": "sequence"}),
        ({"evalFraction": "0.0001", "splitGroup": "image"}, {"fraction": "0.0001", "seed": 0, "groupBy": "image"}),
    ],
    ids=["defaults", "all fields", "number", "exponent", "low", "high", "third", "no zero", "least"],
)
def test_a_share_of_the_images_is_resolved(fields: dict[str, Any], split: dict[str, Any]) -> None:
    builder = _share(**fields)
    assert errors(crd_part("spec"), dict(builder.build().spec)) == []
    document = resolved(builder)
    assert errors(contract("resolved"), document) == []
    assert document["dataset"]["eval"] is None
    assert document["dataset"]["split"] == split
    assert document["dataset"]["train"]["imageSet"] == "trainval"


def test_a_range_of_intensities_is_resolved() -> None:
    document = resolved(_share(intensityRange=[-1000, 3000]))
    assert errors(contract("resolved"), document) == []
    assert document["dataset"]["intensityRange"] == [-1000, 3000]
    assert resolved(a_run())["dataset"]["intensityRange"] is None


def test_two_folders_are_not_divided() -> None:
    assert resolved(a_run())["dataset"]["split"] is None


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_of_the_crd_resolves(network: str) -> None:
    document = resolved(a_run().spec(model={"network": network}))
    assert errors(contract("resolved"), document) == []
    assert document["train"]["batchSize"] == NETWORKS[network].batch_size


def test_the_crd_offers_the_networks_that_resolve() -> None:
    schema: Any = crd_part("spec").schema
    assert schema["properties"]["model"]["properties"]["network"]["enum"] == list(NETWORKS)


def test_values_of_the_spec_win_over_defaults() -> None:
    document = resolved(FULL)
    assert document["dataset"]["train"] == {
        "bucket": "photos",
        "key": "a/",
        "imageSet": "trainval",
        "format": "pascalVOC",
    }
    assert document["dataset"]["eval"] == {
        "bucket": "detectors",
        "key": "b/",
        "imageSet": "test",
        "format": "auto",
    }
    assert document["model"]["pretrained"] == {"bucket": "detectors", "key": "zoo/x.tar.gz"}
    assert document["storage"] == {
        "endpoint": "https://s3",
        "region": "us-east-1",
        "bucket": "detectors",
        "prefix": "team/a",
        "addressing": "path",
        "caBundle": True,
        "outageToleranceSeconds": 3600,
        "refusedNetworks": list(REFUSED_NETWORKS),
    }
    assert document["train"] == {
        **train_options({}),
        "steps": 7,
        "batchSize": 2,
        "learningRate": "0.1",
        "gpus": 1,
        "saveEverySteps": 3,
        "evalEverySteps": 4,
        "stallSeconds": 1800,
        "terminationGracePeriodSeconds": 180,
    }


@pytest.mark.parametrize(
    ("network", "classes", "seconds"),
    [
        ("ssd_mobilenet_v1_0.25_128", 1, 180),
        ("faster_rcnn_resnet50", 1, 180),
        ("ssd_inception_v2", 500, 483),
    ],
    ids=["small", "large", "many classes"],
)
def test_the_time_to_save_grows_with_the_checkpoint(network: str, classes: int, seconds: int) -> None:
    dataset = {"classes": [f"class {number}" for number in range(classes)]}
    run = a_run().spec(model={"network": network}, dataset=dataset)
    assert resolved(run)["train"]["terminationGracePeriodSeconds"] == seconds
    document = resolved(run.spec(train={"terminationGracePeriodSeconds": 60}))
    assert document["train"]["terminationGracePeriodSeconds"] == 60
    assert errors(contract("resolved"), document) == []


@pytest.mark.parametrize(
    ("steps", "cadence"), [(1, 1), (9, 1), (150, 15), (5000, 500), (20000, 1000), (10_000_000, 1000)]
)
def test_cadence(steps: int, cadence: int) -> None:
    train = resolved(a_run().spec(train={"steps": steps}))["train"]
    assert (train["saveEverySteps"], train["evalEverySteps"]) == (cadence, cadence)


def test_aws_is_addressed_by_host_and_others_by_path() -> None:
    storage = {k: v for k, v in a_run().build().spec["storage"].items() if k != "endpoint"}
    aws = RunBuilder()
    aws.without("storage").spec(storage=storage)
    assert resolved(aws)["storage"]["addressing"] == "virtual"
    assert resolved(a_run())["storage"]["addressing"] == "path"


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [("a/b/", "own", "a/b/"), ("s3://other/a/b", "other", "a/b"), ("s3://other/", "other", "")],
)
def test_split_uri(uri: str, bucket: str, key: str) -> None:
    assert split_uri(uri, bucket="own") == (bucket, key)


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotAcceptedError) as refusal:
        resolved(a_run().spec(model={"network": "yolo"}))
    assert "'yolo' is none of ssd_inception_v2" in refusal.value.message


def test_a_refusal_that_passes_a_with_block_stays_a_refusal() -> None:
    """It was a TypeError: a frozen exception cannot take the traceback that contextlib writes into it."""

    @contextmanager
    def block() -> Iterator[None]:
        yield

    with pytest.raises(NotAcceptedError, match=r"spec\.model\.network: 'none' is none of"), block():
        resolved(a_run().spec(model={"network": "none"}))
