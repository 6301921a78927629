"""Preparation of folders: the one place of the command line that calls `prepare`.

Invariant: what comes back is what preparation found; a report is there whenever preparation wrote one.
"""

from __future__ import annotations

import json
import threading
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from trainingrun_agent.cli.folders import Folders
from trainingrun_agent.cli.names_in_labels import names_in_labels
from trainingrun_agent.cli.published_splits import with_published_splits
from trainingrun_agent.cli.run_object import RunObject
from trainingrun_agent.cli.terminal import count
from trainingrun_agent.cli.terms import for_folders
from trainingrun_agent.config import Dataset, GroupBy, Source, SplitRule
from trainingrun_agent.errors import UserError
from trainingrun_agent.keys import REPORT, REPORT_PAGE, BucketKeys, file_of, folder_of
from trainingrun_agent.prep.model.findings import Findings, Split
from trainingrun_agent.prep.prepare import prepare
from trainingrun_agent.prep.prepared import PreparedDataset
from trainingrun_agent.prep.report.page.page import render
from trainingrun_agent.prep.report.report import report
from trainingrun_agent.prep.request import Describe, PrepareRequest, no_description
from trainingrun_agent.prep.source.listing import left_out
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.folder_store import FolderStore
from trainingrun_agent.storage.manifest import Producer
from trainingrun_agent.terms import Terms

KEYS = BucketKeys("")
"""The output folder is laid out as a bucket without a storage prefix."""
NO_DIGEST = "0" * 64
"""Of data that was refused before it was read."""
_BY_DEFAULT = {
    "dataset.classes": "classes",
    "dataset.train.format": "format",
    "dataset.eval.format": "format",
    "dataset.intensityRange": "intensity_range",
    "dataset.splitSeed": "split_seed",
    "dataset.splitGroup": "split_group",
}
"""Fields that need no option."""
MAX_REPORT, MAX_PAGE = 16 << 20, 64 << 20


@dataclass(frozen=True)
class Result:
    """What preparation found.

    `report_folder` is the key of their folder. `found_classes` are the class names when they were taken from the
    labels, `divided` is a line about a folder that holds splits.
    """

    prepared: PreparedDataset | None
    refusal: UserError | None
    report: dict[str, Any]
    page: bytes
    report_folder: str
    found_classes: tuple[str, ...] | None
    divided: str


