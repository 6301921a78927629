"""Stage prep: prove that storage works, turn labelled images into a data set, write the run's
pipeline.config.

Invariant: prepared.json is written last; when it is there and the objects it points to are, the stage is
done and nothing is done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainingrun_agent import __version__
from trainingrun_agent.attempt_record import Stopwatch
from trainingrun_agent.clock import rfc3339
from trainingrun_agent.config import Uri
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import NotFound, Outcome, UserError
from trainingrun_agent.keys import folder_of
from trainingrun_agent.log import logger
from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.prep.prepare import PreparedDataset, prepare
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage import documents, epochs, manifest, preflight, results
from trainingrun_agent.storage.base import StoreFor
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.weights import check_weights
from trainingrun_agent.verdict import Verdict


def run(context: StageContext) -> Verdict:
    """Run the stage to its end. Raises StageError."""
    watch = Stopwatch(context.clock, context.progress)
    resolved = context.config.resolved
    with watch.part("fetch"):
        warnings = _preflight(context)
        raise_if_stopped(context.stop)
        epoch = epochs.claim(context.out, resolved.run_keys, context.config.pod_uid, clock=context.clock)
        context.progress.update(epoch=epoch)
        earlier = _finished(context)
    if earlier is not None:
        return _succeeded(earlier["numbers"], epoch=epoch, watch=watch, again=True)
    with watch.part("fetch"):
        _check_weights(context)
    with watch.part("work"):
        prepared = _prepare(context)
        pipeline = _pipeline(context, prepared)
    raise_if_stopped(context.stop)
    context.progress.update(phase="shipping")
    with watch.part("ship"):
        numbers = _numbers(context, prepared, warnings)
        manifest_key = resolved.keys.relative(prepared.manifest_key)
        _ship(context, pipeline, manifest_key=manifest_key, numbers=numbers, epoch=epoch)
    return _succeeded(numbers, epoch=epoch, watch=watch, again=False)


def _preflight(context: StageContext) -> tuple[str, ...]:
    context.progress.update(phase="preflight")
    resolved = context.config.resolved
    store_for = context.quick_store_for or context.store_for
    out = store_for(resolved.storage.bucket)
    warnings = preflight.probe(out, resolved.run_keys, context.config.pod_uid)
    preflight.check_sources(store_for, resolved.dataset.sources)
    _check_pretrained(resolved.model.pretrained, store_for)
    for warning in warnings:
        logger.warning(warning)
    reason = preflight.CONDITIONAL_WRITES_IGNORED if warnings else ""
    context.progress.storage(ready=True, reason=reason, message="; ".join(warnings))
    return warnings


def _check_pretrained(uri: Uri | None, store_for: StoreFor) -> None:
    """A typo must not be found by a pod that holds a GPU."""
    if uri is None:
        return
    store = store_for(uri.bucket)
    found = any(store.list(uri.key, limit=1)) if uri.key.endswith("/") else store.head(uri.key) is not None
    if not found:
        raise UserError(
            "PretrainedNotFound",
            f"spec.model.pretrained: no object at {uri}",
            hint="Upload the weights there, or create a new TrainingRun with the right address (case matters).",
        )


def _check_weights(context: StageContext) -> None:
    """So that neither a damaged archive nor weights of another network cost a GPU."""
    model = context.config.resolved.model
    if model.pretrained is None:
        return
    store, meter = context.store_for(model.pretrained.bucket), Meter(context.progress, context.stop)
    with Folder.open(context.config.shared) as scratch:
        check_weights(store, model.pretrained, network=model.network, scratch=scratch, meter=meter)


def _finished(context: StageContext) -> dict[str, Any] | None:
    """The result of an earlier attempt, when what it points to is still complete."""
    resolved = context.config.resolved
    result = results.read_result(context.out, resolved.run_keys, "prep")
    if result is None:
        return None
    key = resolved.keys.absolute(result["manifestKey"])
    try:
        dataset = manifest.read(context.out, key)
    except NotFound as error:
        logger.warning("preparing again: %s", error)
        return None
    gone = manifest.missing(context.out, dataset, folder=folder_of(key), keys=resolved.keys)
    if gone is not None:
        logger.warning("preparing again: s3://%s/%s is gone or was changed", context.out.bucket, gone)
        return None
    return result


def _prepare(context: StageContext) -> PreparedDataset:
    resolved = context.config.resolved
    return prepare(
        train=resolved.dataset.train,
        eval=resolved.dataset.eval,
        split=resolved.dataset.split,
        network=resolved.model.network,
        store_for=context.store_for,
        out_store=context.out,
        datasets_prefix=resolved.keys.datasets,
        classes=resolved.dataset.classes,
        max_bad_files=resolved.dataset.max_bad_files,
        max_image_side=resolved.dataset.max_image_side,
        scratch=context.config.shared,
        progress=context.progress,
        stop=context.stop,
        clock=context.clock,
    )


def _pipeline(context: StageContext, prepared: PreparedDataset) -> str:
    resolved = context.config.resolved
    return build_pipeline_config(
        network=resolved.model.network,
        num_classes=len(resolved.dataset.classes),
        steps=resolved.train.steps,
        batch_size=resolved.train.batch_size,
        learning_rate=resolved.train.learning_rate,
        train_images=prepared.train_images,
        max_boxes_per_image=prepared.max_boxes_per_image,
        pretrained=resolved.model.pretrained is not None,
    )


def _numbers(context: StageContext, prepared: PreparedDataset, warnings: tuple[str, ...]) -> dict[str, Any]:
    resolved = context.config.resolved
    key = resolved.keys.relative(resolved.run_keys.result("prep"))
    numbers = {**prepared.numbers, "resultKey": key}
    return numbers | {"storageWarning": "; ".join(warnings)} if warnings else numbers


def _ship(context: StageContext, pipeline: str, *, manifest_key: str, numbers: Mapping[str, Any], epoch: int) -> None:
    config, keys = context.config, context.config.resolved.run_keys
    run = {
        "formatVersion": 1,
        "created": rfc3339(context.clock.now()),
        "producer": {"podUID": config.pod_uid, "epoch": epoch, "agentVersion": __version__},
        "resolved": config.resolved.document,
    }
    context.out.put(keys.pipeline_config, pipeline.encode())
    context.out.put(keys.description, documents.encode(run))
    results.write_result(
        context.out,
        keys,
        stage="prep",
        epoch=epoch,
        pod_uid=config.pod_uid,
        manifest_key=manifest_key,
        numbers=numbers,
        clock=context.clock,
    )


def _succeeded(numbers: Mapping[str, Any], *, epoch: int, watch: Stopwatch, again: bool) -> Verdict:
    counts = f"{numbers['trainImages']} train and {numbers['evalImages']} eval images"
    images = f"{counts} with {numbers.get('format', 'pascalVOC')} labels{_findings(numbers)}"
    message = f"An earlier attempt prepared {images}." if again else f"Prepared {images}."
    return Verdict(
        stage="prep",
        outcome=Outcome.SUCCEEDED,
        reason="Prepared",
        message=message,
        epoch=epoch,
        numbers={**numbers, "reused": True} if again else numbers,
        timings=watch.timings,
    )


def _findings(numbers: Mapping[str, Any]) -> str:
    counts = [(numbers.get(f"{word}s", 0), word) for word in ("error", "warning")]
    found = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    return f"; the report has {' and '.join(found)}" if found else ""
