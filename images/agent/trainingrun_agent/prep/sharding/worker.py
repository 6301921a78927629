"""The work on shards, in whatever process: compare a job with its previous rows, then check and write the rest.

Invariant: what a shard holds depends on its images and labels only, not on which of them were checked before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.sharding import rows as row_files
from trainingrun_agent.prep.sharding.job import Needs, ShardJob
from trainingrun_agent.prep.sharding.memory_slots import reserved, slots
from trainingrun_agent.prep.sharding.shard_writer import PreviousRow, ShardWriter
from trainingrun_agent.prep.statistics.network_input import NetworkInput


class ShardWorker:
    """A Worker in this process, which writes below `scratch`. Workers with one `scratch` share slots of memory."""

    def __init__(self, checker: Checker, network_input: NetworkInput, scratch: Path) -> None:
        self._checker = replace(checker, large=partial(reserved, scratch=scratch, count=slots()))
        self._network_input, self._scratch = network_input, scratch

    def open(self, job: ShardJob) -> OpenShard:
        """Compare a job with its previous rows."""
        rows, others = _valid_rows(job)
        images = [place for place in range(len(job.files)) if place not in rows]
        same = job.same_shard and bool(job.previous_rows) and not images and not others
        shards = set() if same else {previous.source for previous in rows.values() if previous.row.length}
        return OpenShard(
            job, Needs(images, sorted(shards)), rows, same, self._checker, self._network_input, self._scratch
        )

    def close(self) -> None:
        """Nothing to end: this process goes on."""


@dataclass(frozen=True)
class OpenShard:
    """A job with those of its previous rows that are still valid, by place; `same` if no record changes."""

    job: ShardJob
    needs: Needs
    rows: dict[int, PreviousRow]
    same: bool
    checker: Checker
    network_input: NetworkInput
    scratch: Path

    def begin(self, previous_shards: Mapping[int, Path]) -> ShardWriter:
        """Start writing; `previous_shards` are the ones needed. Raises DiskFull."""
        return ShardWriter(
            self.job,
            self.rows,
            previous_shards,
            same_records=self.same,
            checker=self.checker,
            network_input=self.network_input,
            scratch=self.scratch,
        )


def _valid_rows(job: ShardJob) -> tuple[dict[int, PreviousRow], bool]:
    """Previous rows whose image and labels have not changed, by place; and whether there are any other rows."""
    places = {file.path: place for place, file in enumerate(job.files)}
    valid: dict[int, PreviousRow] = {}
    others = False
    for source, path in enumerate(job.previous_rows):
        try:
            for row in row_files.read(path):
                place = places.get(row.checked.path)
                if place is not None and row_files.unchanged(row, job.files[place]):
                    valid[place] = PreviousRow(source, row)
                else:
                    others = True
        except row_files.UNREADABLE:
            return {}, True
    return valid, others
