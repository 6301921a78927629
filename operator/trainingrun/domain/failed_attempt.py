"""The step that helps after an attempt that ended its run, with the values of the fields that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainingrun.api import reasons
from trainingrun.api.names import Stage
from trainingrun.api.reason import Reason, Step
from trainingrun.api.run import Run
from trainingrun.builders.jobs import DEFAULT_SCRATCH, default_resources
from trainingrun.domain.next_step import NextStep
from trainingrun.domain.quantities import doubled
from trainingrun.domain.stage import StageContext
from trainingrun.domain.texts import sentences
from trainingrun.domain.verdicts import POLICIES, Outcome, Verdict

_AFTER_PREP = ("train.", "export.", "stage.")  # fields that preparation does not depend on


@dataclass(frozen=True, slots=True)
class _Change:
    """A field below `spec`, its value now and one to try; empty where they are not known."""

    path: str
    now: str = ""
    to_try: str = ""

    @property
    def text(self) -> str:
        """The field as a new run should have it."""
        now = f" (now {self.now})" if self.now else ""
        return f"spec.{self.path}: {self.to_try}{now}" if self.to_try else f"another spec.{self.path}{now}"


def step_after(verdict: Verdict, *, run: Run, stage: Stage, resolved: Mapping[str, Any]) -> NextStep:
    """Return the step after an attempt that ended the run: its agent's, else that of the reason or the outcome."""
    claim, policy = verdict.next_step, POLICIES[verdict.outcome]
    reason = _case_of(verdict.reason, run=run)
    kind = (claim.kind if claim else None) or reason.step or policy.step
    if kind is Step.WAIT and verdict.outcome is Outcome.INTERRUPTED:
        return NextStep(kind, policy.hint)  # an agent's hint is about the next attempt, and there is none
    changes = _Changes(run, stage, resolved)
    hint = verdict.hint or reason.hint_with(**changes.texts())
    if claim and claim.field:
        hint = _with_values(hint, _Change(claim.field, claim.value, claim.to_try), known=changes.by_path())
    changed = claim.field if claim else next(iter(reason.fields), "")
    if kind is Step.NEW_RUN and stage is not Stage.PREP and changed.startswith(_AFTER_PREP):
        hint = sentences(hint or policy.hint, "The prepared data set is used again.")
    return NextStep(kind, hint or policy.hint)


def fail_run(context: StageContext, verdict: Verdict) -> None:
    """End the run with the verdict of an attempt that no other one follows."""
    context.set_not_done(reason=verdict.reason, message=verdict.message)
    step = step_after(verdict, run=context.draft.run, stage=context.stage, resolved=context.resolved)
    context.draft.fail(reason=verdict.reason, message=verdict.message, step=step, phase=context.phase)


def _case_of(reason: Reason, *, run: Run) -> Reason:
    if reason is reasons.TRAINER_NEVER_STARTED and not _train(run).get("image"):
        return reasons.OUR_TRAINER_NEVER_STARTED
    return reason


def _with_values(hint: str, change: _Change, *, known: Mapping[str, _Change]) -> str:
    """Complete an agent's hint with what the operator alone knows of the field, or replace a hint that was left out."""
    ours = known.get(change.path)
    if ours and ours.path != change.path:
        return f"Create a new TrainingRun with {ours.text}."
    if not hint:
        return f"Create a new TrainingRun with {(change if change.to_try or not ours else ours).text}."
    if change.now or not ours or not ours.now:
        return hint
    return sentences(hint, f"It is {ours.now} now" + (f": try {ours.to_try}" if ours.to_try else ""))


@dataclass(frozen=True, slots=True)
class _Changes:
    """Changes of the spec whose values the operator knows."""

    run: Run
    stage: Stage
    resolved: Mapping[str, Any]

    def by_path(self) -> Mapping[str, _Change]:
        found = {change.path: change for change in (self._scratch(), self._batch()) if change}
        # Agents name the limit. Where the spec has none, another field is to be raised.
        return {**found, f"{self.stage}.pod.resources.limits.memory": self._memory()}

    def texts(self) -> dict[str, str]:
        """Values for the hints of the table of reasons."""
        batch = self._batch()
        return {
            "stage": str(self.stage),
            "memory": self._memory().text,
            "scratch": self._scratch().text,
            "batch": f", or with {batch.text}" if batch else "",
            "image": str(_train(self.run).get("image", "")),
        }

    def _memory(self) -> _Change:
        """The memory limit; without one, the request, which chooses a node with more of it."""
        pod = self._stage_spec().get("pod") or {}
        # Without the document, while the run's ConfigMap is lost, the amount is not known.
        resources = pod.get("resources") or (default_resources(self.stage, self.resolved) if self.resolved else {})
        kind = "limits" if (resources.get("limits") or {}).get("memory") else "requests"
        now = str((resources.get(kind) or {}).get("memory", ""))
        return _Change(f"{self.stage}.pod.resources.{kind}.memory", now, doubled(now))

    def _scratch(self) -> _Change:
        now = str(self._stage_spec().get("scratch") or DEFAULT_SCRATCH)
        return _Change(f"{self.stage}.scratch", now, doubled(now))

    def _batch(self) -> _Change | None:
        asked = (self.resolved.get("train") or {}).get("batchSize")
        size = self.run.status.get("training", {}).get("batchSize", asked)  # train.onOutOfMemory may have halved it
        if self.stage is not Stage.TRAIN or not isinstance(size, int) or size < 2:
            return None
        return _Change("train.batchSize", str(asked), str(size // 2))

    def _stage_spec(self) -> Mapping[str, Any]:
        return self.run.spec.get(str(self.stage)) or {}


def _train(run: Run) -> Mapping[str, Any]:
    return run.spec.get("train") or {}
