"""Makes one shard after the other: checks images, writes records, rows and CSV to scratch disk.

Invariant: records stand in the order of paths; one that is reused is the very bytes of the earlier shard.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from trainingrun_agent.prep.image.check import Checked, Checker
from trainingrun_agent.prep.model.annotation import LabelledObject, version_of
from trainingrun_agent.prep.model.codes.boxes import BOX_TOO_SMALL
from trainingrun_agent.prep.model.codes.image_files import IMAGE_CRASHES_DECODER, OBJECT_CHANGED
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.findings import Finding, Findings
from trainingrun_agent.prep.output.labels_csv import box_cells, lines
from trainingrun_agent.prep.output.tfrecord import frame
from trainingrun_agent.prep.sharding import rows as row_files
from trainingrun_agent.prep.sharding import shard_summary
from trainingrun_agent.prep.sharding.job import (
    Fetched,
    Fingerprint,
    ImageFile,
    LocalFile,
    Needs,
    ShardJob,
    ShardResult,
)
from trainingrun_agent.prep.sharding.rows import Row
from trainingrun_agent.prep.sharding.shard_summary import Versions
from trainingrun_agent.prep.split.shards import disk_full
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.prep.statistics.totals import Totals

PASSING = (OBJECT_CHANGED, IMAGE_CRASHES_DECODER)


class ShardMaker:
    """Makes shards below `scratch`: `open`, `begin`, `feed` what was needed in its order, `finish`."""

    def __init__(self, checker: Checker, network_input: NetworkInput, scratch: Path) -> None:
        self._checker = checker
        self._network_input = network_input
        self._scratch = scratch

    def open(self, job: ShardJob) -> Needs:
        """Compare the job with what is remembered of it."""
        self._job = job
        self._earlier, foreign = _remembered(job)
        files = [place for place in range(len(job.files)) if place not in self._earlier]
        self._same = job.whole and bool(job.rows) and not files and not foreign
        old = {source for source, row in self._earlier.values() if row.length} if not self._same else set()
        return Needs(files, sorted(old))

    def begin(self, shards: Mapping[int, Path]) -> None:
        """Start writing; `shards` are the earlier ones asked for. Raises DiskFull."""
        self._result = ShardResult(Totals(self._network_input), Findings(), self._scratch / f"{self._job.name}.csv")
        self._next = 0
        self._stack = ExitStack()
        self._old = {place: self._stack.enter_context(path.open("rb")) for place, path in shards.items()}
        self._csv = self._stack.enter_context(self._result.csv.open("w", newline="", encoding="utf-8"))
        self._versions = Versions()
        self._rows = io.BytesIO()
        self._packed = gzip.GzipFile(fileobj=self._rows, mode="wb", compresslevel=row_files.LEVEL, mtime=0)
        if not self._same:
            self._shard = self._stack.enter_context(_Output(self._scratch / f"{self._job.name}.tfrecord"))

    def feed(self, items: Sequence[Fetched]) -> None:
        """Check images, in the order in which they were asked for. Raises DiskFull."""
        for item in items:
            self._replay(item.place)
            file = self._job.files[item.place]
            checked = self._checker(file.path, file.labels_path, item.image, item.labels, format_=self._job.format)
            framed = b"" if checked.record is None else frame(checked.record)
            self._write(file, _version(file, item), checked, framed)

    def settle(self) -> None:
        """Everything fed is checked already."""

    def finish(self) -> ShardResult:
        """The shard is complete. Raises DiskFull."""
        self._replay(len(self._job.files))
        result, result.same_records = self._result, self._same
        self._packed.close()
        try:
            if not self._same and result.totals.images:
                result.shard = self._shard.finish(result.totals.images)
            self._stack.close()
            result.rows = self._finished_rows()
        except OSError as error:
            raise disk_full(error, result.csv) from error
        self._earlier = {}
        return result

    def _finished_rows(self) -> LocalFile:
        """The summary, which is known last, before the rows."""
        head = gzip.compress(shard_summary.encode(self._result, self._versions), row_files.LEVEL, mtime=0)
        with _Output(self._scratch / f"{self._job.name}.rows.gz") as output:
            output.write(head)
            output.write(self._rows.getvalue())
            return output.finish(len(self._job.files))

    def close(self) -> None:
        """Close what is open."""
        if hasattr(self, "_stack"):
            self._stack.close()

    def _replay(self, end: int) -> None:
        """Take over what comes before `end`."""
        while self._next < end:
            source, row = self._earlier[self._next]
            file = self._job.files[self._next]
            if self._same:
                self._add(file, row)
            else:
                framed = os.pread(self._old[source].fileno(), row.length, row.offset) if row.length else b""
                self._write(file, row.labels_version, row.checked, framed)

    def _write(self, file: ImageFile, labels_version: str, checked: Checked, framed: bytes) -> None:
        try:
            offset = self._shard.write(framed)
        except OSError as error:
            raise disk_full(error, self._result.csv) from error
        # What may be different the next time is not remembered: it is no version of the image.
        version = "" if any(finding.kind in PASSING for finding in checked.findings) else file.version
        self._add(file, Row(version, labels_version, checked, offset, len(framed)))

    def _add(self, file: ImageFile, row: Row) -> None:
        """Count, remember and list an image whose record stands where the row says."""
        result, checked = self._result, row.checked
        small = self._network_input.too_small(checked.boxes, checked.size)
        result.totals.add(checked, too_small=len(small))
        result.findings.extend(finding.in_split(self._job.split) for finding in checked.findings)
        if small:
            result.findings.extend((self._too_small(file, small).in_split(self._job.split),))
        self._versions.add(file.path, row.version, row.labels_version)
        self._packed.write(row_files.encode(row))
        if checked.usable:
            cells = box_cells(checked.boxes)
            result.fingerprints.append(Fingerprint(self._next, checked.sha256, checked.look, _labels_print(cells)))
            try:
                self._csv.write(lines(checked.path, checked.size, cells))
            except OSError as error:
                raise disk_full(error, result.csv) from error
        self._next += 1

    def _too_small(self, file: ImageFile, small: Sequence[LabelledObject]) -> Finding:
        """Not remembered with the image: another network may see its boxes."""
        seen_by = self._network_input
        fields: Fields = {
            "count": len(small),
            "leastSide": seen_by.least_side,
            "side": seen_by.side,
            "network": seen_by.network,
        }
        return Finding(BOX_TOO_SMALL, file.labels_path or file.path, fields, small[0].index)


def _remembered(job: ShardJob) -> tuple[dict[int, tuple[int, Row]], bool]:
    """Rows that still hold, by the place of their image, with the number of their file; whether there are others."""
    places = {file.path: place for place, file in enumerate(job.files)}
    found: dict[int, tuple[int, Row]] = {}
    foreign = False
    for source, path in enumerate(job.rows):
        try:
            for row in row_files.read(path):
                place = places.get(row.checked.path)
                if place is not None and row_files.unchanged(row, job.files[place]):
                    found[place] = (source, row)
                else:
                    foreign = True
        except row_files.UNUSABLE:
            return {}, True
    return found, foreign


def _version(file: ImageFile, item: Fetched) -> str:
    return file.labels_version if isinstance(item.labels, bytes) or file.labels_version else version_of(item.labels)


def _labels_print(cells: Sequence[str]) -> bytes:
    """Equal for equal boxes, in whatever order."""
    return hashlib.blake2b("".join(sorted(cells)).encode(), digest_size=8).digest()


class _Output:
    """A file being written, with its size and SHA-256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._file: BinaryIO

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, data: bytes) -> int:
        """Append; returns the offset of it."""
        offset = self._size
        self._file.write(data)
        self._sha256.update(data)
        self._size += len(data)
        return offset

    def flush(self) -> None:
        """As files have it; nothing is gained by it here."""

    def finish(self, images: int) -> LocalFile:
        """Close the file."""
        self._file.close()
        return LocalFile(self._path, self._size, self._sha256.hexdigest(), images)
