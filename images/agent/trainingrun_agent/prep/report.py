"""report.json: what was found, for people and programs.

Invariant: valid by images/contracts/report.schema.json, with complete counts, also when preparation fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainingrun_agent.prep.findings import MAX_FINDINGS, Findings, Severity
from trainingrun_agent.prep.split import Side
from trainingrun_agent.prep.tally import FLAGS, Tally


def report(
    *,
    digest: str,
    classes: Sequence[str],
    sides: Sequence[Side],
    findings: Findings,
) -> dict[str, Any]:
    """The document."""
    return {
        "formatVersion": 1,
        "digest": digest,
        "classes": list(classes),
        "splits": {side.split: {"format": side.source.format, **_split(side.tally, classes)} for side in sides},
        "counts": dict(sorted(findings.counts.items())),
        "errors": findings.severities[Severity.ERROR],
        "warnings": findings.severities[Severity.WARNING],
        "findings": [finding.to_json() for finding in findings.top(MAX_FINDINGS)],
    }


def _split(tally: Tally, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "images": tally.images,
        "objects": tally.objects,
        "negatives": tally.negatives,
        "badFiles": tally.bad,
        "perClass": {name: tally.per_class[name] for name in classes},
        "flags": {flag: tally.flags[flag] for flag in FLAGS},
    }
