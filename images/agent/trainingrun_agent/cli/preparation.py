"""Preparation of folders: the one place of the command line that calls `prepare`.

Invariant: what comes back is what preparation found; a report is there whenever preparation wrote one.
"""

from __future__ import annotations

import json
import threading
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainingrun_agent.cli.folders import Folders
from trainingrun_agent.cli.names_in_labels import names_in_labels
from trainingrun_agent.cli.terms import for_folders
from trainingrun_agent.config import Dataset, GroupBy, Source, SplitRule
from trainingrun_agent.errors import NotFound, UserError
from trainingrun_agent.keys import REPORT, REPORT_PAGE, BucketKeys, file_of, folder_of
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.prepare import PreparedDataset, prepare
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.folder_store import FolderStore
from trainingrun_agent.storage.manifest import Producer
from trainingrun_agent.terms import Terms

KEYS = BucketKeys("")
"""The output folder is laid out as a bucket without a storage prefix."""
MAX_REPORT, MAX_PAGE = 16 << 20, 64 << 20


@dataclass(frozen=True)
class Result:
    """What preparation found. `report` and `page` are None when it ended before there was a report.

    `report_folder` is the key of their folder. `found_classes` are the class names when they were taken from the
    labels. `ignored_paths` are paths that listings left out, with the cause.
    """

    prepared: PreparedDataset | None
    refusal: UserError | None
    report: dict[str, Any] | None
    page: bytes | None
    report_folder: str
    found_classes: tuple[str, ...] | None
    ignored_paths: dict[str, str]


@dataclass
class Preparation:
    """One preparation of folders into the folder `out`, with `scratch` for temporary files."""

    arguments: Namespace
    data: Folders
    out: FolderStore
    scratch: Path
    stop: threading.Event
    progress: Progress = field(default_factory=lambda: Progress(stage="prep", pod_uid="cli"))
    stores: dict[str, FolderStore] = field(default_factory=dict)

    def run(self) -> Result:
        """Raises UsageError, what storage raises, DiskFull, Interrupted."""
        out = self.out
        for info in list(out.list(f"{KEYS.failed_datasets}/")):
            out.delete(info.key)
        found_classes, prepared, refusal = None, None, None
        try:
            if self.arguments.classes is None:
                found_classes = self._classes_in_labels()
            prepared = self._prepare(out, self.arguments.classes or found_classes or ())
        except UserError as error:
            refusal = error
        folder = folder_of(prepared.manifest_key) if prepared else _failed_folder(out)
        report = _read(out, file_of(folder, REPORT), MAX_REPORT) if folder else None
        return Result(
            prepared,
            refusal,
            None if report is None else json.loads(report),
            _read(out, file_of(folder, REPORT_PAGE), MAX_PAGE) if folder else None,
            folder,
            found_classes,
            self._ignored_paths(),
        )

    @property
    def terms(self) -> Terms:
        """The names of the folders and options, for messages."""
        evaluation = self.data.eval
        return for_folders(self.data.train.bucket, evaluation.bucket if evaluation else None)

    def _prepare(self, out: ObjectStore, classes: tuple[str, ...]) -> PreparedDataset:
        arguments = self.arguments
        dataset = Dataset(
            train=self.data.train,
            eval=self.data.eval,
            split=self._split_rule(),
            classes=classes,
            max_bad_files=arguments.max_bad_files,
            max_image_side=arguments.max_image_side,
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
            )
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

    def _store(self, folder: str) -> FolderStore:
        if folder not in self.stores:
            self.stores[folder] = FolderStore(Path(folder))
        return self.stores[folder]

    def _ignored_paths(self) -> dict[str, str]:
        return {
            f"{store.bucket}/{path}": cause for store in self.stores.values() for path, cause in store.skipped.items()
        }


def _failed_folder(out: ObjectStore) -> str:
    """The folder of the report on refused data, empty when there is none."""
    found = next(iter(out.list(f"{KEYS.failed_datasets}/", limit=1)), None)
    return folder_of(found.key) if found else ""


def _read(out: ObjectStore, key: str, limit: int) -> bytes | None:
    try:
        return out.get(key, max_bytes=limit)
    except NotFound:
        return None
