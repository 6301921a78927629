"""Build report.json, for programs.

Invariant: valid by images/contracts/report.schema.json, with complete counts, also when preparation fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.codes.kind import Severity
from trainingrun_agent.prep.model.findings import MAX_FINDINGS, Findings
from trainingrun_agent.prep.report.verdict import verdict
from trainingrun_agent.prep.split.dataset_split import DatasetSplit
from trainingrun_agent.prep.split.division import Division
from trainingrun_agent.prep.statistics.network_input import NetworkInput, fit
from trainingrun_agent.prep.statistics.totals import FLAGS, Totals
from trainingrun_agent.terms import Terms

EXPLAINED = "`trainingrun explain CODE` and docs/findings.md explain each code"


def report(
    *,
    digest: str,
    classes: Sequence[str],
    network: NetworkInput,
    division: Division | None,
    splits: Sequence[DatasetSplit],
    findings: Findings,
    refusal: UserError | None,
    terms: Terms,
) -> dict[str, Any]:
    """The document; `division` is that of a single folder, `refusal` why the data cannot be used.

    Data that was refused before it was read has no splits.
    """
    train = splits[0].totals if splits else Totals(network)
    errors, warnings = findings.severities[Severity.ERROR], findings.severities[Severity.WARNING]
    document = {
        "formatVersion": 3,
        "digest": digest,
        "verdict": verdict(errors=errors, warnings=warnings, refusal=refusal, terms=terms),
        "classes": list(classes),
        "splits": {split.name: _split(split, classes) for split in splits},
        "network": fit(network, train.statistics.sizes, too_small=train.too_small),
        "explained": EXPLAINED,
        "counts": dict(sorted(findings.counts.items())),
        "errors": errors,
        "warnings": warnings,
        "infos": findings.severities[Severity.INFO],
        "findings": [finding.to_json() for finding in findings.top(MAX_FINDINGS)],
    }
    return document if division is None else {**document, "split": _division(division, splits, classes)}


def _split(split: DatasetSplit, classes: Sequence[str]) -> dict[str, Any]:
    totals = split.totals
    return {
        "format": split.source.format,
        "images": totals.images,
        "objects": totals.objects,
        "negatives": totals.negatives,
        "badFiles": totals.bad,
        "perClass": {name: totals.per_class[name] for name in classes},
        "flags": {flag: totals.flags[flag] for flag in FLAGS},
        "statistics": totals.statistics.to_json(),
    }


def _division(division: Division, splits: Sequence[DatasetSplit], classes: Sequence[str]) -> dict[str, Any]:
    """How a single folder was divided; `share` is the part of a class's boxes that is in eval."""
    rule = division.rule
    train, evaluation = (split.totals for split in splits)
    shares: list[dict[str, Any]] = [
        {
            "name": name,
            "train": train.per_class[name],
            "eval": evaluation.per_class[name],
            "share": _share(evaluation.per_class[name], train.per_class[name]),
        }
        for name in classes
    ]
    wanted = float(rule.fraction)
    worst = max(shares, key=lambda one: abs(one["share"] - wanted))
    one_sided = any((one["train"] == 0) != (one["eval"] == 0) for one in shares)
    better = {"betterSeed": division.better_seed} if one_sided and division.better_seed is not None else {}
    return {
        **better,
        "fraction": str(rule.fraction),
        "seed": rule.seed,
        "groupBy": rule.group_by,
        "images": _share(evaluation.images, train.images),
        "classes": shares,
        "largestDeviation": {"name": worst["name"], "share": worst["share"]},
    }


def _share(part: int, rest: int) -> float:
    return round(part / max(1, part + rest), 4)
