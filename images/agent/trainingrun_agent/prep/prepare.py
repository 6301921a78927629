"""Prepare a data set: list its sources, reuse it or check and write it, judge it, report, publish.

Invariant: the same objects with the same parameters give the same digest and the same bytes; the manifest
appears only for data that passed the policy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainingrun_agent.errors import UserError
from trainingrun_agent.gc_pause import gc_paused
from trainingrun_agent.keys import LABEL_MAP, REPORT, REPORT_PAGE, file_of
from trainingrun_agent.prep.build import BuiltDataset, build
from trainingrun_agent.prep.image.intensity import UNKNOWN, Scaling
from trainingrun_agent.prep.judge import one_sided, policy
from trainingrun_agent.prep.judge.duplicates import duplicates, in_both_splits
from trainingrun_agent.prep.judge.small_eval import small_eval
from trainingrun_agent.prep.model.codes.kind import Severity
from trainingrun_agent.prep.model.codes.whole import DUPLICATE_ACROSS_SPLITS, NEAR_DUPLICATE_ACROSS_SPLITS
from trainingrun_agent.prep.model.findings import Findings, Split
from trainingrun_agent.prep.output.label_map import label_map
from trainingrun_agent.prep.output.scratch_file import writing_to_scratch
from trainingrun_agent.prep.prepared import TOP_FINDINGS, PreparedDataset, prepared
from trainingrun_agent.prep.report.gallery import gallery
from trainingrun_agent.prep.report.page.page import render
from trainingrun_agent.prep.report.report import report
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.prep.scaling import found_scaling, given_scaling, scaling_findings
from trainingrun_agent.prep.source import split_layout, unread
from trainingrun_agent.prep.source.labels import Origin
from trainingrun_agent.prep.source.listing import left_out
from trainingrun_agent.prep.source.locate import ListedSource, Sources
from trainingrun_agent.prep.source.recognise import Formats
from trainingrun_agent.prep.source.several import open_best
from trainingrun_agent.prep.split.dataset_split import DatasetSplit, OpenSource, divide
from trainingrun_agent.prep.split.division import Division
from trainingrun_agent.prep.store.archived import archived, without_restored
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder
from trainingrun_agent.prep.store.previous import PreviousDataset
from trainingrun_agent.prep.store.publish import publish, publish_failure
from trainingrun_agent.prep.store.stored_objects import StoredObjects
from trainingrun_agent.storage import documents

OUTPUT_FORMAT = 6
"""Raise when the same input gives other output: data sets are then prepared again.

