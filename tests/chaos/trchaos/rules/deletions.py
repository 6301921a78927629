"""What operators delete: Jobs that the status explains, runs whose time has come and whose end was told."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from trchaos.rules.rule import Rule, condition, entries, is_true
from trchaos.rules.truth import CONDITION

if TYPE_CHECKING:
    from trchaos.rules.rule import Scene
    from trchaos.rules.truth import JobFacts, RunFacts
    from trchaos.server import Request
    from trfakes.store import Object

ENDS: Final = {"True": "Succeeded"}


class Deletions(Rule):
    """Deletions by operators; those by users and by the garbage collector are no concern of it."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._refused_events = 0.0  # when the server has last refused an Event
        self._started: dict[str, float] = {}  # when each operator was seen first
        self._reasons: dict[str, set[str]] = {}  # of Events, by UID of the run

    def called(self, request: Request) -> None:
        if request.path.endswith("/events") and request.status != 201:
            self._refused_events = request.at

    def look(self) -> None:
        for process in self.scene.world.processes:
            self._started.setdefault(process.name, self.scene.now)

    def told(self, run: RunFacts, event: Object) -> None:
        self._reasons.setdefault(run.uid, set()).add(event["reason"])

    def job_deleted(self, run: RunFacts, job: JobFacts) -> None:
        """A Job is deleted only after the status says why."""
        status, entry = run.status, entries(run.status).get(job.stage, {})
        explained = entry.get("ended", 0) >= job.attempt or is_true(status, CONDITION[job.stage])
        if run.gone is None and not explained and not is_true(status, "Finished"):
            text = f"{job.name}: {entry.get('ended', 0)} attempts of {job.stage} have ended"
            self.scene.broken("a Job is deleted once the status says why", run.key, text)

    def run_deleted(self, run: RunFacts) -> None:
        """A run is deleted when it has ended for long enough, was not retried, and its end was told."""
        ttl, status = run.spec.get("ttlSecondsAfterFinished"), run.status
        if ttl is None or not is_true(status, "Finished"):
            self.scene.broken(
                "a run is deleted at its time", run.key, f"ttl {ttl}, Finished {condition(status, 'Finished')}"
            )
            return
        if int(run.spec.get("retry") or 0) > int(status.get("retry") or 0) and not is_true(status, "Succeeded"):
            self.scene.broken("a run is deleted at its time", run.key, "spec.retry was raised")
        left = ttl - (self.scene.truth.latest() - datetime.fromisoformat(status["finishedAt"])).total_seconds()
        if left > 1 and not self.scene.truth.skewed:
            self.scene.broken("a run is deleted at its time", run.key, f"{left:.0f} s before its ttl")
        reason = ENDS.get(condition(status, "Succeeded")["status"], condition(status, "Succeeded")["reason"])
        since = run.ended or 0.0
        told = reason in self._reasons.get(run.uid, set())
        if self._has_one_operator(since) and self._refused_events < since and not told:
            self.scene.broken("a run is deleted at its time", run.key, f"no Event {reason} was posted")

    def _has_one_operator(self, since: float) -> bool:
        """Whether the operator that lives has been the only one since then: what another one had to tell is lost."""
        alive = [process for process in self.scene.world.processes if process.alive]
        return (
            len(alive) == 1
            and self.scene.world.processes[-1] is alive[0]
            and self._started.get(alive[0].name, since) < since
        )
