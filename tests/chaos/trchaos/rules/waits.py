"""Waits: whatever holds a run back, its status names it within 15 s, and takes it back as fast.

What holds a run back is worked out from the objects in the store, and compared with the condition of its stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from trainingrun.api.names import LABEL_RUN_UID, LABEL_STAGE
from trchaos.rules.attempts import LOST
from trchaos.rules.calm import LONGEST_PAUSE, Calm
from trchaos.rules.rule import Rule, condition, entries, is_true
from trchaos.rules.truth import CONDITION, STAGES, JobFacts, PodFacts, RunFacts, unfinished

if TYPE_CHECKING:
    from trchaos.rules.rule import Scene
    from trchaos.server import Request

SHOWN_SECONDS: Final = 15.0
SLACK_SECONDS: Final = 5.0  # between two looks
ACTED_SECONDS: Final = 45.0  # an end is counted, or a next attempt made, within this time; some have to settle for 30 s
GONE_SECONDS: Final = 25.0  # nothing has to settle after a Job is gone
NOT_SHOWN: Final = {"", "AttemptStarted", "Running"}  # reasons that name no wait


@dataclass(frozen=True)
class Wait:
    """What a run waits for: `reasons` of which its stage shows one, or not `unless` one; `text` in the message."""

    what: str
    reasons: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    text: str = ""
    may_last: bool = True
    acted: float = ACTED_SECONDS  # within which something is done about what may not last


class Waits(Rule):
    """Looks at every run that has not ended, every few seconds."""

    def __init__(self, scene: Scene, calm: Calm) -> None:
        super().__init__(scene)
        self._calm = calm
        self._since: dict[str, tuple[Wait, float]] = {}
        self._told: set[tuple[str, Wait]] = set()
        self._refused_at: dict[str, float] = {}  # when the creation of a Job was refused last, by namespace

    def called(self, request: Request) -> None:
        if request.method == "POST" and request.status >= 400 and request.path.endswith("/jobs"):
            self._refused_at[request.path.split("/")[-2]] = self.scene.now

    def look(self) -> None:
        for run in self.scene.truth.runs.values():
            if run.gone is not None or run.ended is not None or run.forged:
                self._since.pop(run.uid, None)
                continue
            wait = self._wait_of(run)
            known, since = self._since.get(run.uid, (None, self.scene.now))
            if known != wait:
                since = self.scene.now
                self._since[run.uid] = wait, since
            seconds = min(self.scene.now - since, self._calm.seconds(run.namespace))
            if (run.uid, wait) not in self._told and seconds >= SHOWN_SECONDS + SLACK_SECONDS:
                self._check(run, wait, seconds)

    def _check(self, run: RunFacts, wait: Wait, seconds: float) -> None:
        stage = _stage_of(run)
        shown = condition(run.status, CONDITION[stage])
        reason, message = shown.get("reason", ""), str(run.status.get("message"))
        text = ""
        if not wait.may_last:
            if seconds >= wait.acted:
                text = f"nothing is done about it for {seconds:.0f} s"
        elif (wait.reasons and reason not in wait.reasons) or reason in wait.unless:
            text = f"it shows {reason}: {message}"
        elif wait.text and wait.text not in message and wait.text not in str(shown.get("message")):
            text = f"its message lacks {wait.text}: {message}"
        if text:
            self._told.add((run.uid, wait))
            self.scene.broken("every wait shows its cause", run.key, f"{stage}: {wait.what}; {text}")

    def _wait_of(self, run: RunFacts) -> Wait:
        entry = entries(run.status).get(_stage_of(run), {})
        if not is_true(run.status, "Accepted"):
            return (
                Wait("it is not accepted") if condition(run.status, "Accepted") else Wait("no status", may_last=False)
            )
        if entry.get("number", 0) > entry.get("ended", 0):
            return self._in_flight(run, _stage_of(run), entry)
        return self._between(run, _stage_of(run), entry)

    def _between(self, run: RunFacts, stage: str, entry: Mapping[str, Any]) -> Wait:
        """No attempt is in flight."""
        alive = [pod for pod in run.pods.values() if pod.stage == stage and self._may_run(pod)]
        if run.suspended is not None:
            return Wait("suspended", frozenset({"Suspending"} if alive else {"Suspended"}))
        until = entry.get("nextRetryAt")
        if until and datetime.fromisoformat(until) > self.scene.truth.earliest():
            return Wait("back-off", unless=frozenset(NOT_SHOWN), text=until)
        if alive:
            return Wait("an earlier pod", unless=frozenset(NOT_SHOWN))
        foreign = self._pods_of_others(run, stage)
        if foreign:
            named = [name for name in foreign if name in str(run.status.get("message"))]
            return Wait("a pod that has the labels of this run", text=(named or foreign)[0])
        if self._refuses_jobs(run.namespace):
            return Wait("a refused creation", frozenset({"CreationRefused"}))
        jobs = [job for job in run.jobs.values() if job.stage == stage and job.gone is None and not _ended(job)]
        if jobs:
            return Wait(f"Job {jobs[0].name}", unless=frozenset(NOT_SHOWN))
        if self.scene.now < self._refused_at.get(run.namespace, -LONGEST_PAUSE) + LONGEST_PAUSE:
            return Wait("the next try of a refused creation", unless=frozenset(NOT_SHOWN))
        return Wait("nothing", may_last=False)

    def _refuses_jobs(self, namespace: str) -> bool:
        path, now = f"/apis/batch/v1/namespaces/{namespace}/jobs", self.scene.now
        return any(
            rule.matches("POST", path) and rule.until > now and rule.share == 1.0
            for rule in self.scene.world.server.rules
        )

    def _pods_of_others(self, run: RunFacts, stage: str) -> list[str]:
        """Pods that somebody gave the labels of a stage of this run: the operator waits until they have ended."""
        found = []
        for pod in self.scene.world.store.select("pods", namespace=run.namespace):
            labels = pod["metadata"].get("labels") or {}
            ours = labels.get(LABEL_RUN_UID) == run.uid and labels.get(LABEL_STAGE) == stage
            if ours and pod["metadata"]["uid"] not in run.pods and unfinished(dict(pod)):
                found.append(str(pod["metadata"]["name"]))
        return found

    def _in_flight(self, run: RunFacts, stage: str, entry: Mapping[str, Any]) -> Wait:
        jobs = [job for job in run.jobs_of(stage, entry["number"]) if job.gone is None]
        pods = [pod for pod in run.pods_of(stage, entry["number"]) if pod.gone is None]
        if run.suspended is not None:
            return Wait(f"attempt {entry['number']} of a suspended run", may_last=False)
        if not jobs:
            ending = any(self._may_run(pod) for pod in pods)
            return Wait(f"attempt {entry['number']} without a Job", may_last=ending, acted=GONE_SECONDS)
        job = jobs[-1]
        if (job.body.get("spec") or {}).get("suspend"):
            still = any(self._may_run(pod) for pod in pods)
            return Wait(f"Job {job.name} is suspended", frozenset() if still else frozenset({"JobSuspended"}))
        if not pods:
            return self._without_pod(run, job)
        return self._with_pod(pods[-1])

    def _without_pod(self, run: RunFacts, job: JobFacts) -> Wait:
        if _ended(job):
            return Wait(f"Job {job.name} has ended", may_last=False)
        if run.namespace in self.scene.world.cluster.quota_full:
            return Wait(f"no quota for {job.name}", frozenset({"QuotaExceeded", "PodRefused"}))
        return Wait(f"no pod of {job.name}", unless=frozenset(NOT_SHOWN))

    def _with_pod(self, pod: PodFacts) -> Wait:
        status = pod.body.get("status") or {}
        if not unfinished(dict(pod.body)):
            return Wait(f"{pod.name} has ended", may_last=False)
        if pod.ends_by is not None:
            # When it is given up was worked out with the clock as it was then, which may have jumped since.
            return Wait(f"{pod.name} is ending", may_last=self._may_run(pod) or self.scene.truth.skewed)
        if any(c.get("reason") == "Unschedulable" and c["status"] == "False" for c in status.get("conditions") or ()):
            return Wait(f"no room for {pod.name}", frozenset({"PodUnschedulable"}), text=pod.name)
        if status.get("phase") == "Running":
            return Wait(f"{pod.name} runs", frozenset({"Running"}))
        return Wait(f"{pod.name} starts", unless=frozenset(NOT_SHOWN))

    def _may_run(self, pod: PodFacts) -> bool:
        """Whether the rules still count with a pod: the API has it, unfinished, and its time is not over."""
        over = pod.ends_by is not None and self.scene.truth.earliest() > pod.ends_by + LOST
        return pod.gone is None and unfinished(dict(pod.body)) and not over


def _stage_of(run: RunFacts) -> str:
    """The stage that a run is in."""
    return next((stage for stage in STAGES if not is_true(run.status, CONDITION[stage])), STAGES[-1])


def _ended(job: JobFacts) -> bool:
    conditions = (job.body.get("status") or {}).get("conditions") or ()
    return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)