6: class ids mean what the list beside the labels says; labels are found in other folders than the images.
"""


def prepare(request: PrepareRequest) -> PreparedDataset:
    """Prepare the data set, or find it already prepared.

    Raises UserError for data that cannot be used for training (the hint says where the report is), Interrupted,
    DiskFull, and what storage raises.
    """
    with gc_paused():
        sources = _list(request)
    request.progress.update(format=_formats({split: source.formats[0].name for split, source in sources.items()}))
    data_digest = _data_digest(request, sources)
    objects = StoredObjects(request.out, request.keys, request.scratch, request.clock)
    scaling = given_scaling(request)
    folder = DatasetFolder(objects, request.out, request.keys, _dataset_digest(request, sources, scaling))
    origins = {split: source.origin for split, source in sources.items()}
    folder, reused = _reused(folder, request, origins, data_digest)
    if reused is not None:
        return reused
    sources_digest = _sources_digest(request, {split: source.names for split, source in sources.items()})
    earlier = PreviousDataset.of_sources(folder, sources_digest)
    if scaling is None and (scaling := found_scaling(request, sources["train"].listing, earlier)) is not None:
        folder = replace(folder, digest=_dataset_digest(request, sources, scaling))
        folder, reused = _reused(folder, request, origins, data_digest)
        if reused is not None:
            return reused
    with TemporaryDirectory(prefix="prep-", dir=request.scratch) as scratch:
        work = _Work(folder, earlier, sources_digest, scaling, Path(scratch))
        dataset, train_bytes = _build_and_publish(request, sources, work)
    return prepared(folder, dataset, request.terms, data_digest=data_digest, reused=False, train_bytes=train_bytes)


def _list(request: PrepareRequest) -> dict[Split, ListedSource]:
    sources = Sources(request.store_for, request.dataset.classes, request.terms, request.progress, request.stop)
    found = {split: sources.list(source, split) for split, source in request.sources.items()}
    listings = {split: source.listing for split, source in found.items()}
    for split, source in request.sources.items():
        listings[split].findings += left_out(request.left_out(source))
    listings["train"].findings += split_layout.findings(
        request.sources, listings, lambda folder: request.terms.place(folder.bucket, folder.key)
    )
    return found


def _reused(
    folder: DatasetFolder, request: PrepareRequest, origins: Mapping[Split, Origin], data_digest: str
) -> tuple[DatasetFolder, PreparedDataset | None]:
    """The data set, if it is prepared already, and its folder; else the folder to prepare it in."""
    while (complete := folder.read_complete(request.splits)) is not None:
        dataset = complete.dataset or {}
        newer = without_restored(folder, dataset, origins)
        if newer is folder:
            size = sum(shard.size for shard in complete.records("train"))
            found = prepared(folder, dataset, request.terms, data_digest=data_digest, reused=True, train_bytes=size)
            return folder, found
        folder = newer
    return folder, None


def _formats(names: Mapping[Split, str]) -> str:
    """The name of the labels' format, or both names if train and eval differ."""
    if len(set(names.values())) == 1:
        return names["train"]
    return ", ".join(f"{name} ({split})" for split, name in names.items())


def _dataset_digest(request: PrepareRequest, sources: Mapping[Split, ListedSource], scaling: Scaling | None) -> str:
    """A digest of everything that decides what the data set holds: parameters, and the files that are read."""
    parameters = {**_parameters(request), "intensityRange": None if scaling is None else scaling.range}
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode() + b"\n")
    for split, source in sources.items():
        digests = source.listing.digests
        read = {kind: digests[kind].hexdigest() for kind in sorted(digests) if kind in _kinds_read(source.formats)}
        lists = [one.entry for one in source.lists]
        digest.update(json.dumps([split, source.names, read, *lists]).encode() + b"\n")
        for finding in source.listing.findings:
            digest.update(json.dumps(finding.to_json()).encode() + b"\n")
    return digest.hexdigest()


def _data_digest(request: PrepareRequest, sources: Mapping[Split, ListedSource]) -> str:
    """A digest of images, labels and what users say of them: the same for the same data, also after an upgrade.

    So it knows nothing of this version's output, findings and network, nor where the data is.
    """
    of_version = {"outputFormat", "network", "maxBadFiles", "labels"}
    parameters = {name: value for name, value in _parameters(request).items() if name not in of_version}
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode() + b"\n")
    for split, source in sources.items():
        digests, kinds = source.listing.digests, _kinds_read(source.formats) - {"unread"}
        read = {kind: digests[kind].hexdigest() for kind in sorted(digests) if kind in kinds}
        digest.update(json.dumps([split, read]).encode() + b"\n")
    return digest.hexdigest()


def _kinds_read(formats: Formats) -> set[str]:
    return {"image", "unread", "set", *(suffix for format_ in formats for suffix in format_.suffixes)}


def _sources_digest(request: PrepareRequest, formats: Mapping[Split, str]) -> str:
    """A digest of everything that decides what a record holds, other than the image's own files."""
    parameters = {**_parameters(request), "maxBadFiles": None, "network": None}
    parameters.pop("inputSize", None)
    sources = [[split, str(source), formats[split]] for split, source in request.sources.items()]
    return hashlib.sha256(json.dumps([parameters, sources], sort_keys=True).encode()).hexdigest()


