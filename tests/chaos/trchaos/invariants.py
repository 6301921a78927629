"""What must hold, whatever happens: all rules, looking at one world from its start to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trchaos.quiet import waits_for_its_user
from trchaos.rules.attempts import Attempts
from trchaos.rules.calls import Calls
from trchaos.rules.calm import Calm
from trchaos.rules.children import Children
from trchaos.rules.conditions import Conditions
from trchaos.rules.deletions import Deletions
from trchaos.rules.documents import Documents
from trchaos.rules.ends import Ends
from trchaos.rules.events import Events
from trchaos.rules.processes import Processes
from trchaos.rules.progress import Progress
from trchaos.rules.rule import Rule, Scene, Violation, is_true
from trchaos.rules.truth import JobFacts, Truth
from trchaos.rules.waits import Waits
from trchaos.server import Request
from trfakes.store import Change

if TYPE_CHECKING:
    from trchaos.cluster import Played
    from trchaos.world import World

LOOK_SECONDS: Final = 5.0


class Invariants:
    """Tells every rule what happens in a world."""

    def __init__(self, world: World) -> None:
        self._world, self.truth = world, Truth(world)
        self.scene = Scene(world, self.truth)
        calm = Calm(self.scene)
        self._children = Children(self.scene, calm)
        self.calls, self.processes = Calls(self.scene, calm), Processes(self.scene)
        self._rules: list[Rule] = [
            calm,
            Attempts(self.scene, calm),
            Ends(self.scene, calm),
            Conditions(self.scene),
            Progress(self.scene),
            self._children,
            Deletions(self.scene),
            Documents(self.scene, calm),
            Events(self.scene),
            Waits(self.scene, calm),
            self.calls,
            self.processes,
        ]
        # The two that are called most, by far.
        self._of_calls = [rule for rule in self._rules if type(rule).called is not Rule.called]
        self._of_looks = [rule for rule in self._rules if type(rule).look is not Rule.look]
        self._finished = False
        world.store.listeners.append(self._changed)
        world.cluster.on_begin.append(self._began)
        world.server.listeners.append(self._called)
        world.loop.call_later(LOOK_SECONDS, self._look)

    @property
    def violations(self) -> list[Violation]:
        """All that was broken until now."""
        return self.scene.violations

    def finish(self) -> None:
        """Check what must hold once everything has settled."""
        self._finished = True
        for rule in self._rules:
            rule.finish()
        for run in self.truth.runs.values():
            ended = is_true(run.status, "Finished") or run.suspended is not None or run.gone is not None
            if not (ended or run.forged or waits_for_its_user(self._world, run.status)):
                self.scene.broken("every run ends", run.key, str(run.status.get("message")))

    def close(self) -> None:
        """Look at nothing any more."""
        self.processes.close()

    def children_are_gone(self) -> None:
        """Check that nothing is left once all runs are deleted."""
        self._children.have_owners()

    def _changed(self, change: Change) -> None:
        uid, now = change.body["metadata"]["uid"], None
        before: Any = self.truth.runs[uid].status if uid in self.truth.runs else {}
        known = change.plural == "jobs" and any(uid in run.jobs for run in self.truth.runs.values())
        self.truth.take(change)
        if change.plural == "trainingruns" and change.kind != "DELETED":
            run = self.truth.runs[uid]
            now = run.status
            if now != before and not self._world.server.acting and change.kind == "MODIFIED":
                run.forged = True
            elif now != before and not run.forged:
                for rule in self._rules:
                    rule.stored(run, before, now)
        elif change.plural == "jobs" and not known:
            self._job_made(uid)
        if self._world.server.acting:
            self._acted(change)

    def _acted(self, change: Change) -> None:
        """An operator has deleted something, or posted an Event."""
        uid = change.body["metadata"]["uid"]
        if change.plural == "events" and change.kind == "ADDED":
            run = self.truth.runs.get(change.body["involvedObject"]["uid"])
            for rule in self._rules if run is not None else ():
                assert run is not None
                rule.told(run, change.body)
        elif change.kind == "DELETED" and change.plural == "trainingruns":
            for rule in self._rules:
                rule.run_deleted(self.truth.runs[uid])
        elif change.kind == "DELETED" and change.plural == "jobs":
            for run in [run for run in self.truth.runs.values() if uid in run.jobs and not run.forged]:
                for rule in self._rules:
                    rule.job_deleted(run, run.jobs[uid])

    def _job_made(self, uid: str) -> None:
        for run in self.truth.runs.values():
            job: JobFacts | None = run.jobs.get(uid)
            for rule in self._rules if job is not None else ():
                assert job is not None
                rule.job_made(run, job)

    def _began(self, played: Played) -> None:
        run = self.truth.runs.get(played.run_uid)
        for rule in self._rules if run is not None else ():
            assert run is not None
            rule.began(run, played)

    def _called(self, request: Request) -> None:
        for rule in self._of_calls:
            rule.called(request)

    def _look(self) -> None:
        self.truth.look()
        for rule in self._of_looks:
            rule.look()
        if not self._finished:
            self._world.loop.call_later(LOOK_SECONDS, self._look)
