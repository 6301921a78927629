"""The verdict: how an attempt ended. The operator reads it from the pod's termination message.

Invariant: an encoded verdict is a document of images/contracts/verdict.schema.json of at most 4096 bytes, because the
kubelet cuts longer messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainingrun_agent import contract
from trainingrun_agent.errors import Outcome, StageError

MAX_BYTES = 4096
MAX_MESSAGE = 1500
MAX_HINT = 600
EXIT_SUCCEEDED = 0
EXIT_FAILED = 1


@dataclass(frozen=True)
class StageResult:
    """How a stage succeeded; a stage that fails raises StageError."""

    reason: str
    message: str


@dataclass(frozen=True)
class Timings:
    """Wall time that the stage spent in each part, in seconds; parts do not overlap."""

    fetch: float = 0.0
    work: float = 0.0
    ship: float = 0.0

    def to_json(self) -> dict[str, float]:
        """The document of the schema, rounded to milliseconds."""
        return {"fetch": round(self.fetch, 3), "work": round(self.work, 3), "ship": round(self.ship, 3)}


@dataclass(frozen=True)
class Verdict:
    """How one attempt ended; `numbers` as the schema says for the stage."""

    stage: str
    outcome: Outcome
    reason: str
    message: str
    hint: str = ""
    epoch: int | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    timings: Timings | None = None

    @classmethod
    def failed(
        cls,
        error: StageError,
        *,
        stage: str,
        epoch: int | None = None,
        numbers: Mapping[str, Any] | None = None,
        timings: Timings | None = None,
    ) -> Verdict:
        """The verdict of an attempt that ended with an error."""
        return cls(stage, error.outcome, error.reason, error.message, error.hint, epoch, numbers or {}, timings)

    @property
    def exit_code(self) -> int:
        """0 only when the stage succeeded: its last object is in the bucket."""
        return EXIT_SUCCEEDED if self.outcome is Outcome.SUCCEEDED else EXIT_FAILED

    def to_json(self) -> dict[str, Any]:
        """The document, with texts cut to the lengths of the schema."""
        document: dict[str, Any] = {
            "contractVersion": contract.VERSION,
            "stage": self.stage,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "message": _cut(self.message, MAX_MESSAGE),
        }
        if self.hint:
            document["hint"] = _cut(self.hint, MAX_HINT)
        if self.epoch is not None:
            document["epoch"] = self.epoch
        if self.numbers:
            document["numbers"] = dict(self.numbers)
        if self.timings is not None:
            document["timings"] = self.timings.to_json()
        return document


def encode(verdict: Verdict) -> bytes:
    """The verdict in at most 4096 bytes: findings are left out first, then the hint, then most of the message."""
    document = verdict.to_json()
    for shrink in (_keep, _without_findings, _without_hint, _short_message, _without_numbers):
        document = shrink(document)
        data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(data) <= MAX_BYTES:
            return data
    raise AssertionError("a verdict without numbers and with a short message has fewer than 4096 bytes")


def _keep(document: dict[str, Any]) -> dict[str, Any]:
    return document


def _without_findings(document: dict[str, Any]) -> dict[str, Any]:
    numbers = {k: v for k, v in document.get("numbers", {}).items() if k != "topFindings"}
    return {**document, "numbers": numbers} if numbers else _without_numbers(document)


def _without_hint(document: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k != "hint"}


def _short_message(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "message": _cut(document["message"], 200)}


def _without_numbers(document: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k != "numbers"}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