def _parameters(request: PrepareRequest) -> dict[str, Any]:
    """Everything that decides what a data set holds, other than the files."""
    dataset = request.dataset
    labels = [source.labels and str(source.labels) for source in request.sources.values()]
    return {
        **({"labels": labels} if any(labels) else {}),
        "outputFormat": OUTPUT_FORMAT,
        "classes": dataset.classes,
        "maxBadFiles": dataset.max_bad_files,
        "maxImageSide": dataset.max_image_side,
        "intensityRange": dataset.intensity_range,
        "network": request.network,
        **({} if request.network_input.is_default else {"inputSize": request.network_input.side}),
        "imageSets": [source.image_set for source in request.sources.values()],
        "split": None if dataset.split is None else [str(value) for value in asdict(dataset.split).values()],
    }


@dataclass(frozen=True)
class _Work:
    """Where a data set is written, what is known of it, and where temporary files are."""

    folder: DatasetFolder
    earlier: PreviousDataset
    sources_digest: str
    scaling: Scaling | None
    scratch: Path


def _build_and_publish(
    request: PrepareRequest, sources: dict[Split, ListedSource], work: _Work
) -> tuple[dict[str, Any], int]:
    """Check the images and write the data set; `sources` are used up.

    Returns what the manifest says about it, and the bytes of all train records.
    """
    folder, scratch = work.folder, work.scratch
    findings = Findings()
    findings.extend(scaling_findings(work.scaling))
    with ExitStack() as stack:
        with gc_paused():
            opened = _open_labels(request, sources, scratch, stack)
            formats = _formats({split: source.format for split, source in opened.items()})
            request.progress.update(format=formats)
            splits = divide(opened, request.split_of, network_input=request.network_input)
        built = build(
            request,
            splits,
            folder,
            earlier=work.earlier,
            scaling=work.scaling,
            sources_digest=work.sources_digest,
            scratch=scratch,
            findings=findings,
        )
        division = None if request.dataset.split is None else Division(request.dataset.split, built.csv)
        failure = _judge(request, built, division, findings)
        reports = _write_reports(request, work, built, division, findings, failure)
    if failure is not None:
        where = publish_failure(folder, reports)
        raise failure.with_report(where) from failure
    with writing_to_scratch(LABEL_MAP):
        (scratch / LABEL_MAP).write_bytes(label_map(request.dataset.classes))
    dataset = _numbers(request, work, built.splits, findings) | {"format": formats}
    publish(
        folder,
        shards=[shard for shards in built.shards.values() for shard in shards],
        files=[scratch / LABEL_MAP, *reports, *built.csv],
        dataset=dataset,
        producer=request.producer,
        clock=request.clock,
        stop=request.stop,
    )
    return dataset, sum(shard.records.size for shard in built.shards["train"] if shard.records)


def _open_labels(
    request: PrepareRequest, sources: dict[Split, ListedSource], scratch: Path, stack: ExitStack
) -> dict[Split, OpenSource]:
    """Open the labels of each source until the stack is closed."""
    opened: dict[Split, OpenSource] = {}
    for split in request.sources:
        listed = sources.pop(split)  # frees a listing, which is large
        origin = listed.origin
        best = stack.enter_context(
            open_best(
                listed.formats,
                listed.listing,
                origin,
                listed.lists,
                scratch=scratch,
                progress=request.progress,
                stop=request.stop,
            )
        )
        pairing = best.labels.pairing
        pairing.findings[:] = unread.explain(pairing.findings, listed.listing)
        opened[split] = OpenSource(origin.images, best.format.name, best.labels)
        del listed
    return opened


