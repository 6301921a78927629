"""The result of a job: files on scratch disk, and what was counted and found in the shard's images.

Invariant: it can be pickled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trainingrun_agent.prep.model.findings import Findings
from trainingrun_agent.prep.output.scratch_file import LocalFile
from trainingrun_agent.prep.sharding.fingerprints import Fingerprints
from trainingrun_agent.prep.statistics.totals import Totals


@dataclass
class ShardResult:
    """A shard that was written. `csv` are its lines of the CSV of labels.

    `shard` is None if it holds no record, or if its records are the ones of the previous data set (`same_records`).
    `rows` is None if these are the previous ones too.
    """

    totals: Totals
    findings: Findings
    csv: Path
    same_records: bool = False
    shard: LocalFile | None = None
    rows: LocalFile | None = None
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
