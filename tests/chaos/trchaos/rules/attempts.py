"""Attempts: one at a time, in the order of the stages, numbered without gaps, and none for a run that wants none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from trchaos.rules.rule import Rule, Status, entries, is_true
from trchaos.rules.truth import CONDITION, STAGES, unfinished

if TYPE_CHECKING:
    from trchaos.cluster import Played
    from trchaos.rules.calm import Calm
    from trchaos.rules.rule import Scene
    from trchaos.rules.truth import JobFacts, PodFacts, RunFacts
    from trchaos.server import Request

UNANSWERED: Final = {0, 500, 503, 504}  # of a call that may have taken effect
LOST: Final = timedelta(seconds=120)  # beyond its grace period, after which a pod on an unreachable node is given up
SENT_SECONDS: Final = 2.0  # a creation that was sent before can arrive so much later
# A Job that was created before a run is suspended, ends or is deleted may still start its pod within this time.
START_SECONDS: Final = 30.0
KNOWN_SECONDS: Final = 3.0  # after which an operator acts on a change of a spec
CALM_SECONDS: Final = 20.0


class Attempts(Rule):
    """Which attempts may exist side by side, and when one may start."""

    def __init__(self, scene: Scene, calm: Calm) -> None:
        super().__init__(scene)
        self._calm = calm
        self._creations: list[Request] = []  # of Jobs, by operators
        self._given_up: set[str] = set()  # UIDs of pods that counted as lost when a later attempt was made

    def job_made(self, run: RunFacts, job: JobFacts) -> None:
        self._one_at_a_time(run, job)
        if run.forged:
            return
        self._in_order(run, job)
        self._is_wanted(run, job)
        self._is_new(run, job)

    def began(self, run: RunFacts, played: Played) -> None:
        for pod in _beside(run, played.stage, played.attempt):
            replaced = _is_replaced(run, pod) and (pod.stage != played.stage or pod.job_uid == played.job_uid)
            left = pod.gone is not None or pod.uid in self._given_up or replaced
            if pod.uid != played.pod_uid and not left and self._runs(pod):
                self.scene.broken("one live attempt", run.key, f"{played.name} began beside {pod.name}")
        ended = None if _runs_again(run) else run.ended
        for why, since in (("suspended", run.suspended), ("ended", ended), ("deleted", run.gone)):
            made = run.jobs[played.job_uid].made if played.job_uid in run.jobs else self.scene.now
            late = since is not None and made > since + SENT_SECONDS
            if since is not None and late and self.scene.now > since + START_SECONDS:
                text = f"{played.name} began {self.scene.now - since:.0f} s after the run was {why}"
                self.scene.broken("no pod for a run that wants none", run.key, text)

    def called(self, request: Request) -> None:
        if request.method == "POST" and request.path.endswith("/jobs"):
            self._creations.append(request)
        if request.outdated and request.method == "POST":
            self.scene.broken("no child for a run that is gone", "", f"{request.client}: {request.path} {request.name}")

    def stored(self, run: RunFacts, before: Status, now: Status) -> None:
        old, new = entries(before), entries(now)
        for stage in old:
            if stage not in new:
                self.scene.broken("attempts never go back", run.key, f"the attempts of {stage} are gone")
        for stage, entry in new.items():
            was = old.get(stage, {})
            for name in ("number", "ended"):
                if entry.get(name, 0) < was.get(name, 0):
                    text = f"{name} of {stage} was {was[name]} and is {entry.get(name, 0)}"
                    self.scene.broken("attempts never go back", run.key, text)
            if entry.get("number", 0) > was.get("number", 0) + 1:
                text = f"{stage}: attempt {entry['number']} follows {was.get('number', 0)}"
                self.scene.broken("no attempt is skipped", run.key, text)
            if entry.get("ended", 0) > entry.get("number", 0):
                text = f"{stage}: {entry['ended']} ended of {entry.get('number', 0)}"
                self.scene.broken("no more attempts end than began", run.key, text)

    def _one_at_a_time(self, run: RunFacts, job: JobFacts) -> None:
        """When a Job is created, every pod of an earlier attempt has ended, is gone, or is given up by the rules."""
        for pod in _beside(run, job.stage, job.attempt):
            if pod.gone is not None or self._ended(pod) or (pod.stage != job.stage and _is_replaced(run, pod)):
                continue
            latest = self.scene.truth.latest()
            if pod.ends_by is not None and latest >= pod.ends_by + LOST:
                self._given_up.add(pod.uid)
            else:
                self.scene.broken("one live attempt", run.key, f"Job {job.name} was made while {pod.name} may run")

    def _in_order(self, run: RunFacts, job: JobFacts) -> None:
        bucket = self.scene.world.cluster.buckets.get(run.uid)
        for stage in STAGES[: STAGES.index(job.stage)]:
            # The status that says that a stage is done is stored after the Job of the next one is created.
            done = is_true(run.status, CONDITION[stage]) or (bucket is not None and stage in bucket.results)
            if not done:
                self.scene.broken("stages in their order", run.key, f"Job {job.name} was made before {stage} was done")

    def _is_wanted(self, run: RunFacts, job: JobFacts) -> None:
        if run.gone is not None:
            return  # the garbage collector takes it, and no pod of it may begin
        if is_true(run.status, CONDITION[job.stage]) and not _runs_again(run):
            self.scene.broken("a finished stage never runs again", run.key, f"Job {job.name} was made")
        if run.suspended is not None and self._is_known(run, run.suspended):
            self.scene.broken("no attempt of a run that is suspended", run.key, f"Job {job.name} was made")
        if run.ended is not None and not _runs_again(run):
            self.scene.broken("no attempt of a run that has ended", run.key, f"Job {job.name} was made")

    def _is_known(self, run: RunFacts, since: float) -> bool:
        """Whether an operator that makes a Job has known for a while what the spec says since then."""
        calm = min(self._calm.seconds(run.namespace), self._calm.sees(run.namespace))
        return calm > CALM_SECONDS and self.scene.now - since > KNOWN_SECONDS

    def _is_new(self, run: RunFacts, job: JobFacts) -> None:
        """A number is the next one; it is used again only if no status has recorded it before its Job was removed."""
        entry = entries(run.status).get(job.stage, {})
        if job.attempt > entry.get("number", 0) + 1:
            text = f"Job {job.name} was made, and the newest attempt that is recorded is {entry.get('number', 0)}"
            self.scene.broken("no attempt is skipped", run.key, text)
        if job.attempt <= entry.get("number", 0) and len(run.jobs_of(job.stage, job.attempt)) > 1:
            self.scene.broken("numbers of attempts never repeat", run.key, f"Job {job.name} was made once more")

        earlier = [
            other for other in run.jobs_of(job.stage, job.attempt) if job.made_by and other.made_by == job.made_by
        ]
        if len(earlier) > 1 and not self.scene.world.server.hit["calls slow"] and not self._has_lost_answers(job):
            text = f"{job.made_by} made Job {job.name} twice"
            self.scene.broken("numbers of attempts never repeat", run.key, text)

    def _has_lost_answers(self, job: JobFacts) -> bool:
        """Whether an operator may not know that it has created a Job: an answer to it was lost."""
        client = job.made_by
        return any(request.client == client and request.status in UNANSWERED for request in self._creations)

    def _ended(self, pod: PodFacts) -> bool:
        played = self.scene.truth.played(pod)
        return (played is not None and played.ended is not None) or not unfinished(dict(pod.body))

    def _runs(self, pod: PodFacts) -> bool:
        if not unfinished(dict(pod.body)):
            return False  # PodGC has said so of a pod whose node is gone, whatever still runs there
        played = self.scene.truth.played(pod)
        return played is not None and played.began is not None and played.ended is None


def _beside(run: RunFacts, stage: str, attempt: int) -> list[PodFacts]:
    """Pods beside which no other one may run: of all stages and attempts.

    After a status was forged, stages begin again, and an attempt of a higher number may be anybody's. And a stage whose
    Job was deleted before its success was stored begins again, though its operator had made the Job of the next one.
    """
    recorded = entries(run.status)
    return [
        pod
        for pod in run.pods.values()
        if (pod.stage == stage and pod.attempt <= attempt)
        or not (run.forged or _is_unknown(pod, recorded, later_than=stage))
    ]


def _is_unknown(pod: PodFacts, recorded: Mapping[str, Mapping[str, Any]], *, later_than: str) -> bool:
    """Whether a pod is of an attempt of a later stage which no status has."""
    later = STAGES.index(pod.stage) > STAGES.index(later_than)
    return later and pod.attempt > recorded.get(pod.stage, {}).get("number", 0)


def _is_replaced(run: RunFacts, pod: PodFacts) -> bool:
    """Whether its Job, which something else suspended and resumed, has got another pod while this one terminates."""
    return pod.ends_by is not None and any(
        other.job_uid == pod.job_uid and other.made > pod.made for other in run.pods.values()
    )


def _runs_again(run: RunFacts) -> bool:
    """Whether the run is reopened with the status that follows the Job."""
    return int(run.spec.get("retry") or 0) > int(run.status.get("retry") or 0)
