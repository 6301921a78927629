"""The run's pipeline.config: what the spec asks for is read, built, and stored with how it differs from the default.

Invariant: a wish that cannot be fulfilled ends prep before the first image is read.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import own_config
from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.pipeline.changes import Change
from trainingrun_agent.pipeline.effective import OwnConfig, Pipeline, Wishes, effective
from trainingrun_agent.pipeline.variables import with_batch_norm
from trainingrun_agent.prep.report.page.changes_page import render
from trainingrun_agent.reasons.configuration import MODEL_CONFIG_NOT_FOUND, MODEL_CONFIG_UNUSABLE
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import StoreFor
from trainingrun_agent.terms import TRAININGRUN, Place
from trainingrun_agent.training_settings import ConfigMapKey, Uri

MAX_CHANGES: Final = 1000


def check_exists(store_for: StoreFor, config: Uri | ConfigMapKey | None) -> None:
    """Raise UserError when a file in the storage is named and there is none at its address."""
    if isinstance(config, Uri) and store_for(config.bucket).head(config.key) is None:
        raise UserError(MODEL_CONFIG_NOT_FOUND, place=config)


def read_own(context: StageContext) -> OwnConfig | None:
    """The user's own configuration, from the storage or as the pod mounts it; None if the run has none."""
    config = context.config.resolved.model.config
    if config is None:
        return None
    place: object
    if isinstance(config, Uri):
        place, data = config, context.store_for(config.bucket).get(config.key, max_bytes=own_config.MAX_BYTES)
    else:
        place = f"{config.key} of ConfigMap {config.name}"
        with context.config.paths.model_config.open("rb") as file:
            data = file.read(own_config.MAX_BYTES + 1)
    if len(data) > own_config.MAX_BYTES:
        raise UserError(MODEL_CONFIG_UNUSABLE, place=place, problem=f"has more than {own_config.MAX_BYTES} bytes")
    try:
        return OwnConfig(data.decode("utf-8-sig"), place)
    except UnicodeDecodeError as error:
        problem = f"is not text in UTF-8: byte {error.start} cannot be read"
        raise UserError(MODEL_CONFIG_UNUSABLE, place=place, problem=problem) from error


def build(
    context: StageContext,
    own: OwnConfig | None,
    *,
    batch_norm: bool | None = None,
    shuffle_buffer: int = 1,
    max_boxes: int = 0,
) -> Pipeline:
    """The effective configuration for data of this size; any is enough to check what the spec asks for.

    `batch_norm` is what a run that is continued did.
    """
    resolved = context.config.resolved
    default = build_pipeline_config(
        network=resolved.model.network,
        num_classes=len(resolved.dataset.classes),
        steps=resolved.train.steps,
        batch_size=resolved.train.batch_size,
        learning_rate=resolved.train.learning_rate,
        shuffle_buffer=shuffle_buffer,
        max_boxes_per_image=max_boxes,
        pretrained=resolved.model.pretrained is not None,
    )
    wishes = Wishes(resolved.model, resolved.train, resolved.dataset.classes, own)
    return effective(with_batch_norm(default, trained=batch_norm), wishes)


def store(context: StageContext, pipeline: Pipeline) -> dict[str, Any]:
    """Write pipeline.config, and the files that show its changes if there are any; returns numbers of the verdict."""
    out, run = context.out, context.config.resolved.run_keys
    out.put(run.pipeline_config, pipeline.text.encode())
    numbers: dict[str, Any] = {"configURI": _uri(context, run.pipeline_config), "configChanges": len(pipeline.changes)}
    if not (pipeline.changes or pipeline.replaced or pipeline.notes):
        return numbers
    document = {
        "formatVersion": 1,
        "network": context.config.resolved.model.network,
        "changes": _rows(pipeline.changes),
        "replaced": _rows(pipeline.replaced),
        "notes": list(pipeline.notes),
    }
    out.put(run.pipeline_changes, documents.encode(document))
    out.put(run.pipeline_changes_page, render(document).encode())
    return {**numbers, "configChangesURI": _uri(context, run.pipeline_changes_page)}


def _rows(changes: tuple[Change, ...]) -> list[dict[str, str]]:
    return [asdict(change) for change in changes[:MAX_CHANGES]]


def _uri(context: StageContext, key: str) -> str:
    return Place(context.out.bucket, key).in_terms(TRAININGRUN)
