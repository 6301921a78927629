"""The status as a document: valid, consistent with itself, and answering what its user asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trchaos.rules.rule import Rule, Status, condition, is_true, loses_data_set
from trchaos.rules.truth import CONDITION, RunFacts
from trfakes import schema

if TYPE_CHECKING:
    from trchaos.rules.rule import Scene

TYPES: Final = {"Accepted", "StorageReady", *CONDITION.values(), "Qualified", "Succeeded", "Finished"}
LISTED: Final = {"type", "status", "reason", "phase", "stage", "outcome", "unit", "source", "stoppedBy"}
WORKS: Final = {"Pending", "Queued", "Preparing", "Training", "Exporting", "Suspended"}


class Conditions(Rule):
    """Phase, conditions and generations."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._valid: set[str] = set()  # shapes of statuses that were validated

    def stored(self, run: RunFacts, before: Status, now: Status) -> None:
        shape = _shape(now)
        if shape not in self._valid or is_true(now, "Finished"):  # validation takes a millisecond
            self._valid.add(shape)
            for error in schema.errors(schema.crd_part("status"), dict(now)):
                self.scene.broken("the status is valid", run.key, error)
        if before and _without_time(before) == _without_time(now):
            self.scene.broken("no status without news", run.key, "only the time of its progress has changed")
        self._phase(run, before, now)
        self._transitions(run, before, now)
        self._generations(run, before, now)

    def finish(self) -> None:
        for run in self.scene.truth.runs.values():
            if run.gone is not None or run.forged:
                continue
            for name, nothing in (("retry", 0), ("finish", False)):
                asked, answered = run.spec.get(name) or nothing, run.status.get(name) or nothing
                if asked != answered:
                    text = f"spec.{name} is {asked}, status.{name} is {answered}"
                    self.scene.broken("what is asked is answered", run.key, text)
            if run.status.get("observedGeneration") != run.generation:
                text = f"generation {run.generation}, observed {run.status.get('observedGeneration')}"
                self.scene.broken("what is asked is answered", run.key, text)

    def _phase(self, run: RunFacts, before: Status, now: Status) -> None:
        if "phase" not in now and "phase" not in before:
            return  # only attempts were recorded, of a status that could not be stored
        ends = {kind: condition(now, kind).get("status") for kind in ("Succeeded", "Finished")}
        phase, ended = now.get("phase"), ends["Finished"] == "True"
        expected: Any = {"True": "Succeeded", "False": "Failed"}.get(ends["Succeeded"] or "") if ended else WORKS
        if phase not in (expected if isinstance(expected, set) else {expected}):
            self._broken(run, f"phase is {phase} with {ends}")
        if not ended and ends["Succeeded"] in {"True", "False"}:
            self._broken(run, f"{ends}")
        if ended != ("finishedAt" in now):
            self._broken(run, f"finishedAt is {now.get('finishedAt')} with {ends}")
        if ended and "stage" in (now.get("progress") or {}):
            self._broken(run, f"progress is of stage {now['progress']['stage']} after the end")
        if phase == "Suspended" and True not in run.ever("suspend"):
            self._broken(run, "phase is Suspended, and nobody has suspended the run")
        for stage, earlier in (("Exported", "Trained"),):
            if is_true(now, stage) and not is_true(now, earlier):
                self._broken(run, f"{stage} is True and {earlier} is not")

    def _transitions(self, run: RunFacts, before: Status, now: Status) -> None:
        # It may have been opened and have failed again.
        again = now.get("retry", 0) > before.get("retry", 0) and is_true(before, "Finished")
        kinds = [c["type"] for c in now.get("conditions") or ()]
        if len(set(kinds)) != len(kinds) or not set(kinds) <= TYPES:
            self._broken(run, f"conditions {kinds}")
        for old in before.get("conditions") or ():
            new = condition(now, old["type"])
            if not new:
                self._broken(run, f"condition {old['type']} is gone")
            elif again or (old["type"] == "Prepared" and loses_data_set(before, now)):
                pass  # it may have been another one in between
            elif new["status"] == old["status"] and new["lastTransitionTime"] != old["lastTransitionTime"]:
                self._broken(run, f"lastTransitionTime of {old['type']} moved though its status did not")

    def _generations(self, run: RunFacts, before: Status, now: Status) -> None:
        seen = now.get("observedGeneration", 0)
        if not before.get("observedGeneration", 0) <= seen <= run.generation:
            self._broken(run, f"observedGeneration {seen} after {before.get('observedGeneration')} of {run.generation}")
        stale = [c["type"] for c in now.get("conditions") or () if c.get("observedGeneration") != seen]
        if stale:
            self._broken(run, f"conditions {stale} are of another generation than {seen}")

    def _broken(self, run: RunFacts, text: str) -> None:
        self.scene.broken("the status is consistent", run.key, text)


def _shape(value: Any, name: str = "") -> str:
    """Names of the fields of a status, and the values of the short ones that a schema may list."""
    if isinstance(value, dict):
        return "{" + ",".join(_shape(value[key], key) for key in sorted(value)) + "}"
    if isinstance(value, list):
        return name + "[" + ",".join(_shape(item) for item in value) + "]"
    return f"{name}={value}" if name in LISTED else name


def _without_time(status: Status) -> Status:
    return {**status, "progress": {**(status.get("progress") or {}), "updated": ""}}
