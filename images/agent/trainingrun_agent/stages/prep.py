"""The prep stage: check that storage works, turn labelled images into a data set, write the run's pipeline.config.

Invariant: prepared.json is written last. When it is there, and so are the objects it points to, the stage is finished
and no attempt does anything again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trainingrun_agent import __version__, host_memory
from trainingrun_agent.clock import rfc3339
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UNUSABLE, Interrupted, StageError
from trainingrun_agent.log import logger
from trainingrun_agent.pipeline.effective import Pipeline
from trainingrun_agent.pipeline.readers import shuffled
from trainingrun_agent.prep.prepare import prepare
from trainingrun_agent.prep.prepared import PreparedDataset, top_findings
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.prep.sharding.pool import most_workers
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder
from trainingrun_agent.prep.store.stored_objects import StoredObjects
from trainingrun_agent.reasons.pods import PREPARED, PREPARED_BEFORE
from trainingrun_agent.stages import pretrained_check, run_configuration
from trainingrun_agent.stages.export_check import check_export
from trainingrun_agent.stages.resume_check import ResumeCheck, in_words, trained_batch_norm
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage import documents, epochs, preflight, results
from trainingrun_agent.storage.manifest import Producer
from trainingrun_agent.terms import TRAININGRUN, Message
from trainingrun_agent.transfer.dataset import read_pipeline_config
from trainingrun_agent.verdict import StageResult

TEXTS = ("topFindings", "storageWarning")
"""Numbers of the verdict that are sentences. They are not stored, so that no version shows the words of another."""
_COUNTS = {"trainImages", "evalImages"}
_SAVED = "; {savedImages} of {images} images are saved"


def run(context: StageContext) -> StageResult:
    """Run the stage. Raises StageError."""
    record, resolved = context.record, context.config.resolved
    check_export(resolved)
    with record.part("fetch"):
        warnings = _preflight(context)
        raise_if_stopped(context.stop)
        record.claimed(epochs.claim(context.out, resolved.run_keys, context.config.pod_uid, clock=context.clock))
        finished = _finished(context)
    if finished is not None:
        record.numbers = finished | _warned(warnings)
        return StageResult(PREPARED_BEFORE, {"images": _images(record.numbers)})
    with record.part("fetch"):
        own = run_configuration.read_own(context)
        batch_norm = trained_batch_norm(context)
        wanted = run_configuration.build(context, own, batch_norm=batch_norm)
        resuming = ResumeCheck.begin(context, pipeline_config=wanted.text)
        pretrained_check.check_scope(context, pretrained_check.check_fits(context), pipeline_config=wanted.text)
    with record.part("work"):
        with _saved_images_in_verdict(context):
            prepared = _prepare(context, wanted)
        buffer, boxes = shuffled(prepared.train_images, prepared.record_bytes), prepared.max_boxes_per_image
        pipeline = run_configuration.build(context, own, batch_norm=batch_norm, shuffle_buffer=buffer, max_boxes=boxes)
        resumed = {"resumedFrom": resuming.finish(prepared.data_digest)} if resuming else {}
    raise_if_stopped(context.stop)
    context.progress.update(phase="shipping")
    with record.part("ship"):
        numbers = _numbers(context, prepared, warnings) | resumed | run_configuration.store(context, pipeline)
        _ship(context, pipeline.text, prepared, numbers=numbers)
    record.numbers = numbers
    return StageResult(PREPARED, {"images": "".join((_images(numbers), *(f"; {note}" for note in pipeline.notes)))})


def _preflight(context: StageContext) -> tuple[str, ...]:
    context.progress.update(phase="preflight")
    resolved = context.config.resolved
    store_for = context.quick_store_for or context.store_for
    out = store_for(resolved.storage.bucket)
    warnings = preflight.probe(out, resolved.run_keys, context.config.pod_uid)
    preflight.check_sources(store_for, resolved.dataset.sources)
    pretrained = resolved.model.pretrained
    run_configuration.check_exists(store_for, resolved.model.config)
    pretrained_check.check_exists(store_for, None if pretrained is None else pretrained.uri)
    for warning in warnings:
        logger.warning(warning)
    reason = warnings[0].partition(":")[0] if warnings else ""
    context.progress.storage_usable(reason=reason, message="; ".join(warnings))
    return warnings


def _finished(context: StageContext) -> dict[str, Any] | None:
    """The numbers of a previous attempt's result, if everything it points to can still be used."""
    resolved, out = context.config.resolved, context.out
    try:
        result = results.read_result(out, resolved.run_keys, "prep")
        if result is None:
            return None
        read_pipeline_config(out, resolved, sha256=result.get(results.PIPELINE_CONFIG_SHA256))
    except UNUSABLE as error:
        logger.warning("preparing again: %s", error)
        return None
    digest = resolved.keys.parse_dataset_manifest(str(result["manifestKey"]))
    if digest is None or not result["numbers"].keys() >= _COUNTS:
        logger.warning("preparing again: %s is not the result of a preparation", resolved.run_keys.result("prep"))
        return None
    objects = StoredObjects(out, resolved.keys, context.config.shared, context.clock)
    manifest = DatasetFolder(objects, out, resolved.keys, digest).read_complete(("train", "eval"))
    if manifest is None:
        return None
    return {"topFindings": top_findings(manifest.dataset or {}, TRAININGRUN), **result["numbers"], "reused": True}


