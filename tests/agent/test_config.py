"""Configuration of a container: parsing, key prefixes, and clear errors if operator and agent are not compatible."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from trainingrun_agent.config import AgentConfig, Paths, Source, SplitRule, load, parse_resolved
from trainingrun_agent.errors import Outcome, StageError

pytestmark = pytest.mark.contract


def test_the_fixture_follows_the_contract(document: dict[str, Any], contract: Callable[[str, Any], None]) -> None:
    contract("resolved", document)


def test_reads_the_whole_document(make_config: Callable[..., AgentConfig]) -> None:
    config = make_config("train", caBundle=True)
    resolved = config.resolved
    assert resolved.dataset.train == Source("detectors", "tire/images/train/", None)
    assert str(resolved.dataset.eval) == "s3://detectors/tire/images/test/"
    assert resolved.train.learning_rate == "0.004"
    assert resolved.export.eval_images == 20
    assert (config.stage, config.attempt, config.grace_seconds) == ("train", 1, 30)
    assert config.ca_file is not None
    assert config.credentials_dir.is_dir()


@pytest.mark.parametrize(
    ("prefix", "run_prefix", "datasets"),
    [
        pytest.param("", "runs/team-a/tire-0123abcd", "datasets", id="none"),
        pytest.param("ml", "ml/runs/team-a/tire-0123abcd", "ml/datasets", id="one"),
        pytest.param("/ml/v/", "ml/v/runs/team-a/tire-0123abcd", "ml/v/datasets", id="slashes are dropped"),
    ],
)
def test_prefixes(make_config: Callable[..., AgentConfig], prefix: str, run_prefix: str, datasets: str) -> None:
    resolved = make_config(prefix=prefix).resolved
    assert resolved.run_keys.folder == run_prefix
    assert resolved.keys.datasets == datasets
    assert resolved.keys.relative(resolved.run_keys.folder) == "runs/team-a/tire-0123abcd"
    assert resolved.keys.absolute(resolved.keys.relative(resolved.keys.datasets)) == datasets


def test_a_key_outside_of_the_prefix_has_no_relative_form(make_config: Callable[..., AgentConfig]) -> None:
    with pytest.raises(ValueError, match="not below the storage prefix"):
        make_config().resolved.keys.relative("elsewhere/runs")


def _without(document: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return document


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda d: b"{", "cannot be used", id="not json"),
        pytest.param(lambda d: b"[]", "cannot be used", id="not an object"),
        pytest.param(lambda d: b"[" * 100_000, "nested too deeply", id="nested too deeply"),
        pytest.param(lambda d: _without(d, "storage", "bucket"), "'bucket'", id="field missing"),
        pytest.param(
            lambda d: {**d, "storage": {**d["storage"], "refusedNetworks": ["localhost"]}},
            "'localhost'",
            id="no network",
        ),
        pytest.param(lambda d: {**d, "contractVersion": 3}, "contractVersion 3", id="newer contract"),
    ],
)
def test_an_unusable_document_ends_as_contract_mismatch(
    document: dict[str, Any], change: Callable[[dict[str, Any]], Any], says: str
) -> None:
    changed = change(document)
    data = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    with pytest.raises(StageError, match=says) as caught:
        parse_resolved(data)
    assert (caught.value.outcome, caught.value.reason) == (Outcome.CRASH, "ContractMismatch")


def test_networks_are_refused_only_where_the_operator_says_so(document: dict[str, Any]) -> None:
    """Documents of earlier operators have no refusedNetworks."""
    assert parse_resolved(json.dumps(document).encode()).storage.refused_networks == ()
    document["storage"]["refusedNetworks"] = ["169.254.0.0/16", "::/96"]
    networks = parse_resolved(json.dumps(document).encode()).storage.refused_networks
    assert [str(network) for network in networks] == ["169.254.0.0/16", "::/96"]


def test_folders_of_labels_are_sources_too(document: dict[str, Any], contract: Callable[[str, Any], None]) -> None:
    """So the preflight looks into them, and messages name their field."""
    assert parse_resolved(json.dumps(document).encode()).dataset.train.labels is None
    document["dataset"]["eval"]["labels"] = {"bucket": "photos", "key": "labels/"}
    contract("resolved", document)
    dataset = parse_resolved(json.dumps(document).encode()).dataset
    assert [(field, str(uri)) for field, uri in dataset.sources] == [
        ("dataset.train.uri", "s3://detectors/tire/images/train/"),
        ("dataset.eval.uri", "s3://detectors/tire/images/test/"),
        ("dataset.eval.labels.uri", "s3://photos/labels/"),
    ]


SPLIT = {"fraction": "0.15", "seed": 3, "groupBy": "folder"}


def test_a_folder_that_is_split_comes_with_its_rule(
    document: dict[str, Any], contract: Callable[[str, Any], None]
) -> None:
    document["dataset"] |= {"eval": None, "split": SPLIT}
    contract("resolved", document)
    dataset = parse_resolved(json.dumps(document).encode()).dataset
    assert (dataset.eval, dataset.split) == (None, SplitRule(Decimal("0.15"), 3, "folder"))
    assert [field for field, _ in dataset.sources] == ["dataset.train.uri"]


def test_documents_of_earlier_operators_have_no_split(
    document: dict[str, Any], contract: Callable[[str, Any], None]
) -> None:
    assert "split" not in document["dataset"]
    assert parse_resolved(json.dumps(document).encode()).dataset.split is None
    document["dataset"]["split"] = None
    contract("resolved", document)
    dataset = parse_resolved(json.dumps(document).encode()).dataset
    assert dataset.split is None
    assert [field for field, _ in dataset.sources] == ["dataset.train.uri", "dataset.eval.uri"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"split": SPLIT}, "both eval and split", id="both"),
        pytest.param({"eval": None}, "or neither", id="neither"),
        pytest.param({"eval": None, "split": {**SPLIT, "fraction": "some"}}, "not a decimal number", id="word"),
        pytest.param({"eval": None, "split": {**SPLIT, "fraction": "NaN"}}, "not above 0 and below 1", id="NaN"),
        pytest.param({"eval": None, "split": {**SPLIT, "fraction": "1"}}, "not above 0 and below 1", id="all"),
        pytest.param({"eval": None, "split": {**SPLIT, "groupBy": "site"}}, "known: sequence, folder", id="group"),
        pytest.param({"eval": None, "split": {"fraction": "0.5"}}, "'groupBy'", id="field missing"),
    ],
)
def test_an_unclear_split_is_refused(document: dict[str, Any], change: dict[str, Any], says: str) -> None:
    document["dataset"] |= change
    with pytest.raises(StageError, match=says) as caught:
        parse_resolved(json.dumps(document).encode())
    assert caught.value.reason == "ContractMismatch"


def test_unknown_fields_of_a_newer_operator_are_ignored(document: dict[str, Any]) -> None:
    document["storage"]["novel"] = 1
    assert parse_resolved(json.dumps(document).encode()).storage.bucket == "detectors"


@pytest.mark.parametrize(
    ("env", "says"),
    [
        pytest.param({"POD_UID": "u"}, "TRAININGRUN_STAGE", id="no stage"),
        pytest.param({"TRAININGRUN_STAGE": "prep"}, "POD_UID", id="no pod uid"),
    ],
)
def test_a_missing_variable_is_named(
    make_config: Callable[..., AgentConfig], agent_paths: Paths, env: dict[str, str], says: str
) -> None:
    make_config()
    with pytest.raises(StageError, match=says):
        load(env, paths=agent_paths)


def test_a_missing_file_is_named(agent_paths: Paths) -> None:
    with pytest.raises(StageError, match=r"resolved\.json cannot be read: No such file"):
        load({"POD_UID": "u"}, stage="prep", paths=agent_paths)


def test_the_mirror_needs_no_pod_uid(make_config: Callable[..., AgentConfig], agent_paths: Paths) -> None:
    make_config()
    assert load({}, stage="mirror", paths=agent_paths).stage == "mirror"


def test_the_document_of_another_run_is_refused(make_config: Callable[..., AgentConfig]) -> None:
    config = make_config("train")
    env = {"TRAININGRUN_STAGE": "train", "POD_UID": "pod-1", "TRAININGRUN_RUN_UID": "of-the-new-run"}
    with pytest.raises(StageError, match="belongs to of-the-new-run") as refused:
        load(env, paths=config.paths)
    assert refused.value.reason == "ContractMismatch"


def accepted_with(config: AgentConfig, digest: str) -> dict[str, str]:
    return {"TRAININGRUN_STAGE": config.stage, "POD_UID": "pod-1", "TRAININGRUN_RESOLVED_SHA256": digest}


def test_a_document_that_the_run_was_not_accepted_with_is_refused(make_config: Callable[..., AgentConfig]) -> None:
    """Whoever may write ConfigMaps can replace the one that pods mount, for example to send the agent elsewhere."""
    config = make_config("train")
    digest = sha256(config.paths.resolved.read_bytes()).hexdigest()
    assert load(accepted_with(config, digest), paths=config.paths).stage == "train"
    make_config("train", endpoint="http://s3.evil")
    with pytest.raises(
        StageError, match=f"not the one with which the run was accepted.*, not {digest[:12]}"
    ) as refused:
        load(accepted_with(config, digest), paths=config.paths)
    assert (refused.value.outcome, refused.value.reason) == (Outcome.CRASH, "OtherConfigMap")


@pytest.mark.parametrize("forged", [b"", b"[1]", b"{nope", b'{"contractVersion": 1}', b"[" * 100_000])
def test_a_document_of_another_digest_is_not_even_parsed(
    make_config: Callable[..., AgentConfig], forged: bytes
) -> None:
    config = make_config()
    digest = sha256(config.paths.resolved.read_bytes()).hexdigest()
    config.paths.resolved.write_bytes(forged)
    with pytest.raises(StageError) as refused:
        load(accepted_with(config, digest), paths=config.paths)
    assert refused.value.reason == "OtherConfigMap"
