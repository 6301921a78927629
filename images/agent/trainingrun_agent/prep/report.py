"""report.json: what was found, for people and programs.

Invariant: valid by images/contracts/report.schema.json, with complete counts, also when preparation fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainingrun_agent.prep.findings import MAX_FINDINGS, Findings, Severity, Split
from trainingrun_agent.prep.split import FLAGS, SplitResult


def report(
    *,
    digest: str,
    classes: Sequence[str],
    splits: Sequence[SplitResult],
    formats: Mapping[Split, str],
    findings: Findings,
) -> dict[str, Any]:
    """The document; `formats` are those of the labels as they were read."""
    return {
        "formatVersion": 1,
        "digest": digest,
        "classes": list(classes),
        "splits": {result.split: {"format": formats[result.split], **_split(result, classes)} for result in splits},
        "counts": dict(sorted(findings.counts.items())),
        "errors": findings.severities[Severity.ERROR],
        "warnings": findings.severities[Severity.WARNING],
        "findings": [finding.to_json() for finding in findings.top(MAX_FINDINGS)],
    }


def _split(result: SplitResult, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "images": result.images,
        "objects": result.objects,
        "negatives": result.negatives,
        "badFiles": len(result.bad),
        "perClass": {name: result.per_class[name] for name in classes},
        "flags": {flag: result.flags[flag] for flag in FLAGS},
    }
