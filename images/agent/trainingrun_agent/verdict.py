"""The verdict: how an attempt ended. The operator reads it from the pod's termination message.

Invariant: an encoded verdict is a document of images/contracts/verdict.schema.json of at most 4096 bytes, because the
kubelet cuts longer messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trainingrun_agent import contract
from trainingrun_agent.errors import Outcome, StageError
from trainingrun_agent.outgoing import outgoing, outgoing_document
from trainingrun_agent.reasons.entry import Reason
from trainingrun_agent.terms import TRAININGRUN, Terms

MAX_BYTES = 4096
MAX_MESSAGE = 1500
MAX_HINT = 600
MAX_VALUE = 100
_BESIDE_OTHERS = ("configChangesURI", "configURI", "reportJSONURI")
EXIT_SUCCEEDED = 0
EXIT_FAILED = 1
EXIT_NO_SPACE = 28
"""The verdict could not be written, because the node's disk is full; the number is that of ENOSPC."""


@dataclass(frozen=True)
class StageResult:
    """How a stage succeeded; a stage that fails raises StageError. `values` are for the template of the message."""

    entry: Reason
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """What the stage has done, as a sentence."""
        return TRAININGRUN.fill_known(self.entry.message, self.values)


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
    next_step: Mapping[str, str] = field(default_factory=dict)
    logs_uri: str = ""
    """Folder with the logs of the run's attempts, once this attempt's are there."""

    @classmethod
    def failed(
        cls,
        error: StageError,
        *,
        stage: str,
        terms: Terms = TRAININGRUN,
        epoch: int | None = None,
        numbers: Mapping[str, Any] | None = None,
        timings: Timings | None = None,
    ) -> Verdict:
        """The verdict of an attempt that ended with an error."""
        terms = replace(terms, stage=stage)
        hint = " ".join(filter(None, (error.hint_in(terms), error.report_in(terms))))
        return cls(
            stage,
            error.outcome,
            error.reason,
            error.message_in(terms),
            hint,
            epoch,
            numbers or {},
            timings,
            _next_step(error, terms),
        )

    @property
    def exit_code(self) -> int:
        """0 only when the stage succeeded: its last object is in the bucket."""
        return EXIT_SUCCEEDED if self.outcome is Outcome.SUCCEEDED else EXIT_FAILED

    def to_json(self) -> dict[str, Any]:
        """The document, with texts that passed the gate, cut to the lengths of the schema."""
        hint, numbers = outgoing(self.hint), outgoing_document(dict(self.numbers))
        document: dict[str, Any] = {
            "contractVersion": contract.VERSION,
            "stage": self.stage,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "message": _cut(outgoing(self.message), MAX_MESSAGE),
        }
        if hint:
            document["hint"] = _cut(hint, MAX_HINT)
        if self.next_step:
            document["nextStep"] = {name: _cut(outgoing(text), MAX_VALUE) for name, text in self.next_step.items()}
        if self.logs_uri:
            document["logsURI"] = self.logs_uri
        if self.epoch is not None:
            document["epoch"] = self.epoch
        if numbers:
            document["numbers"] = numbers
        if self.timings is not None:
            document["timings"] = self.timings.to_json()
        return document


def encode(verdict: Verdict) -> bytes:
    """The verdict in at most 4096 bytes: findings are left out first, then the hint, then most of the message.

    The numbers are the results of the stage: what is text among them goes before they do.
    """
    document = verdict.to_json()
    for shrink in (
        _keep,
        _without_findings,
        _without_hint,
        _short_message,
        _short_gate,
        _without_addresses,
        _without_numbers,
    ):
        document = shrink(document)
        data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        if len(data) <= MAX_BYTES:
            return data
    raise AssertionError("a verdict without numbers and with a short message has fewer than 4096 bytes")


def _next_step(error: StageError, terms: Terms) -> dict[str, str]:
    """As in the schema: the kind of step, and the field that a new run has to change, when it is one of the spec."""
    change = error.change(terms)
    if change is None:
        return {"kind": str(error.entry.step)}
    texts = {"value": change.now, "try": change.to}
    known = {name: terms.value(value) for name, value in texts.items() if value is not None}
    if len(known.get("try", "")) > MAX_VALUE:
        del known["try"]  # a part of it is no value to try
    return {"kind": str(error.entry.step), "field": change.path, **known}


def _keep(document: dict[str, Any]) -> dict[str, Any]:
    return document


def _without_findings(document: dict[str, Any]) -> dict[str, Any]:
    numbers = {k: v for k, v in document.get("numbers", {}).items() if k != "topFindings"}
    return {**document, "numbers": numbers} if numbers else _without_numbers(document)


def _without_hint(document: dict[str, Any]) -> dict[str, Any]:
    short = {k: v for k, v in document.items() if k != "hint"}
    step = document.get("nextStep")
    return {**short, "nextStep": {"kind": step["kind"]}} if step else short


def _short_message(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "message": _cut(document["message"], 200)}


def _short_gate(document: dict[str, Any]) -> dict[str, Any]:
    """Without the names of the scores that are too low; how many there are stays."""
    numbers = document.get("numbers", {})
    gate = {"gate": {**numbers["gate"], "missed": []}} if "gate" in numbers else {}
    return {**document, "numbers": {**numbers, **gate}} if gate else document


def _without_addresses(document: dict[str, Any]) -> dict[str, Any]:
    """Without addresses that are long when storage.prefix is, and lie beside others that stay."""
    numbers = {k: v for k, v in document.get("numbers", {}).items() if k not in _BESIDE_OTHERS}
    return {**document, "numbers": numbers} if numbers else document


def _without_numbers(document: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k != "numbers"}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
