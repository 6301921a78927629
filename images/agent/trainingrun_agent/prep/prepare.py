"""Prepare a data set: list, reuse or check and write, judge, publish.

Invariant: the same objects with the same parameters give the same digest and the same bytes; the manifest
appears only for data that passed the policy.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import Source, SplitRule
from trainingrun_agent.errors import UserError
from trainingrun_agent.gc_pause import gc_paused
from trainingrun_agent.prep.build import Built, build
from trainingrun_agent.prep.judge import policy
from trainingrun_agent.prep.judge.duplicates import duplicates
from trainingrun_agent.prep.model.codes.kind import Severity
from trainingrun_agent.prep.model.findings import Finding, Findings, Split
from trainingrun_agent.prep.output.label_map import label_map
from trainingrun_agent.prep.report.gallery import gallery
from trainingrun_agent.prep.report.page.page import render
from trainingrun_agent.prep.report.report import report
from trainingrun_agent.prep.source.labels import Origin, head, open_labels
from trainingrun_agent.prep.source.listing import Listing, scan
from trainingrun_agent.prep.source.readers import Format
from trainingrun_agent.prep.source.recognise import recognise
from trainingrun_agent.prep.split import eval_fraction as fraction
from trainingrun_agent.prep.split.dataset_split import OpenSource, divide
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.prep.store.previous import Earlier, key_of, remember
from trainingrun_agent.prep.store.publish import Home, Writing, publish, publish_failure, reusable
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore, StoreFor
from trainingrun_agent.terms import TRAININGRUN, Terms

OUTPUT_FORMAT = 5
"""Raise when the same input gives other output: data sets are then prepared again.

5: findings are stored as codes and fields, not as text.
"""
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
    rule: SplitRule | None
    network: str
    store_for: StoreFor
    out_store: ObjectStore
    datasets_prefix: str
    classes: tuple[str, ...]
    max_bad_files: str
    max_image_side: int
    scratch: Path
    writing: Writing
    terms: Terms

    @property
    def split_of(self) -> Callable[[str], Split] | None:
        """Which split an image belongs to, where they share a source."""
        return None if self.rule is None else partial(fraction.split_of, rule=self.rule)


def prepare(  # noqa: PLR0913 - what a data set depends on
    *,
    train: Source,
    eval: Source | None,  # noqa: A002 - named like the field of the spec
    split: SplitRule | None = None,
    network: str,
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
    terms: Terms = TRAININGRUN,
) -> PreparedDataset:
    """Make the data set, or find it made already. Without `eval` and `split` it is all for training.

    `terms` are the nouns of report.html and of the first findings in `numbers`.

    Raises UserError for data that cannot be trained on (its hint says where the report is), Interrupted when
    told to stop, DiskFull, and what storage raises.
    """
    sources: dict[Split, Source] = {"train": train} if eval is None else {"train": train, "eval": eval}
    job = _Job(
        sources=sources,
        rule=split,
        network=network,
        store_for=store_for,
        out_store=out_store,
        datasets_prefix=datasets_prefix,
        classes=tuple(classes),
        max_bad_files=max_bad_files,
        max_image_side=max_image_side,
        scratch=scratch,
        writing=Writing(progress, stop, clock or Clock()),
        terms=terms,
    )
    with gc_paused():
        found, digest = _list(job)
    home = Home(out_store, datasets_prefix, digest)
    earlier = reusable(home)
    if earlier is not None:
        return _prepared(home, earlier.dataset or {}, job.terms, reused=True)
    with TemporaryDirectory(prefix="prep-", dir=scratch) as folder:
        return _prepared(home, _make(job, home, found, Path(folder)), job.terms, reused=False)


def _list(job: _Job) -> tuple[dict[Split, _Found], str]:
    digest = hashlib.sha256(json.dumps(_parameters(job), sort_keys=True).encode() + b"\n")
    found = {split: _find(job, split, source) for split, source in job.sources.items()}
    job.writing.progress.update(format=_formats(found))
    for split, (listing, format_) in ((split, (one.listing, one.format)) for split, one in found.items()):
        kinds = {kind: listing.digests[kind].hexdigest() for kind in sorted(listing.digests)}
        read = {kind: kinds[kind] for kind in kinds if kind in ("image", "set", *format_.suffixes)}
        digest.update(json.dumps([split, format_.name, read]).encode() + b"\n")
    return found, digest.hexdigest()


def _parameters(job: _Job) -> dict[str, Any]:
    """What decides how a data set looks, other than the files."""
    return {
        "outputFormat": OUTPUT_FORMAT,
        "classes": job.classes,
        "maxBadFiles": job.max_bad_files,
        "maxImageSide": job.max_image_side,
        "network": job.network,
        "imageSets": [source.image_set for source in job.sources.values()],
        "split": None if job.rule is None else [str(value) for value in asdict(job.rule).values()],
    }


def _sources_digest(job: _Job, found: Mapping[Split, _Found]) -> str:
    """What decides how a record looks, other than the image's own files."""
    parameters = {**_parameters(job), "maxBadFiles": None, "network": None}
    sources = [[split, str(source), found[split].format.name] for split, source in job.sources.items()]
    return hashlib.sha256(json.dumps([parameters, sources], sort_keys=True).encode()).hexdigest()


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
    names = {split: one.format.name for split, one in found.items()}
    if len(set(names.values())) == 1:
        return names["train"]
    return ", ".join(f"{name} ({split})" for split, name in names.items())


