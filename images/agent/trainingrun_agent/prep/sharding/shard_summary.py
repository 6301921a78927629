"""Summary of a shard, stored before its rows: if nothing has changed, the rows need not be read.

Invariant: a summary gives back the ShardResult that it was written from. It is valid only for the same versions of
images and labels, and for the same network.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trainingrun_agent import bounded_json
from trainingrun_agent.prep.model.findings import Findings
from trainingrun_agent.prep.sharding.fingerprints import Fingerprints
from trainingrun_agent.prep.sharding.job import ShardJob
from trainingrun_agent.prep.sharding.result import ShardResult
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.prep.statistics.totals import Totals

MAX_LINE, MAX_START, PER_IMAGE = 64 << 20, 1 << 20, 64 << 10
"""Bytes of a summary that are read, by the number of images: JSON takes up to 25 times as much memory."""


class VersionsDigest:
    """A digest of the paths and versions of all images and labels of a shard."""

    def __init__(self) -> None:
        self._all: list[tuple[str, str, str]] = []

    def add(self, path: str, version: str, labels_version: str) -> None:
        """Add an image, in the order of the shard."""
        self._all.append((path, version, labels_version))

    def hexdigest(self) -> str:
        """The digest of all images added."""
        return hashlib.sha256(json.dumps(self._all).encode()).hexdigest()


def encode(result: ShardResult, versions: VersionsDigest) -> bytes:
    """A summary as a line of JSON."""
    document = {
        "versions": versions.hexdigest(),
        "network": result.totals.network_input.network,
        "totals": _plain(result.totals),
        "findings": result.findings.to_json(),
        "fingerprints": base64.b64encode(result.fingerprints.packed).decode(),
        "csv": result.csv.read_text(encoding="utf-8"),
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def read(path: Path, job: ShardJob, network_input: NetworkInput, csv: Path) -> ShardResult | None:
    """Read the result of a job from the summary in a file of rows; its lines of CSV are written to `csv`.

    None if the job has other versions of images or labels, or the network is another one. Raises one of
    rows.UNREADABLE if the file is damaged.
    """
    with gzip.open(path, "rb") as file:
        document = bounded_json.loads(file.readline(min(MAX_LINE, MAX_START + PER_IMAGE * len(job.files))))
    versions = VersionsDigest()
    for image in job.files:
        versions.add(image.path, image.version, image.labels_version)
    try:
        if (document["versions"], document["network"]) != (versions.hexdigest(), network_input.network):
            return None
        totals = _filled(Totals(network_input), document["totals"])
        findings = Findings.from_json(document["findings"])
        fingerprints = Fingerprints(base64.b64decode(document["fingerprints"]))
        csv.write_text(document["csv"], encoding="utf-8")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a summary: {type(error).__name__}: {error}") from error
    return ShardResult(totals, findings, csv, fingerprints=fingerprints)


def _plain(counts: Any) -> dict[str, Any]:
    """The counts of a dataclass as JSON; a Counter is a list of pairs, because its keys may be numbers."""
    return {name: _value(value) for name, value in vars(counts).items() if not isinstance(value, NetworkInput)}


def _value(value: Any) -> Any:
    if isinstance(value, Counter):
        return list(value.items())
    return _plain(value) if hasattr(value, "__dataclass_fields__") else value


def _filled(counts: Any, document: dict[str, Any]) -> Any:
    """Set the counts of an empty dataclass: the inverse of `_plain`."""
    for name, blank in list(vars(counts).items()):
        if isinstance(blank, NetworkInput):
            continue
        found = document[name]
        if isinstance(blank, Counter):
            setattr(counts, name, Counter(dict(_pairs(found))))
        elif hasattr(blank, "__dataclass_fields__"):
            _filled(blank, found)
        else:
            if type(found) is not type(blank):
                raise TypeError(f"{name} is a {type(found).__name__}")
            setattr(counts, name, found)
    return counts


def _pairs(found: Iterable[Any]) -> Iterator[tuple[str | int, int]]:
    for key, count in found:
        yield key, int(count)
