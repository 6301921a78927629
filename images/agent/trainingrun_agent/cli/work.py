"""Preparation of folders: the one place of the command line that calls `prepare`.

Invariant: what comes back is what preparation says; a report is there whenever preparation wrote one.
"""

from __future__ import annotations

import json
import threading
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainingrun_agent.cli import terms, wording
from trainingrun_agent.cli.names import names_found
from trainingrun_agent.cli.sources import Folders
from trainingrun_agent.config import GroupBy, Source, SplitRule
from trainingrun_agent.errors import NotFound, UserError
from trainingrun_agent.prep.prepare import PreparedDataset, prepare
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.folder import FolderStore
from trainingrun_agent.terms import Terms

DATASETS = "datasets"
MAX_REPORT, MAX_PAGE = 16 << 20, 64 << 20


@dataclass(frozen=True)
class Outcome:
    """What came out. `folder` is the key of the folder with the report; `report` is None when it did not come so far.

    `named` are the classes when they were taken from the labels.
    """

    prepared: PreparedDataset | None
    refusal: UserError | None
    report: dict[str, Any] | None
    page: bytes | None
    folder: str
    named: tuple[str, ...] | None
    passed_over: dict[str, str]


@dataclass
class Work:
    """One preparation of folders into the folder `out`, with `scratch` for what is temporary."""

    arguments: Namespace
    data: Folders
    out: FolderStore
    scratch: Path
    stop: threading.Event
    progress: Progress = field(default_factory=lambda: Progress(stage="prep", pod_uid="cli"))
    stores: dict[str, FolderStore] = field(default_factory=dict)

    def run(self) -> Outcome:
        """Raises UsageError, what storage raises, DiskFull, Interrupted."""
        out = self.out
        for info in list(out.list(f"{DATASETS}/failed/")):
            out.delete(info.key)
        named, prepared, refusal = None, None, None
        try:
            if self.arguments.classes is None:
                named = self._names()
            prepared = self._prepare(out, self.arguments.classes or named or ())
        except UserError as problem:
            refusal = self._reworded(problem)
        folder = prepared.manifest_key.rpartition("/")[0] if prepared else _failed(out)
        report = _read(out, f"{folder}/report.json", MAX_REPORT) if folder else None
        return Outcome(
            prepared,
            refusal,
            None if report is None else json.loads(report),
            _read(out, f"{folder}/report.html", MAX_PAGE) if folder else None,
            folder,
            named,
            self._passed_over(),
        )

    def _prepare(self, out: ObjectStore, classes: tuple[str, ...]) -> PreparedDataset:
        arguments = self.arguments
        return prepare(
            train=self.data.train,
            eval=self.data.eval,
            split=self._rule(),
            network=arguments.network,
            store_for=self._store,
            out_store=out,
            datasets_prefix=DATASETS,
            classes=classes,
            max_bad_files=arguments.max_bad_files,
            max_image_side=arguments.max_image_side,
            scratch=self.scratch,
            progress=self.progress,
            stop=self.stop,
            terms=self.terms,
        )

    def _rule(self) -> SplitRule | None:
        arguments = self.arguments
        if arguments.eval_fraction is None:
            return None
        group: GroupBy = arguments.split_group or "sequence"
        return SplitRule(arguments.eval_fraction, arguments.split_seed or 0, group)

    def _names(self) -> tuple[str, ...]:
        source: Source = self.data.train
        return names_found(
            self._store(source.bucket), source, scratch=self.scratch, progress=self.progress, stop=self.stop
        )

    def _store(self, folder: str) -> FolderStore:
        if folder not in self.stores:
            self.stores[folder] = FolderStore(Path(folder))
        return self.stores[folder]

    def _passed_over(self) -> dict[str, str]:
        return {
            f"{store.bucket}/{path}": cause
            for store in self.stores.values()
            for path, cause in store.passed_over.items()
        }

    @property
    def terms(self) -> Terms:
        """The nouns of findings on the command line."""
        evaluation = self.data.eval
        return terms.for_folders(self.data.train.bucket, evaluation.bucket if evaluation else None)

    @property
    def words(self) -> Callable[[str], str]:
        """Says what preparation says in the words of the command line."""
        evaluation = self.data.eval
        return wording.for_folders(self.data.train.bucket, evaluation.bucket if evaluation else None)

    def _reworded(self, problem: UserError) -> UserError:
        hint = problem.hint.partition(" Report: ")[0]
        return UserError(problem.reason, self.words(problem.message), hint=self.words(hint))


def _failed(out: ObjectStore) -> str:
    """The folder of the report of a preparation that failed, empty when there is none."""
    found = next(iter(out.list(f"{DATASETS}/failed/", limit=1)), None)
    return found.key.rpartition("/")[0] if found else ""


def _read(out: ObjectStore, key: str, limit: int) -> bytes | None:
    try:
        return out.get(key, max_bytes=limit)
    except NotFound:
        return None
