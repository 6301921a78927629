"""Results of stages: prepared.json, trained.json, exported.json.

Invariant: a result is written last, by the pod with the newest epoch; when it is there, the stage is finished.
Contract: images/contracts/stage-result.schema.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainingrun_agent import contract
from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.contract import Stage
from trainingrun_agent.errors import IntegrityError
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.reasons.storage import NOT_A_RESULT
from trainingrun_agent.storage import documents, epochs
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Producer
from trainingrun_agent.terms import Place

PIPELINE_CONFIG_SHA256 = "pipelineConfigSHA256"
"""Field of prepared.json: the digest of the pipeline.config that was written with it; older versions wrote none."""
DATA_DIGEST = "dataDigest"
"""Field of prepared.json: the digest of images, labels and their settings; older versions wrote none."""
_REQUIRED = ("created", "epoch", "manifestKey", "numbers", "podUID", "stage")


def read_result(store: ObjectStore, run: RunKeys, stage: Stage) -> dict[str, Any] | None:
    """The stage's result, None until the stage is finished. Raises IntegrityError when it is unusable."""
    key = run.result(stage)
    document = documents.read(store, key)
    if document is None:
        return None
    missing = [name for name in _REQUIRED if name not in document]
    if not missing and not isinstance(document["numbers"], dict):
        missing = ["numbers"]
    if missing or document.get("contractVersion") not in contract.READABLE_VERSIONS or document["stage"] != stage:
        problem = f": {', '.join(missing)} missing" if missing else ""
        raise IntegrityError(NOT_A_RESULT, place=Place(store.bucket, key), of_stage=stage, problem=problem)
    return document


def write_result(
    store: ObjectStore,
    run: RunKeys,
    *,
    stage: Stage,
    producer: Producer,
    manifest_key: str,
    numbers: Mapping[str, Any],
    clock: Clock | None = None,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Write the stage's result; returns its key. `manifest_key` is relative to the storage prefix.

    `more` are fields of this stage alone. Raises Superseded when a later pod has taken over the run.
    """
    epochs.require_newest(store, run, producer.epoch)
    key = run.result(stage)
    document = {
        "contractVersion": contract.VERSION,
        "stage": stage,
        "epoch": producer.epoch,
        "podUID": producer.pod_uid,
        "created": rfc3339((clock or Clock()).now()),
        "manifestKey": manifest_key,
        "numbers": dict(numbers),
        **(more or {}),
    }
    store.put(key, documents.encode(document))
    return key