def _make(job: _Job, home: Home, found: dict[Split, _Found], folder: Path) -> dict[str, Any]:
    summary = _formats(found)
    latest = key_of(job.datasets_prefix, _sources_digest(job, found))
    findings = Findings()
    with ExitStack() as stack:
        with gc_paused():
            parts = divide(
                _open(job, found, folder, stack), job.split_of, network_input=NetworkInput.for_network(job.network)
            )
        built = build(
            parts,
            home,
            classes=job.classes,
            max_image_side=job.max_image_side,
            earlier=Earlier.recall(home.store, latest, job.datasets_prefix),
            folder=folder,
            findings=findings,
            writing=job.writing,
        )
        remember(home.store, latest, built.shards)
        failure = _judge(job, built, findings)
        reports = _reports(job, home, built, findings, folder)
    if failure is not None:
        where = publish_failure(home, reports)
        raise failure.with_report(where) from failure
    (folder / "label_map.pbtxt").write_bytes(label_map(job.classes))
    dataset = _numbers(job, home, built, findings) | {"format": summary}
    publish(
        home,
        shards=[made for shards in built.shards.values() for made in shards],
        files=[folder / "label_map.pbtxt", *reports, *built.csv],
        dataset=dataset,
        context=job.writing,
    )
    return dataset


def _open(job: _Job, found: dict[Split, _Found], folder: Path, stack: ExitStack) -> dict[Split, OpenSource]:
    """The sources, for as long as the stack lasts."""
    sources: dict[Split, OpenSource] = {}
    for split, source in job.sources.items():
        one = found.pop(split)  # listings are large, and not needed any more
        origin = _origin(job, split)
        opened = open_labels(
            one.format, one.listing, origin, scratch=folder, progress=job.writing.progress, stop=job.writing.stop
        )
        labels = stack.enter_context(opened)
        sources[split] = OpenSource(origin.store, source.key, one.format.name, labels)
        del one
    return sources


def _reports(job: _Job, home: Home, built: Built, findings: Findings, folder: Path) -> list[Path]:
    """report.json and, for people, report.html."""
    document = report(
        digest=home.digest,
        classes=job.classes,
        network=job.network,
        rule=job.rule,
        splits=built.splits,
        findings=findings,
    )
    (folder / "report.json").write_bytes(documents.encode(document))
    pictures = list(gallery(built.splits, findings, classes=job.classes, terms=job.terms, stop=job.writing.stop))
    (folder / "report.html").write_text(render(document, pictures, job.terms), encoding="utf-8")
    return [folder / "report.json", folder / "report.html"]


def _judge(job: _Job, built: Built, findings: Findings) -> UserError | None:
    """The findings about the whole are added; the gravest reason not to go on is returned."""
    failure = policy.judge(
        built.splits, rule=job.rule, classes=job.classes, max_bad_files=job.max_bad_files, findings=findings
    )
    for split in built.splits:
        findings.extend(policy.size_findings(split))
        if split.name == "eval":
            findings.extend(policy.unseen_classes(split.totals, job.classes))
        else:
            findings.extend(policy.imbalance(split.totals, job.classes))
    findings.extend(duplicates(built.fingerprints))
    return failure


def _numbers(job: _Job, home: Home, built: Built, findings: Findings) -> dict[str, Any]:
    """What the manifest says of the data set; the verdict's numbers are a part of it."""
    numbers: dict[str, Any] = {f"{split}{what}": 0 for split in ("train", "eval") for what in ("Images", "Objects")}
    for split in built.splits:
        numbers[f"{split.name}Images"] = split.totals.images
        numbers[f"{split.name}Objects"] = split.totals.objects
    return {
        **numbers,
        "classes": list(job.classes),
        "maxBoxesPerImage": max(split.totals.max_boxes for split in built.splits),
        "errors": findings.severities[Severity.ERROR],
        "warnings": findings.severities[Severity.WARNING],
        "topFindings": [finding.to_json() for finding in findings.top(TOP_FINDINGS)],
        "infos": findings.severities[Severity.INFO],
        "reportURI": home.uri(f"{home.folder}/report.html"),
        "reportJSONURI": home.uri(f"{home.folder}/report.json"),
    }


def _prepared(home: Home, dataset: Mapping[str, Any], terms: Terms, *, reused: bool) -> PreparedDataset:
    numbers = {name: value for name, value in dataset.items() if name not in ("classes", "maxBoxesPerImage")}
    numbers["topFindings"] = [_short(Finding.from_json(one), terms) for one in dataset["topFindings"]]
    return PreparedDataset(
        digest=home.digest,
        reused=reused,
        manifest_key=home.manifest_key,
        numbers={**numbers, "digest": home.digest, "reused": reused},
        max_boxes_per_image=dataset["maxBoxesPerImage"],
        train_images=dataset["trainImages"],
        eval_images=dataset["evalImages"],
    )


def _short(finding: Finding, terms: Terms) -> str:
    return f"{finding.split}: {finding.line(terms)}"[:TOP_FINDING_TEXT]