def _judge(
    request: PrepareRequest, built: BuiltDataset, division: Division | None, findings: Findings
) -> UserError | None:
    """Add the findings about the whole data set; return the most serious reason not to use it for training, if any."""
    dataset = request.dataset
    policy.merge_spellings(built.splits, dataset.classes, findings)
    failure = policy.judge(
        built.splits,
        division=division,
        classes=dataset.classes,
        max_bad_files=dataset.max_bad_files,
        findings=findings,
    )
    for split in built.splits:
        findings.extend(policy.size_findings(split))
        if split.name == "eval":
            train = built.splits[0].totals
            findings.extend(one_sided.unseen_classes(train, split.totals, dataset.classes, division))
            findings.extend(small_eval(split.totals, dataset.classes))
        else:
            findings.extend(policy.imbalance(split.totals, dataset.classes))
            findings.extend(policy.alike_classes(split.totals, dataset.classes))
            findings.extend(policy.mirrored_classes(dataset.classes))
    findings.extend(policy.beyond_images(built.splits, findings))
    findings.extend(duplicates(built.fingerprints, request.progress))
    evaluation = sum(split.totals.images for split in built.splits if split.name == "eval")
    findings.extend(in_both_splits(findings, evaluation, request.sources))
    return failure


def _write_reports(
    request: PrepareRequest,
    work: _Work,
    built: BuiltDataset,
    division: Division | None,
    findings: Findings,
    failure: UserError | None,
) -> list[Path]:
    """Write report.json and, for people, report.html."""
    classes, scratch, scaling = request.dataset.classes, work.scratch, work.scaling
    document = report(
        digest=work.folder.digest,
        classes=classes,
        network=request.network_input,
        division=division,
        splits=built.splits,
        findings=findings,
        refusal=failure,
        terms=request.terms,
    )
    if scaling is not None:
        document["intensityRange"] = list(scaling.range)
    if failure is None and (dataset := request.describe(built.splits, built.csv)) is not None:
        document["dataset"] = {**dataset, **({} if scaling is None else {"intensityRange": list(scaling.range)})}
    pictures = gallery(
        built.splits,
        findings,
        classes=classes,
        scaling=scaling or UNKNOWN,
        terms=request.terms,
        progress=request.progress,
        stop=request.stop,
    )
    page = render(document, list(pictures), request.terms)
    with writing_to_scratch("the report"):
        (scratch / REPORT).write_bytes(documents.encode(document))
        (scratch / REPORT_PAGE).write_text(page, encoding="utf-8")
    return [scratch / REPORT, scratch / REPORT_PAGE]


def _numbers(request: PrepareRequest, work: _Work, splits: list[DatasetSplit], findings: Findings) -> dict[str, Any]:
    """What the manifest says about the data set; the numbers of the verdict are a part of it."""
    numbers: dict[str, Any] = {f"{name}{what}": 0 for name in ("train", "eval") for what in ("Images", "Objects")}
    for split in splits:
        numbers[f"{split.name}Images"] = split.totals.images
        numbers[f"{split.name}Objects"] = split.totals.objects
    seen_in_training = {
        "evalImagesInTrain": findings.counts[DUPLICATE_ACROSS_SPLITS.code],
        "evalImagesLikeTrain": findings.counts[NEAR_DUPLICATE_ACROSS_SPLITS.code],
    }
    return {
        **numbers,
        **{name: count for name, count in seen_in_training.items() if count},
        **({} if work.scaling is None else {"intensityRange": list(work.scaling.range)}),
        **archived(findings),
        "classes": list(request.dataset.classes),
        "maxBoxesPerImage": max(split.totals.max_boxes for split in splits),
        "errors": findings.severities[Severity.ERROR],
        "warnings": findings.severities[Severity.WARNING],
        "topFindings": [finding.to_json() for finding in findings.top(TOP_FINDINGS)],
        "infos": findings.severities[Severity.INFO],
        "reportURI": work.folder.uri(file_of(work.folder.key, REPORT_PAGE)),
        "reportJSONURI": work.folder.uri(file_of(work.folder.key, REPORT)),
    }