@contextmanager
def _saved_images_in_verdict(context: StageContext) -> Iterator[None]:
    """Report how many images the next attempt need not check again, if it is known when an error ends the block."""
    try:
        yield
    except StageError as error:
        progress = context.progress.snapshot()
        numbers: dict[str, Any] = {name: progress[name] for name in ("images", "savedImages") if name in progress}
        context.record.numbers = numbers
        if numbers and isinstance(error, Interrupted):
            raise error.with_more(Message(_SAVED, numbers)) from error
        raise


def _prepare(context: StageContext, wanted: Pipeline) -> PreparedDataset:
    resolved = context.config.resolved
    return prepare(
        PrepareRequest(
            dataset=resolved.dataset,
            network=resolved.model.network,
            input_size=wanted.input_size,
            store_for=context.store_for,
            out=context.out,
            keys=resolved.keys,
            producer=Producer(context.config.pod_uid, context.record.epoch or 0),
            scratch=context.config.shared,
            progress=context.progress,
            stop=context.stop,
            clock=context.clock,
        )
    )


def _numbers(context: StageContext, prepared: PreparedDataset, warnings: tuple[str, ...]) -> dict[str, Any]:
    resolved = context.config.resolved
    key = resolved.keys.relative(resolved.run_keys.result("prep"))
    memory = host_memory.reported(workers=most_workers())
    return {**prepared.numbers, "resultKey": key, **memory} | _warned(warnings)


def _warned(warnings: tuple[str, ...]) -> dict[str, str]:
    return {"storageWarning": "; ".join(warnings)} if warnings else {}


def _ship(context: StageContext, pipeline: str, prepared: PreparedDataset, *, numbers: Mapping[str, Any]) -> None:
    config, run = context.config, context.config.resolved.run_keys
    epoch = context.record.epoch or 0
    description = {
        "formatVersion": 1,
        "created": rfc3339(context.clock.now()),
        "producer": {"podUID": config.pod_uid, "epoch": epoch, "agentVersion": __version__},
        "resolved": config.resolved.document,
    }
    context.out.put(run.description, documents.encode(description))
    results.write_result(
        context.out,
        run,
        stage="prep",
        producer=Producer(config.pod_uid, epoch),
        manifest_key=config.resolved.keys.relative(prepared.manifest_key),
        numbers={name: value for name, value in numbers.items() if name not in TEXTS},
        clock=context.clock,
        more={
            results.PIPELINE_CONFIG_SHA256: hashlib.sha256(pipeline.encode()).hexdigest(),
            results.DATA_DIGEST: prepared.data_digest,
        },
    )


def _images(numbers: Mapping[str, Any]) -> str:
    counts = f"{numbers['trainImages']} train and {numbers['evalImages']} eval images"
    more = (in_words(numbers), _seen_in_training(numbers), _findings(numbers), _changes(numbers))
    return f"{counts} with {numbers.get('format', 'pascalVOC')} labels{''.join(more)}"


def _seen_in_training(numbers: Mapping[str, Any]) -> str:
    same, like, of = (numbers.get(name, 0) for name in ("evalImagesInTrain", "evalImagesLikeTrain", "evalImages"))
    found = [f"{same} of {of} evaluation images are training images"] if same else []
    found += [f"{like} of {of} look like one"] if like else []
    return f"; {', '.join(found)}" if found else ""


def _findings(numbers: Mapping[str, Any]) -> str:
    counts = [(numbers.get(f"{word}s", 0), word) for word in ("error", "warning")]
    found = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    return f"; the report has {' and '.join(found)}" if found else ""


def _changes(numbers: Mapping[str, Any]) -> str:
    count = numbers.get("configChanges", 0)
    one = "field of pipeline.config differs" if count == 1 else "fields of pipeline.config differ"
    return f"; {count} {one} from the network's default" if count else ""
