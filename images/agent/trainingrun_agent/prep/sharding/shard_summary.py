"""What all images of a shard come to, kept before its rows: a shard of which nothing changed costs one look.

Invariant: a summary read gives back the ShardResult it was written from; it holds for the same images, labels and
network only.
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

from trainingrun_agent.prep.model.findings import Findings
from trainingrun_agent.prep.sharding.job import Fingerprints, ShardJob, ShardResult
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.prep.statistics.totals import Totals

MAX_LINE = 256 << 20


class Versions:
    """A digest of which images and labels a shard is made of."""

    def __init__(self) -> None:
        self._all: list[tuple[str, str, str]] = []

    def add(self, path: str, version: str, labels_version: str) -> None:
        """One image, in the order of the shard."""
        self._all.append((path, version, labels_version))

    def hexdigest(self) -> str:
        """The digest."""
        return hashlib.sha256(json.dumps(self._all).encode()).hexdigest()


def encode(result: ShardResult, versions: Versions) -> bytes:
    """One line."""
    document = {
        "versions": versions.hexdigest(),
        "network": result.totals.network_input.network,
        "tally": _plain(result.totals),
        "findings": result.findings.to_json(),
        "prints": base64.b64encode(result.fingerprints.packed).decode(),
        "csv": result.csv.read_text(encoding="utf-8"),
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def recall(path: Path, job: ShardJob, network_input: NetworkInput, csv: Path) -> ShardResult | None:
    """The result of a shard that is as it was; its lines of CSV are written to `csv`.

    None when something changed. Raises what a damaged file of rows does (rows.UNUSABLE).
    """
    with gzip.open(path, "rb") as file:
        document = json.loads(file.readline(MAX_LINE))
    versions = Versions()
    for image in job.files:
        versions.add(image.path, image.version, image.labels_version)
    try:
        if (document["versions"], document["network"]) != (versions.hexdigest(), network_input.network):
            return None
        totals = _filled(Totals(network_input), document["tally"])
        findings = Findings.from_json(document["findings"])
        fingerprints = Fingerprints(base64.b64decode(document["prints"]))
        csv.write_text(document["csv"], encoding="utf-8")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no summary: {type(error).__name__}: {error}") from error
    return ShardResult(totals, findings, csv, fingerprints=fingerprints)


def _plain(counts: Any) -> dict[str, Any]:
    """The numbers of a dataclass of counts; counters as pairs, because their keys may be numbers."""
    return {name: _value(value) for name, value in vars(counts).items() if not isinstance(value, NetworkInput)}


def _value(value: Any) -> Any:
    if isinstance(value, Counter):
        return list(value.items())
    return _plain(value) if hasattr(value, "__dataclass_fields__") else value


def _filled(counts: Any, document: dict[str, Any]) -> Any:
    """The inverse of `_plain`, into a dataclass that is empty."""
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
