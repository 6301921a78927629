"""The export stage with a simulated exporter that exports correctly or leaves wrong files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_run import store_prepared
from stage_verdict import verdict_of
from trainingrun_agent import uncertainty
from trainingrun_agent.errors import Outcome
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.stages import export, train
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.storage.results import read_result
from trdemo.trainer_stand_in import EXPORTED

pytestmark = pytest.mark.contract
MODEL = [*EXPORTED, "README.md", "pictures/000-tire_07.png", "pictures/15.png"]
Check = Callable[[str, Any], None]


@pytest.fixture
def trained(prepared: Any) -> Any:
    """The run after its train stage."""
    context = prepared.pod("train")
    prepared.start_trainer(context)
    assert verdict_of(train, context).outcome is Outcome.SUCCEEDED
    return prepared


def test_exported_run_has_manifest_pointer_and_numbers(trained: Any, contract: Check) -> None:
    context = trained.pod("export")
    trained.start_trainer(
        context,
        export=[
            *MODEL,
            "notes.txt",
            "pictures/x.sh",
            "pictures/000-a b.png",
            f"pictures/000-{'a' * 81}.png",
            "saved_model/1/assets/a",
        ],
    )
    verdict = verdict_of(export, context)

    assert (verdict.outcome, verdict.reason) == (Outcome.SUCCEEDED, "Exported")
    contract("verdict", verdict.to_json())
    contract("progress", context.progress.snapshot())
    folder = f"export/0002-{context.config.pod_uid[:8]}"
    assert sorted(trained.keys(context.out, f"{folder}/")) == sorted([*MODEL, "MANIFEST.json"])
    assert verdict.numbers["peakMemoryBytes"]["agent"] > 1 << 20
    assert {name: value for name, value in verdict.numbers.items() if name != "peakMemoryBytes"} == {
        "ap50": 0.8,
        "mAP": 0.5,
        "evalImages": 20,
        "checkpointStep": 30,
        "checkpointReason": "the latest one",
        "uri": f"s3://{context.out.bucket}/{trained.prefix}/{folder}/",
    }
    result = read_result(context.out, trained.run_keys, "export")
    assert result is not None
    contract("stage-result", result)
    manifest = manifests.read(context.out, f"lab/{result['manifestKey']}")
    contract("manifest", manifest.to_json())
    assert (manifest.step, manifest.dataset) == (30, None)
    assert {entry.key for entry in manifest.objects} == set(MODEL)


def test_scores_of_few_images_come_with_their_uncertainty(
    trained: Any, contract: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uncertainty, "FEW_IMAGES", 21)
    context = trained.pod("export")
    trained.start_trainer(context, export=MODEL)
    verdict = verdict_of(export, context)
    contract("verdict", verdict.to_json())
    expected = {"ap50Uncertainty": 0.216, "mAPUncertainty": 0.2007}
    assert {name: verdict.numbers[name] for name in expected} == expected
    result = read_result(context.out, trained.run_keys, "export")
    assert result is not None
    metrics = manifests.read(context.out, f"lab/{result['manifestKey']}").metrics
    scores = {"ap50": 0.8, "mAP": 0.5, "evalImages": 20}
    assert metrics == {**scores, **expected, "checkpointReason": "the latest one"}


def test_the_export_says_how_its_images_of_more_than_8_bits_were_scaled(
    trained: Any, contract: Check, caplog: pytest.LogCaptureFixture
) -> None:
    store_prepared(trained, {"intensityRange": [410, 15853]})
    context = trained.pod("export")
    trained.start_trainer(context, export=MODEL)
    with caplog.at_level("INFO"):
        verdict = verdict_of(export, context)
    assert verdict.outcome is Outcome.SUCCEEDED
    manifest = manifests.read(context.out, f"{trained.prefix}/export/0002-{context.config.pod_uid[:8]}/MANIFEST.json")
    contract("manifest", manifest.to_json())
    assert manifest.dataset == {"intensityRange": [410, 15853]}
    spec = json.loads((context.config.shared / "spec.json").read_text())
    contract("shared-spec", spec)
    assert spec["intensityRange"] == [410, 15853]  # for the README.md of the export
    assert "scale images of more than 8 bits as in training: 410 is black, 15853 is white" in caplog.text


def test_exporter_gets_checkpoint_eval_records_and_the_ap_of_training(trained: Any, contract: Check) -> None:
    context = trained.pod("export")
    trained.start_trainer(context, export=MODEL)
    verdict_of(export, context)

    spec = json.loads((context.config.shared / "spec.json").read_text())
    contract("shared-spec", spec)
    assert (spec["checkpoint"], spec["checkpointStep"]) == ("checkpoint/model.ckpt-30", 30)
    assert (spec["trainingAP50"], spec["trainingMAP"], spec["checkpointReason"]) == (0.9, 0.6, "the latest one")
    assert (spec["trainRecords"], spec["evalRecords"]) == ([], ["dataset/eval-00000-of-00001.tfrecord"])
    assert sorted(path.name for path in (context.config.shared / "checkpoint").iterdir()) == [
        "model.ckpt-30.data-00000-of-00001",
        "model.ckpt-30.index",
    ]


@pytest.mark.parametrize("missing", EXPORTED)
def test_an_incomplete_export_is_refused(trained: Any, missing: str) -> None:
    context = trained.pod("export")
    left = [
        name for name in MODEL if name != missing and not missing.startswith(name.partition("model.ckpt")[0] or " ")
    ]
    left = [name for name in left if "model.ckpt" not in name or "model.ckpt" not in missing]
    trained.start_trainer(context, export=left)
    verdict = verdict_of(export, context)

    assert (verdict.outcome, verdict.reason) == (Outcome.CRASH, "ExportIncomplete")
    assert missing.partition("/")[0].partition(".")[0] in verdict.message
    assert read_result(context.out, trained.run_keys, "export") is None


@pytest.mark.parametrize("what", ["file", "folder"])
def test_export_with_links_is_refused(trained: Any, tmp_path: Path, what: str) -> None:
    context = trained.pod("export")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "saved_model.pb").write_bytes(b"secret")
    (context.config.shared / "export" / "saved_model").mkdir(parents=True)
    link = context.config.shared / "export" / "saved_model" / "1"
    if what == "folder":
        link.symlink_to(tmp_path / "secret")
    else:
        link.mkdir()
        (link / "saved_model.pb").symlink_to(tmp_path / "secret" / "saved_model.pb")
    trained.start_trainer(context, export=[name for name in MODEL if not name.startswith("saved_model")])
    verdict = verdict_of(export, context)

    assert (verdict.outcome, verdict.reason) == (Outcome.CRASH, "ExportIncomplete")
    assert trained.keys(context.out, "export/") == []


def test_a_run_whose_checkpoints_were_deleted_says_that_a_retry_trains_again(trained: Any) -> None:
    context = trained.pod("export")
    for info in list(context.out.list("")):
        if "/checkpoints/" in info.key:
            context.out.delete(info.key)
    trained.start_trainer(context, export=MODEL)
    verdict = verdict_of(export, context)
    assert (verdict.outcome, verdict.reason) == (Outcome.CRASH, "CheckpointMissing")
    assert verdict.next_step == {"kind": "retry"}


def test_the_exporter_of_an_untrained_run_ends(prepared: Any) -> None:
    context = prepared.pod("export")
    exporter = prepared.start_trainer(context, export=MODEL)
    verdict = verdict_of(export, context)

    assert (verdict.outcome, verdict.reason) == (Outcome.CRASH, "ResultMissing")
    assert "trained.json" in verdict.message
    assert exporter.wait(timeout=60) == 0


def test_finished_export_is_not_done_again(trained: Any) -> None:
    first = trained.pod("export")
    trained.start_trainer(first, export=MODEL)
    done = verdict_of(export, first)
    second = trained.pod("export")
    verdict = verdict_of(export, second)

    assert (verdict.outcome, verdict.reason) == (Outcome.SUCCEEDED, "AlreadyExported")
    assert verdict.numbers == done.numbers
    with Folder.open(second.config.shared) as folder:
        assert folder.has("fetch-failed.json")


@pytest.fixture
def three(trained: Any) -> Any:
    """The trained run with all three checkpoints: a simulated trainer is faster than their uploads."""
    store = trained.pod("export").out
    for step in (10, 20):
        folder = f"{attempt_of(trained)}/checkpoints/{step:08d}"
        objects = []
        for name in (f"model.ckpt-{step}.data-00000-of-00001", f"model.ckpt-{step}.index"):
            store.put(f"{folder}/{name}", name.encode())
            objects.append(ManifestObject(name, len(name), hashlib.sha256(name.encode()).hexdigest(), "data"))
        created = "2026-01-01T00:00:00Z"
        manifest = Manifest("checkpoint", Producer("pod", 1), created, tuple(objects), step=step)
        manifests.write(store, folder, manifest)
    return trained


def attempt_of(run: Any) -> str:
    """Folder of the only attempt at training."""
    (attempt,) = {key.partition("/")[0] for key in run.keys(run.pod("export").out, "train/")}
    return f"{run.prefix}/train/{attempt}"


def store_evaluations(run: Any, scores: dict[int, float]) -> None:
    """What the trainer evaluated; it has the same numbers for both metrics."""
    entries = [{"step": step, "mAP": score, "ap50": score} for step, score in scores.items()]
    document = {"contractVersion": 1, "evaluations": entries}
    run.pod("export").out.put(f"{attempt_of(run)}/evaluations.json", json.dumps(document).encode())


def damage(run: Any, *steps: int) -> None:
    store = run.pod("export").out
    for info in list(store.list(f"{run.prefix}/train/")):
        if any(f"/{step:08d}/" in info.key for step in steps) and info.key.endswith(".index"):
            store.put(info.key, b"damaged")


UNREADABLE = "the one of step 20, with 0.700, cannot be read"
CHOICES: dict[str, tuple[Any, dict[int, float], list[int], tuple[int, float | None, str]]] = {
    "best": (
        "best",
        {10: 0.3, 20: 0.7, 30: 0.6},
        [],
        (20, 0.7, "best by mAP: 0.700 at step 20; the last one, of step 30, has 0.600"),
    ),
    "the best is damaged": (
        "best",
        {10: 0.3, 20: 0.7, 30: 0.2},
        [20],
        (
            10,
            0.3,
            "best by mAP: 0.300 at step 10; the last one, of step 30, has 0.200; " + UNREADABLE,
        ),
    ),
    "an older trainer": (
        "best",
        {},
        [],
        (30, 0.9, "the latest one, because no evaluation of a checkpoint is known"),
    ),
    "latest": ("latest", {10: 0.3, 20: 0.7, 30: 0.6}, [], (30, 0.6, "the latest one")),
    "the latest is damaged, no scores are known": ("latest", {}, [30], (20, None, "the latest one")),
    "a step": (10, {20: 0.7}, [], (10, None, "the step that export.checkpoint names")),
}


@pytest.mark.parametrize(("wanted", "scores", "damaged", "expected"), CHOICES.values(), ids=CHOICES)
def test_the_spec_says_which_checkpoint_is_exported(
    three: Any, contract: Check, wanted: Any, scores: dict[int, float], damaged: list[int], expected: Any
) -> None:
    store_evaluations(three, scores)
    damage(three, *damaged)
    three.document["export"]["checkpoint"] = wanted
    context = three.pod("export")
    three.start_trainer(context, export=MODEL)
    verdict = verdict_of(export, context)

    step, score, reason = expected
    contract("verdict", verdict.to_json())
    assert verdict.outcome is Outcome.SUCCEEDED
    assert (verdict.numbers["checkpointStep"], verdict.numbers["checkpointReason"]) == (step, reason)
    spec = json.loads((context.config.shared / "spec.json").read_text())
    contract("shared-spec", spec)
    assert (spec["checkpointStep"], spec["checkpoint"]) == (step, f"checkpoint/model.ckpt-{step}")
    assert (spec["trainingAP50"], spec["checkpointReason"]) == (score, reason)
    assert spec["trainingMAP"] == (0.6 if wanted == "best" and not scores else score)


@pytest.mark.parametrize("damaged", [False, True], ids=["deleted", "damaged"])
def test_a_step_that_is_not_there_names_those_that_are(three: Any, contract: Check, damaged: bool) -> None:
    if damaged:
        damage(three, 20)
    else:
        store = three.pod("export").out
        for info in list(store.list(f"{attempt_of(three)}/checkpoints/00000020/")):
            store.delete(info.key)
    three.document["export"]["checkpoint"] = 20
    context = three.pod("export")
    three.start_trainer(context, export=MODEL)
    verdict = verdict_of(export, context)

    contract("verdict", verdict.to_json())
    assert (verdict.outcome, verdict.reason) == (Outcome.USER_ERROR, "ExportCheckpointNotFound")
    assert verdict.message == (
        "spec.export.checkpoint: the bucket has no usable checkpoint of step 20; there are those of the steps 30, 10"
    )
    assert verdict.next_step == {"kind": "newRun", "field": "export.checkpoint"}


GATES: dict[str, tuple[Any, bytes, list[str]]] = {
    "met": ({"mAP": 0.5, "ap50": 0.8}, b"", []),
    "missed": ({"mAP": 0.1, "ap50": 0.8}, b"", ["class 'tire': mAP 0.100 is below 0.2"]),
    "the class is in no image": (None, b"", ["class 'tire': no box of it is in the images of the export's evaluation"]),
    "of a hostile exporter": (
        None,
        b'{"perClass": {"tire": {"mAP": 1e999, "ap50": "1"}}}',
        ["class 'tire': no box of it is in the images of the export's evaluation"],
    ),
}


@pytest.mark.parametrize(("scores", "data", "missed"), GATES.values(), ids=GATES)
def test_a_gate_is_judged_by_the_scores_of_the_export(
    trained: Any, contract: Check, scores: Any, data: bytes, missed: list[str]
) -> None:
    bars = [{"class": "tire", "minMAP": "0.2", "minAP50": None}]
    trained.document["export"]["gate"] = {"minMAP": "0.5", "minAP50": "0.8", "perClass": bars}
    context = trained.pod("export")
    written = data or json.dumps({"perClass": {"tire": scores} if scores else {}}).encode()
    trained.start_trainer(context, export=MODEL, metrics=written.decode())
    verdict = verdict_of(export, context)

    contract("verdict", verdict.to_json())
    gate = {"met": not missed, "missed": missed, "missedCount": len(missed)}
    assert (verdict.outcome, verdict.numbers["gate"]) == (Outcome.SUCCEEDED, gate)
    result = read_result(context.out, trained.run_keys, "export")
    assert result is not None
    contract("stage-result", result)
    assert result["numbers"]["gate"] == gate
    metrics = manifests.read(context.out, f"lab/{result['manifestKey']}").metrics
    assert metrics is not None
    assert metrics["gate"] == gate
