"""Children of runs: none without its run, none that still works for a run that has ended, a document for every Job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trchaos.rules.rule import Rule, key_of
from trchaos.rules.truth import unfinished

if TYPE_CHECKING:
    from trchaos.rules.calm import Calm
    from trchaos.rules.rule import Scene
    from trchaos.rules.truth import JobFacts, PodFacts, RunFacts
    from trfakes.store import Object

DOCUMENT_SECONDS: Final = 10.0  # a ConfigMap can go between its reading and the creation of a Job
ENDED_SECONDS: Final = 90.0
BOARDS: Final = ("deployments", "services")


class Children(Rule):
    """What belongs to runs."""

    def __init__(self, scene: Scene, calm: Calm) -> None:
        super().__init__(scene)
        self._calm = calm
        self._told: set[str] = set()  # UIDs of Jobs and pods
        self._seen: dict[str, float] = {}  # when the ConfigMap of each run was there last

    def job_made(self, run: RunFacts, job: JobFacts) -> None:
        """Each attempt is made from the run's ConfigMap."""
        if self._document(run) is not None:
            self._seen[run.uid] = self.scene.now
            return
        changed = self.scene.truth.documents.get(run.uid, -DOCUMENT_SECONDS)  # created, or deleted
        seen = max(changed, self._seen.get(run.uid, changed))
        if run.gone is None and self.scene.now - seen >= DOCUMENT_SECONDS:
            self.scene.broken("a document for every attempt", run.key, f"Job {job.name} was made without the ConfigMap")

    def look(self) -> None:
        for run in self.scene.truth.runs.values():
            if run.ended is None and self._document(run) is not None:
                self._seen[run.uid] = self.scene.now
            if run.ended is not None and run.gone is None and not run.forged and self._must_know(run, run.ended):
                self._of_ended(run)

    def finish(self) -> None:
        self.have_owners()
        for run in self.scene.truth.runs.values():
            if run.gone is None and run.ended is not None:
                self._of_ended(run)
            if run.gone is None:
                self._board(run)

    def have_owners(self) -> None:
        """No object is left whose owner is gone."""
        store = self.scene.world.store
        alive = {body["metadata"]["uid"] for body in store.objects.values()}
        for (plural, _, _), body in sorted(store.objects.items()):
            owners = [ref["uid"] for ref in body["metadata"].get("ownerReferences") or ()]
            if owners and not set(owners) & alive:
                self.scene.broken("no child without its run", key_of(body), f"{plural} {body['metadata']['name']}")

    def _must_know(self, run: RunFacts, ended: float) -> bool:
        """Whether an operator has had the time to end what works for a run that has ended."""
        calm = min(self._calm.seconds(run.namespace), self._calm.sees(run.namespace))
        return min(calm, self.scene.now - ended) > ENDED_SECONDS

    def _of_ended(self, run: RunFacts) -> None:
        for pod in run.pods.values():
            played = self.scene.truth.played(pod)
            works = played is None or played.ended is None
            if pod.gone is None and pod.ends_by is None and works and unfinished(dict(pod.body)) and self._is_news(pod):
                self.scene.broken("nothing works for a run that has ended", run.key, f"pod {pod.name} may still run")
        for job in run.jobs.values():
            if job.gone is None and not _job_ended(dict(job.body)) and self._is_news(job):
                self.scene.broken("nothing works for a run that has ended", run.key, f"Job {job.name} has not ended")

    def _is_news(self, facts: PodFacts | JobFacts) -> bool:
        known = facts.uid in self._told
        self._told.add(facts.uid)
        return not known

    def _board(self, run: RunFacts) -> None:
        """TensorBoard's objects are there if the status names them, and only then."""
        shown = (run.status.get("tensorboard") or {}).get("serviceName")
        found = [
            plural
            for plural in BOARDS
            if self.scene.world.store.find(plural, f"{run.name}-tensorboard", namespace=run.namespace) is not None
        ]
        if bool(shown) != bool(found) or len(found) == 1:
            self.scene.broken("TensorBoard as the status says", run.key, f"status: {shown}, objects: {found}")

    def _document(self, run: RunFacts) -> Object | None:
        return self.scene.world.store.find("configmaps", f"{run.name}-resolved-{run.uid[:8]}", namespace=run.namespace)


def _job_ended(job: dict[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)
