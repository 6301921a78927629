"""Prepare a data set: list, reuse or check and write, judge, publish.

Invariant: the same objects with the same parameters give the same digest and the same bytes; the manifest
appears only for data that passed the policy.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import Source
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep import images, policy
from trainingrun_agent.prep.budget import Budget
from trainingrun_agent.prep.check import Checker
from trainingrun_agent.prep.findings import Finding, Findings, Severity, Split
from trainingrun_agent.prep.labelmap import label_map
from trainingrun_agent.prep.labels import Labels, Origin, head, open_labels
from trainingrun_agent.prep.listing import Listing, scan
from trainingrun_agent.prep.publish import Home, Writing, publish, publish_failure, reusable
from trainingrun_agent.prep.readers import Format
from trainingrun_agent.prep.recognise import recognise
from trainingrun_agent.prep.report import report
from trainingrun_agent.prep.split import SplitResult, process
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore, StoreFor

OUTPUT_FORMAT = 2
"""Raise when the same input gives other output: data sets are then prepared again."""
TOP_FINDINGS, TOP_FINDING_TEXT = 5, 200


@dataclass(frozen=True)
class PreparedDataset:
    """`manifest_key` is absolute in the bucket; `numbers` as in verdict.schema.json, $defs.prep."""

    digest: str
    reused: bool
    manifest_key: str
    numbers: dict[str, Any]
    max_boxes_per_image: int
    train_images: int
    eval_images: int


@dataclass(frozen=True)
class _Found:
    """What lies in a source, and the format of its labels."""

    listing: Listing
    format: Format


@dataclass(frozen=True)
class _Job:
    sources: dict[Split, Source]
    store_for: StoreFor
    out_store: ObjectStore
    datasets_prefix: str
    classes: tuple[str, ...]
    max_bad_files: str
    max_image_side: int
    scratch: Path
    writing: Writing
    budget: Budget = field(default_factory=lambda: Budget(images.MEMORY))


def prepare(  # noqa: PLR0913 - what a data set depends on
    *,
    train: Source,
    eval: Source,  # noqa: A002 - named like the field of the spec
    store_for: StoreFor,
    out_store: ObjectStore,
    datasets_prefix: str,
    classes: Sequence[str],
    max_bad_files: str,
    max_image_side: int,
    scratch: Path,
    progress: Progress,
    stop: threading.Event,
    clock: Clock | None = None,
) -> PreparedDataset:
    """Make the data set, or find it made already.

    Raises UserError for data that cannot be trained on (its hint says where the report is), Interrupted when
    told to stop, DiskFull, and what storage raises.
    """
    job = _Job(
        sources={"train": train, "eval": eval},
        store_for=store_for,
        out_store=out_store,
        datasets_prefix=datasets_prefix,
        classes=tuple(classes),
        max_bad_files=max_bad_files,
        max_image_side=max_image_side,
        scratch=scratch,
        writing=Writing(progress, stop, clock or Clock()),
    )
    found, digest = _list(job)
    home = Home(out_store, datasets_prefix, digest)
    earlier = reusable(home)
    if earlier is not None:
        return _prepared(home, earlier.dataset or {}, reused=True)
    with TemporaryDirectory(prefix="prep-", dir=scratch) as folder:
        return _prepared(home, _make(job, home, found, Path(folder)), reused=False)


def _list(job: _Job) -> tuple[dict[Split, _Found], str]:
    parameters = {
        "outputFormat": OUTPUT_FORMAT,
        "classes": job.classes,
        "maxBadFiles": job.max_bad_files,
        "maxImageSide": job.max_image_side,
        "imageSets": [source.image_set for source in job.sources.values()],
    }
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode() + b"\n")
    found = {split: _find(job, split, source) for split, source in job.sources.items()}
    job.writing.progress.update(format=_formats(found))
    for split, (listing, format_) in ((split, (one.listing, one.format)) for split, one in found.items()):
        kinds = {kind: listing.digests[kind].hexdigest() for kind in sorted(listing.digests)}
        read = {kind: kinds[kind] for kind in kinds if kind in ("image", "set", *format_.suffixes)}
        digest.update(json.dumps([split, format_.name, read]).encode() + b"\n")
    return found, digest.hexdigest()


def _find(job: _Job, split: Split, source: Source) -> _Found:
    store = job.store_for(source.bucket)
    listing = scan(store, source, split=split, progress=job.writing.progress, stop=job.writing.stop)
    origin = _origin(job, split)
    return _Found(listing, recognise(listing, source.format, split=split, head=lambda entry: head(origin, entry)))


def _origin(job: _Job, split: Split) -> Origin:
    source = job.sources[split]
    return Origin(job.store_for(source.bucket), source.key, split, job.classes)


def _formats(found: Mapping[Split, _Found]) -> str:
    """One name where train and eval have one format, as they mostly do."""
    train, evaluation = found["train"].format.name, found["eval"].format.name
    return train if train == evaluation else f"{train} (train), {evaluation} (eval)"


def _make(job: _Job, home: Home, found: dict[Split, _Found], folder: Path) -> dict[str, Any]:
    findings = Findings()
    formats = {split: one.format.name for split, one in found.items()}
    summary = _formats(found)
    results = _check(job, found, folder, findings)
    failure = policy.judge(
        results["train"],
        results["eval"],
        classes=job.classes,
        max_bad_files=job.max_bad_files,
        findings=findings,
    )
    findings.extend(policy.unseen_classes(results["eval"], job.classes))
    document = report(
        digest=home.digest,
        classes=job.classes,
        splits=list(results.values()),
        formats=formats,
        findings=findings,
    )
    if failure is not None:
        where = publish_failure(home, document)
        raise UserError(failure.reason, failure.message, hint=f"{failure.hint} {where}") from failure
    (folder / "report.json").write_bytes(documents.encode(document))
    (folder / "label_map.pbtxt").write_bytes(label_map(job.classes))
    dataset = _numbers(job, home, results, findings) | {"format": summary}
    publish(
        home,
        shards={split: result.shards for split, result in results.items()},
        files=[folder / "label_map.pbtxt", folder / "report.json", *(result.csv for result in results.values())],
        dataset=dataset,
        context=job.writing,
    )
    return dataset


def _check(job: _Job, found: dict[Split, _Found], folder: Path, findings: Findings) -> dict[Split, SplitResult]:
    progress = job.writing.progress
    with ExitStack() as stack:
        labels: dict[Split, Labels] = {}
        for split in job.sources:
            one = found.pop(split)  # listings are large, and not needed any more
            opened = open_labels(
                one.format, one.listing, _origin(job, split), scratch=folder, progress=progress, stop=job.writing.stop
            )
            labels[split] = stack.enter_context(opened)
        total = sum(len(one.pairing.pairs) for one in labels.values())
        done = 0

        def on_image() -> None:
            nonlocal done
            done += 1
            progress.update(phase="checking", unit="images", done=done, total=total)

        progress.update(phase="checking", unit="images", done=0, total=total)
        return {
            split: process(
                one.pairing,
                _checker(job, job.sources[split], one),
                split=split,
                scratch=folder,
                findings=findings,
                stop=job.writing.stop,
                on_image=on_image,
            )
            for split, one in labels.items()
        }


def _checker(job: _Job, source: Source, labels: Labels) -> Checker:
    return Checker(
        store=job.store_for(source.bucket),
        prefix=source.key,
        ids={name: number for number, name in enumerate(job.classes, start=1)},
        max_side=job.max_image_side,
        budget=job.budget,
        labels=labels.read,
    )


def _numbers(job: _Job, home: Home, results: dict[Split, SplitResult], findings: Findings) -> dict[str, Any]:
    """What the manifest says of the data set; the verdict's numbers are a part of it."""
    train, evaluation = results["train"], results["eval"]
    return {
        "classes": list(job.classes),
        "maxBoxesPerImage": max(train.max_boxes, evaluation.max_boxes),
        "trainImages": train.images,
        "evalImages": evaluation.images,
        "trainObjects": train.objects,
        "evalObjects": evaluation.objects,
        "errors": findings.severities[Severity.ERROR],
        "warnings": findings.severities[Severity.WARNING],
        "topFindings": [_short(finding) for finding in findings.top(TOP_FINDINGS)],
        "reportURI": home.uri(f"{home.folder}/report.json"),
    }


def _short(finding: Finding) -> str:
    return f"{finding.split}: {finding}"[:TOP_FINDING_TEXT]


def _prepared(home: Home, dataset: Mapping[str, Any], *, reused: bool) -> PreparedDataset:
    numbers = {name: value for name, value in dataset.items() if name not in ("classes", "maxBoxesPerImage")}
    return PreparedDataset(
        digest=home.digest,
        reused=reused,
        manifest_key=home.manifest_key,
        numbers={**numbers, "digest": home.digest, "reused": reused},
        max_boxes_per_image=dataset["maxBoxesPerImage"],
        train_images=dataset["trainImages"],
        eval_images=dataset["evalImages"],
    )