@dataclass
class Preparation:
    """One preparation of folders into the folder `out`, with `scratch` for temporary files.

    With `run_object`, the report has the `dataset` of a TrainingRun.
    """

    arguments: Namespace
    data: Folders
    out: FolderStore
    scratch: Path
    stop: threading.Event
    run_object: RunObject | None = None
    progress: Progress = field(default_factory=lambda: Progress(stage="prep", pod_uid="cli"))
    stores: dict[str, ObjectStore] = field(default_factory=dict)

    def run(self) -> Result:
        """Raises UsageError, what storage raises, DiskFull, Interrupted."""
        out = self.out
        for info in list(out.list(f"{KEYS.failed_datasets}/")):
            out.delete(info.key)
        found_classes, prepared, refusal = None, None, None
        try:
            if self.run_object is not None:
                self._use_published_splits(self.run_object)
            if self.arguments.classes is None:
                found_classes = self._classes_in_labels()
            prepared = self._prepare(out, self.arguments.classes or found_classes or ())
        except UserError as error:
            refusal = error
        folder = folder_of(prepared.manifest_key) if prepared else _failed_folder(out)
        if folder:
            document = json.loads(out.get(file_of(folder, REPORT), max_bytes=MAX_REPORT))
            page = out.get(file_of(folder, REPORT_PAGE), max_bytes=MAX_PAGE)
        else:
            assert refusal is not None
            document = self._refused(refusal)
            page = render(document, [], self.terms).encode()
        return Result(prepared, refusal, document, page, folder, found_classes, self._divided())

    def _divided(self) -> str:
        """A line about a folder that was taken as the splits that it holds; empty where the command names them."""
        train, evaluation = self.data.train, self.data.eval
        if evaluation is None or self.arguments.eval is not None or self.arguments.eval_image_set is not None:
            return ""
        if train.image_set:
            tree = "" if self.data.name(train) == str(self.arguments.folder) else f" of {self.data.name(train)}"
            first, second = f"image set {train.image_set}{tree}", evaluation.image_set
        else:
            first, second = self.data.name(train), self.data.name(evaluation)
        unused = ", ".join(f"{folder} ({count(images, 'image')})" for folder, images in self.data.unused.items())
        left = f"; not used: {unused}" if unused else ""
        return f"{self.arguments.folder} holds splits: {first} is for training, {second} for evaluation{left}"

    @property
    def terms(self) -> Terms:
        """The names of the folders and options, for messages."""
        data = self.data
        evaluation = None if data.eval is None else data.name(data.eval)
        unset = [path for path, option in _BY_DEFAULT.items() if getattr(self.arguments, option) in (None, "auto")]
        return for_folders(data.name(data.train), evaluation, in_bucket=data.in_bucket, unset=unset)

    def _prepare(self, out: ObjectStore, classes: tuple[str, ...]) -> PreparedDataset:
        arguments = self.arguments
        dataset = Dataset(
            train=self.data.train,
            eval=self.data.eval,
            split=self._split_rule(),
            classes=classes,
            max_bad_files=arguments.max_bad_files,
            max_image_side=arguments.max_image_side,
            intensity_range=arguments.intensity_range,
        )
        return prepare(
            PrepareRequest(
                dataset=dataset,
                network=arguments.network,
                store_for=self._store,
                out=out,
                keys=KEYS,
                producer=Producer("cli", 0),
                scratch=self.scratch,
                progress=self.progress,
                stop=self.stop,
                terms=self.terms,
                left_out=self._left_out,
                describe=self._describe(dataset),
            )
        )

    def _use_published_splits(self, run_object: RunObject) -> None:
        self.data = run_object.data = with_published_splits(
            self.data, self.arguments, self._store, progress=self.progress, stop=self.stop
        )

    def _describe(self, dataset: Dataset) -> Describe:
        if self.run_object is None:
            return no_description
        return partial(self.run_object.dataset, dataset.classes, dataset.split)

    def _refused(self, refusal: UserError) -> dict[str, Any]:
        """The report on data that was refused before it was read."""
        findings = Findings()
        for source in {self.data.train, self.data.eval or self.data.train}:
            findings.extend(left_out(self._left_out(source)))
        return report(
            digest=NO_DIGEST,
            classes=self.arguments.classes or (),
            network=NetworkInput.for_network(self.arguments.network),
            division=None,
            splits=(),
            findings=findings,
            refusal=refusal,
            terms=self.terms,
        )

    def _split_rule(self) -> SplitRule | None:
        arguments = self.arguments
        if arguments.eval_fraction is None:
            return None
        group: GroupBy = arguments.split_group or "sequence"
        return SplitRule(arguments.eval_fraction, arguments.split_seed or 0, group)

    def _classes_in_labels(self) -> tuple[str, ...]:
        """The names in the training labels; if they hold none, those for evaluation, which then are no unknown ones."""
        found: tuple[str, ...] = ()
        sources: dict[Split, Source | None] = {"train": self.data.train, "eval": self.data.eval}
        for split, source in sources.items():
            if source is not None and not found:
                found = names_in_labels(
                    self._store,
                    source,
                    split,
                    terms=self.terms,
                    scratch=self.scratch,
                    progress=self.progress,
                    stop=self.stop,
                )
        return found

    def _store(self, bucket: str) -> ObjectStore:
        if bucket not in self.stores:
            self.stores[bucket] = self._open(bucket)
        return self.stores[bucket]

    def _open(self, bucket: str) -> ObjectStore:
        if not self.data.in_bucket:
            return FolderStore(Path(bucket))
        from trainingrun_agent.cli.bucket import open_bucket

        field_ = "dataset.train.uri" if bucket == self.data.train.bucket else "dataset.eval.uri"
        return open_bucket(bucket, self.arguments, field=field_)

    def _left_out(self, source: Source) -> Mapping[str, str]:
        store, key = self._store(source.bucket), source.key
        if not isinstance(store, FolderStore):
            return {}
        return {path[len(key) :]: cause for path, cause in store.skipped.items() if path.startswith(key)}


def _failed_folder(out: ObjectStore) -> str:
    """The folder of the report on refused data, empty when there is none."""
    found = next(iter(out.list(f"{KEYS.failed_datasets}/", limit=1)), None)
    return folder_of(found.key) if found else ""
