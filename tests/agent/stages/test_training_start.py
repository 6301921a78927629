"""What a training says of the weights that it starts from, with a simulated trainer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from stage_verdict import verdict_of
from trainingrun_agent.errors import Outcome
from trainingrun_agent.stages import train
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer

pytestmark = pytest.mark.contract
Check = Callable[[str, Any], None]
HEADS = {"loaded": 139, "total": 143, "startsAnew": "class heads (4 variables)"}
ALL = {"loaded": 143, "total": 143}


def with_weights(run: Any, name: bytes) -> None:
    """Let the run start from an export whose only class has this name."""
    store, config = run.pod("prep").out, b"model { ssd { num_classes: 1 } }"
    files = {
        "checkpoint/model.ckpt.index": b"index",
        "checkpoint/model.ckpt.data-00000-of-00001": b"data",
        "pipeline.config": config,
        "label_map.pbtxt": b"item { id: 1 name: '%s' }" % name,
    }
    objects = [ManifestObject(key, len(data), hashlib.sha256(data).hexdigest(), "role") for key, data in files.items()]
    for key, data in files.items():
        store.put(f"old/export/{key}", data)
    store.put(f"{run.prefix}/pipeline.config", config)
    manifest = Manifest("export", Producer("p", 3), "2026-01-01T00:00:00Z", tuple(objects), step=5)
    manifests.write(store, "old/export", manifest)
    run.document["model"]["pretrained"] = {"bucket": store.bucket, "key": "old/export/"}


@pytest.mark.parametrize(
    ("classes", "reported", "restored", "level"),
    [
        pytest.param(b"tire", ALL, ALL, "INFO", id="all"),
        pytest.param(
            b"wheel",
            HEADS,
            {**HEADS, "startsAnew": "class heads (4 variables), because the classes differ (tire; there: wheel)"},
            "WARNING",
            id="other classes",
        ),
        pytest.param(
            b"tire",
            {**HEADS, "startsAnew": "class\x1b heads"},
            {**HEADS, "startsAnew": "class\ufffd heads, because the weights have none of these names and shapes"},
            "WARNING",
            id="variables that are missing",
        ),
    ],
)
def test_progress_verdict_and_log_say_how_much_of_the_weights_was_loaded(
    prepared: Any,
    contract: Check,
    caplog: pytest.LogCaptureFixture,
    classes: bytes,
    reported: dict[str, Any],
    restored: dict[str, Any],
    level: str,
) -> None:
    with_weights(prepared, classes)
    context = prepared.pod("train")
    prepared.start_trainer(context, restored=reported)
    with caplog.at_level("INFO", logger="trainingrun_agent"):
        verdict = verdict_of(train, context)

    contract("verdict", verdict.to_json())
    contract("progress", context.progress.snapshot())
    contract("shared-spec", json.loads((context.config.shared / "spec.json").read_text()))
    assert context.progress.snapshot()["restored"] == restored
    assert verdict.numbers["restored"] == restored
    uri = f"s3://{context.out.bucket}/old/export/"
    anew = f"; new: {restored['startsAnew']}" if "startsAnew" in restored else ""
    text = f"training starts from {uri}: {restored['loaded']} of 143 variables{anew}"
    assert [(r.levelname, r.getMessage()) for r in caplog.records if "training starts" in r.getMessage()] == [
        (level, text)
    ]


def test_training_without_weights_says_so(prepared: Any) -> None:
    context = prepared.pod("train")
    prepared.start_trainer(context, restored={"loaded": 0, "total": 143, "startsAnew": "class heads (4 variables)"})
    verdict = verdict_of(train, context)
    assert verdict.numbers["restored"]["startsAnew"] == "all variables, because spec.model.pretrained is not set"


def test_a_trainer_of_an_earlier_release_reports_no_start(prepared: Any) -> None:
    with_weights(prepared, b"tire")
    context = prepared.pod("train")
    prepared.start_trainer(context)
    verdict = verdict_of(train, context)
    assert verdict.outcome is Outcome.SUCCEEDED
    assert "restored" not in verdict.numbers
    assert "restored" not in context.progress.snapshot()


def other_run(run: Any, *steps: int) -> None:
    """Let the run continue another one, which has saved checkpoints of these steps."""
    store, other = run.pod("prep").out, "lab/runs/team/old-99999999"
    for step in steps:
        folder = f"{other}/train/0003-abcdef03/checkpoints/{step:08d}"
        names = (f"model.ckpt-{step}.data-00000-of-00001", f"model.ckpt-{step}.index")
        objects = [ManifestObject(name, 4, hashlib.sha256(b"data").hexdigest(), "data") for name in names]
        for name in names:
            store.put(f"{folder}/{name}", b"data")
        manifests.write(
            store, folder, Manifest("checkpoint", Producer("p", 3), "2026-01-01", tuple(objects), step=step)
        )
    run.document["resumeFrom"] = {"bucket": store.bucket, "key": f"{other}/"}


def test_a_run_that_continues_another_begins_at_its_step_and_ends_with_checkpoints_of_its_own(
    prepared: Any, contract: Check
) -> None:
    other_run(prepared, 5, 15)
    context = prepared.pod("train")
    prepared.start_trainer(context)
    verdict = verdict_of(train, context)
    assert verdict.outcome is Outcome.SUCCEEDED
    contract("verdict", verdict.to_json())
    numbers = {name: verdict.numbers[name] for name in ("resumedFromStep", "stepsLost", "step", "checkpointStep")}
    assert numbers == {"resumedFromStep": 15, "stepsLost": 0, "step": 30, "checkpointStep": 30}
    assert verdict.numbers["checkpointURI"].startswith(f"s3://{context.out.bucket}/{prepared.prefix}/train/")
    assert not [key for key in prepared.keys(context.out, "train/") if "00000015" in key]


def test_a_checkpoint_of_another_run_is_not_reported_as_this_ones(prepared: Any) -> None:
    other_run(prepared, 15)
    context = prepared.pod("train")
    prepared.start_trainer(context, die_at=17, save_every=100)
    verdict = verdict_of(train, context)
    assert verdict.numbers["resumedFromStep"] == 15
    assert not verdict.numbers.keys() & {"checkpointStep", "newestCheckpointStep", "checkpointURI"}
    assert "No checkpoint is in the bucket yet." in verdict.message
    assert "checkpointStep" not in context.progress.snapshot()
