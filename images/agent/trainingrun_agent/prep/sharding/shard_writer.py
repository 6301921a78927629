"""Writes one shard: checks its images, and writes records, rows and lines of CSV to scratch disk.

Invariant: records are in the order of paths. The record of an image that has not changed is copied from the previous
shard byte by byte.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from trainingrun_agent.prep.image.check import Checked, Checker
from trainingrun_agent.prep.model.annotation import LabelledObject, version_of
from trainingrun_agent.prep.model.codes.boxes import BOX_TOO_SMALL
from trainingrun_agent.prep.model.codes.image_files import (
    IMAGE_CRASHES_DECODER,
    KEY_NOT_LISTED,
    OBJECT_ARCHIVED,
    OBJECT_CHANGED,
)
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.findings import Finding, Findings
from trainingrun_agent.prep.output.labels_csv import box_cells, lines
from trainingrun_agent.prep.output.scratch_file import HashingFile, LocalFile, writing_to_scratch
from trainingrun_agent.prep.output.tfrecord import frame
from trainingrun_agent.prep.sharding import rows as row_files
from trainingrun_agent.prep.sharding import shard_summary
from trainingrun_agent.prep.sharding.fingerprints import Fingerprint
from trainingrun_agent.prep.sharding.job import FetchedImage, ImageFile, SentImage, ShardJob
from trainingrun_agent.prep.sharding.local_reading import LocalReading
from trainingrun_agent.prep.sharding.result import ShardResult
from trainingrun_agent.prep.sharding.rows import Row
from trainingrun_agent.prep.sharding.shard_summary import VersionsDigest
from trainingrun_agent.prep.source.readers import LabelFile
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.prep.statistics.totals import Totals

PASSING = (OBJECT_CHANGED, OBJECT_ARCHIVED, KEY_NOT_LISTED, IMAGE_CRASHES_DECODER)
"""Findings that the same image may not have the next time."""


class PreviousRow(NamedTuple):
    """A row of the previous data set, and the index of the file of rows, and of the shard, that it comes from."""

    source: int
    row: Row


class ShardWriter:
    """A shard that is being written, until `finish`, or until the end of a `with` block."""

    def __init__(
        self,
        job: ShardJob,
        previous_rows: Mapping[int, PreviousRow],
        previous_shards: Mapping[int, Path],
        *,
        same_records: bool,
        checker: Checker,
        network_input: NetworkInput,
        scratch: Path,
    ) -> None:
        self._job, self._previous_rows, self._scratch = job, previous_rows, scratch
        self._checker, self._network_input = checker, network_input
        self._result = ShardResult(
            Totals(network_input), Findings(), scratch / f"{job.name}.csv", same_records=same_records
        )
        self._local = LocalReading()
        self._next = 0
        self._versions = VersionsDigest()
        self._rows = io.BytesIO()
        self._packed_rows = gzip.GzipFile(fileobj=self._rows, mode="wb", compresslevel=row_files.LEVEL, mtime=0)
        with ExitStack() as stack, writing_to_scratch(job.name):
            self._previous_shards = {key: stack.enter_context(path.open("rb")) for key, path in previous_shards.items()}
            self._csv = stack.enter_context(self._result.csv.open("w", newline="", encoding="utf-8"))
            if not same_records:
                self._shard = stack.enter_context(HashingFile(scratch / f"{job.name}.tfrecord"))
            self._open_files = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # `finish` has closed them, or they are thrown away: a full disk is known by then
            self._open_files.close()

    def feed(self, images: Sequence[SentImage]) -> None:
        """Check and write the next images, in the order in which they were asked for. See ShardWriting."""
        read = self._local.read(images)
        files = [self._job.files[fetched.place] for fetched in read]
        # Each decoder's pass over a batch leaves the processor's caches full of it: do the rest for all images after.
        decoded = [self._checker.decoded(file.path, fetched.image) for file, fetched in zip(files, read, strict=True)]
        with writing_to_scratch(self._job.name):
            for file, fetched, source in zip(files, read, decoded, strict=True):
                self._copy_unchanged(fetched.place)
                checked = self._checker(
                    file.path,
                    file.labels_path,
                    fetched.image,
                    fetched.labels,
                    format_=self._job.format,
                    decoded=source,
                )
                framed = b"" if checked.record is None else frame(checked.record)
                self._write(file, _labels_version(file, fetched), checked, framed)

    def drain(self) -> None:
        """Nothing to wait for: `feed` returns when the images are checked."""

    def finish(self) -> ShardResult:
        """Complete the shard. Raises DiskFull."""
        result = self._result
        self._checker.current.reading("")
        with writing_to_scratch(self._job.name):
            self._copy_unchanged(len(self._job.files))
            self._packed_rows.close()
            if not result.same_records and result.totals.images:
                result.shard = self._shard.finish(result.totals.images)
            self._open_files.close()
            result.rows = self._write_rows()
        return result

    def _write_rows(self) -> LocalFile:
        """Write the summary, which is complete only now, and the rows after it."""
        summary = gzip.compress(shard_summary.encode(self._result, self._versions), row_files.LEVEL, mtime=0)
        with HashingFile(self._scratch / f"{self._job.name}.rows.gz") as file:
            file.write(summary)
            file.write(self._rows.getvalue())
            return file.finish(len(self._job.files))

    def _copy_unchanged(self, end: int) -> None:
        """Take over the images before place `end`, which have not changed."""
        while self._next < end:
            source, row = self._previous_rows[self._next]
            file = self._job.files[self._next]
            if self._result.same_records:
                self._add(file, row)
            else:
                framed = b""
                if row.length:
                    framed = os.pread(self._previous_shards[source].fileno(), row.length, row.offset)
                self._write(file, row.labels_version, row.checked, framed)

    def _write(self, file: ImageFile, labels_version: str, checked: Checked, framed: bytes) -> None:
        offset = self._shard.write(framed)
        # Without a version the image is checked again the next time.
        version = "" if any(finding.kind in PASSING for finding in checked.findings) else file.version
        self._add(file, Row(version, labels_version, checked, offset, len(framed)))

    def _add(self, file: ImageFile, row: Row) -> None:
        """Count an image, and write its row and its lines of CSV."""
        result, checked = self._result, row.checked
        small = self._network_input.too_small(checked.boxes, checked.size)
        result.totals.add(checked, too_small=len(small))
        result.findings.extend(finding.in_split(self._job.split) for finding in checked.findings)
        if small:
            result.findings.extend((self._too_small(file, small).in_split(self._job.split),))
        self._versions.add(file.path, row.version, row.labels_version)
        self._packed_rows.write(row_files.encode(row))
        if checked.usable:
            cells = box_cells(checked.boxes)
            result.fingerprints.append(Fingerprint(self._next, checked.sha256, checked.look, _boxes_digest(cells)))
            self._csv.write(lines(checked.path, checked.size, cells))
        self._next += 1

    def _too_small(self, file: ImageFile, small: Sequence[LabelledObject]) -> Finding:
        """The finding about boxes too small for the network. It is not in the row: another network may see them."""
        seen_by = self._network_input
        fields: Fields = {
            "count": len(small),
            "leastSide": seen_by.least_side,
            "side": seen_by.side,
            "network": seen_by.network,
        }
        return Finding(BOX_TOO_SMALL, file.labels_path or file.path, fields, small[0].index)


def _labels_version(file: ImageFile, fetched: FetchedImage) -> str:
    """The version of an image's labels; if they come from a file about many images, it is a digest of their content."""
    if isinstance(fetched.labels, LabelFile) or file.labels_version:
        return file.labels_version
    return version_of(fetched.labels)


def _boxes_digest(cells: Sequence[str]) -> bytes:
    """A digest that is equal for equal boxes, in whatever order."""
    return hashlib.blake2b("".join(sorted(cells)).encode(), digest_size=8).digest()
