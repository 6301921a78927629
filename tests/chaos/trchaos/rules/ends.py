"""Ends of attempts and of runs: from what really happened follows what may be recorded, and from that all the rest.

Truth -> the outcome that is recorded of an attempt (a few, where a deletion hides the truth) -> the failures of the
stage (exactly) -> another attempt after its back-off, or the end of the run with that reason (exactly).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from trchaos.rules import budgets
from trchaos.rules.attempts import LOST
from trchaos.rules.calm import Calm
from trchaos.rules.rule import Rule, Status, condition, entries, is_true, loses_data_set
from trchaos.rules.truth import CONDITION, PodFacts, RunFacts
from trchaos.server import CALLED_INVALID

if TYPE_CHECKING:
    from trchaos.rules.rule import Scene

STOPPED: Final = {"suspended", "replaced"}  # ends that are no failures
DEADLINES: Final = {
    "ActiveDeadlineExceeded": "activeDeadlineSeconds",
    "StartDeadlineExceeded": "startDeadlineSeconds",
}
OWN_LIMIT: Final = {"scratchFull", "scratchFullTold"}
SEEN_SECONDS: Final = 1.0  # after which an operator knows of a suspension
CALM_SECONDS: Final = 20.0
MAX_BYTES: Final = 7000  # of a status; a longer one may drop ends from its history


class Ends(Rule):
    """What the status records of ends."""

    def __init__(self, scene: Scene, calm: Calm) -> None:
        super().__init__(scene)
        self._calm = calm

    def stored(self, run: RunFacts, before: Status, now: Status) -> None:
        old, new = entries(before), entries(now)
        reopened = _is_reopened(before, now)
        exhausted = set()
        for stage, entry in new.items():
            was = {**old.get(stage, {}), **({"failures": {}} if reopened else {})}
            exhausted |= self._entry(run, stage, was=was, entry=entry, now=now, before=before)
        self._end(run, before, now, exhausted=exhausted)

    def finish(self) -> None:
        for run in self.scene.truth.runs.values():
            for stage, entry in entries(run.status).items() if run.gone is None and not run.forged else ():
                ends = len(entry.get("history") or ()) + sum((entry.get("older") or {}).values())
                if is_true(run.status, "Finished") and ends != entry.get("ended", 0):
                    text = f"{stage}: {entry.get('ended', 0)} attempts ended, {ends} ends are recorded"
                    self.scene.broken("every attempt has one end", run.key, text)

    def _entry(
        self,
        run: RunFacts,
        stage: str,
        *,
        was: Mapping[str, Any],
        entry: Mapping[str, Any],
        now: Status,
        before: Status,
    ) -> set[str]:
        """Check one stage; return the reason with which its budget is exhausted, if it is."""
        ends = _new_ends(was, entry)
        for end in ends:
            self._is_true(run, stage, end, entry)
        counted = [end for end in ends if end["outcome"] not in STOPPED]
        if not counted:
            # The attempts of a retry may be recorded before the rest of it, which could not be stored.
            retried = int(run.spec.get("retry") or 0) > now.get("retry", 0) and not entry.get("failures")
            self._check_no_end(
                run, stage, was={**was, "failures": {}} if retried else was, entry=entry, stopped=bool(ends)
            )
            return set()
        outcomes = [end["outcome"] for end in counted]
        outcome, failures = outcomes[-1], entry.get("failures") or {}
        expected = budgets.failures_after(was, entry, stage=stage, outcomes=outcomes)
        if failures not in expected:
            text = f"{stage}: {failures} after {outcomes}, expected {expected}"
            self.scene.broken("failures count what happened", run.key, text)
            failures = expected[0]
        if outcome == "succeeded":
            lost = stage == "prep" and loses_data_set(before, now)
            if not is_true(now, CONDITION[stage]) and not lost:
                self.scene.broken("a success completes its stage", run.key, stage)
            return set()
        document = self.scene.world.store.find(
            "configmaps", f"{run.name}-resolved-{run.uid[:8]}", namespace=run.namespace
        )
        rolled_back = "learningRateFactor" in (before.get("training") or {})
        train = budgets.resolved_train(document) or run.spec.get("train") or {}
        allowed = budgets.retries(outcome, stage=stage, train=train, rolled_back=rolled_back)
        if entry.get("lastReason") in DEADLINES:
            return {entry["lastReason"]}
        if failures[outcome] > allowed:
            lost = entry.get("lastReason") == "DatasetLost" and stage != "prep"
            rebuilt = lost and failures[outcome] <= budgets.REBUILDS
            if rebuilt and is_true(now, "Prepared"):
                self.scene.broken("a lost data set is prepared again", run.key, f"{stage}: {failures}")
            return set() if rebuilt else {entry.get("lastReason", "")}
        self._check_back_off(
            run, stage, entry, before=before, now=now, delay=budgets.back_off(outcome, failures[outcome])
        )
        return set()

    def _is_true(self, run: RunFacts, stage: str, end: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
        """Whether the end that is recorded of an attempt is one that its pods allow."""
        number, outcome = end["number"], end["outcome"]
        pods, played = run.pods_of(stage, number), set(self.scene.truth.outcomes(run, stage, number))
        allowed = played - {"removed", "neverStarted"}
        hidden = any(pod.disturbed and not self._by_own_limit(pod) for pod in pods) or any(
            job.gone is not None for job in run.jobs_of(stage, number)
        )
        if hidden or not run.jobs_of(stage, number):
            allowed.add("interrupted")
        # What still runs of a run that failed for another cause is ended when it is retried.
        if True in run.ever("suspend") or any(len(run.asked.get(name, ())) > 1 for name in ("finish", "retry")):
            allowed.add("suspended")
        # Of a Job that is called invalid, an earlier creation may have been answered by nobody.
        if end.get("reason") == "ChildRefused" or not any(self._ran(pod.uid) for pod in pods):
            allowed.add("replaced")
        if outcome == "userError" and DEADLINES.get(entry.get("lastReason", ""), "-") in run.spec:
            return
        if outcome == "interrupted" and self._goes_on(run, stage, number):
            text = f"attempt {number} of {stage} counts as interrupted, and its Job, once suspended, goes on"
            self.scene.broken("a suspended Job goes on", run.key, text)
        if outcome not in allowed:
            text = f"attempt {number} of {stage} counts as {outcome} ({end.get('reason')}); possible: {sorted(allowed)}"
            self.scene.broken("ends are what happened", run.key, text)

    def _by_own_limit(self, pod: PodFacts) -> bool:
        """Whether its kubelet has ended a pod for what the pod itself has used, and nothing else has deleted it."""
        played = self.scene.truth.played(pod)
        own = played is not None and played.outcome in OWN_LIMIT
        return own and pod.ends_by is None and pod.gone is None

    def _goes_on(self, run: RunFacts, stage: str, number: int) -> bool:
        """Whether something else has suspended the Job of an attempt, which still has its pods before it."""
        jobs = run.jobs_of(stage, number)
        if not jobs or jobs[-1].held is None or not jobs[-1].goes_on or True in run.ever("suspend"):
            return False
        seconds = self.scene.now - jobs[-1].held
        if seconds < SEEN_SECONDS or self._calm.sees(run.namespace) < CALM_SECONDS:
            return False  # an operator may not know of it yet
        latest = self.scene.truth.latest()
        lost = any(pod.ends_by is not None and latest >= pod.ends_by + LOST for pod in run.pods_of(stage, number))
        later = any(pod.made > jobs[-1].held for pod in run.pods_of(stage, number))
        return not lost and not later

    def _ran(self, uid: str) -> bool:
        played = self.scene.world.cluster.pods.get(uid)
        return played is not None and played.began is not None

    def _check_no_end(
        self, run: RunFacts, stage: str, *, was: Mapping[str, Any], entry: Mapping[str, Any], stopped: bool
    ) -> None:
        overdue = condition(run.status, "Succeeded").get("reason") == "StartDeadlineExceeded"  # between two attempts
        if (entry.get("failures") or {}) != (was.get("failures") or {}) and not overdue:
            text = f"{stage}: {was.get('failures')} became {entry.get('failures')} without an end"
            self.scene.broken("failures count what happened", run.key, text)
        more = entry.get("ended", 0) > was.get("ended", 0)
        # A pod that ran and was stopped has its end recorded once it has ended.
        if more and not stopped and "jobUID" not in entry:
            self.scene.broken("every attempt has one end", run.key, f"{stage} {entry.get('ended')}: none is recorded")

    def _check_back_off(
        self, run: RunFacts, stage: str, entry: Mapping[str, Any], *, before: Status, now: Status, delay: int
    ) -> None:
        until, shown = entry.get("nextRetryAt"), now.get("progress") or {}
        if bool(until) != bool(delay):
            text = f"{stage}: {entry.get('failures')}: next attempt at {until}, expected after {delay} s"
            self.scene.broken("back-off", run.key, text)
        elif until and shown.get("updated") != (before.get("progress") or {}).get("updated"):
            seconds = (datetime.fromisoformat(until) - datetime.fromisoformat(shown["updated"])).total_seconds()
            if abs(seconds - delay) > 1:
                self.scene.broken("back-off", run.key, f"{stage}: {seconds:.0f} s, expected {delay} s")

    def _end(self, run: RunFacts, before: Status, now: Status, *, exhausted: set[str]) -> None:
        ended, was = is_true(now, "Finished"), is_true(before, "Finished")
        success = condition(now, "Succeeded")
        if exhausted and not (ended and success.get("reason") in exhausted):
            text = f"no attempt is left after {sorted(exhausted)}, and the run shows {success.get('reason')}"
            self.scene.broken("a run ends with the reason of its last attempt", run.key, text)
        if was and not ended and not now.get("retry", 0) > before.get("retry", 0):
            self.scene.broken("an end is final", run.key, "Finished was True and is not, without spec.retry")
        if is_true(before, "Succeeded") and not is_true(now, "Succeeded"):
            self.scene.broken("an end is final", run.key, f"Succeeded was True and is {success.get('status')}")
        if not ended or was:
            return
        if success.get("status") == "True":
            missing = [stage for stage, kind in CONDITION.items() if not is_true(now, kind)]
            bucket = self.scene.world.cluster.buckets.get(run.uid)
            missing += [stage for stage in ("train", "export") if bucket is None or stage not in bucket.results]
            if missing:
                self.scene.broken("a run succeeds with all results", run.key, f"it lacks {missing}")
        elif not exhausted and not self._is_refused(run, success.get("reason", "")):
            text = f"it failed with {success.get('reason')}, and no attempt has ended so"
            self.scene.broken("a run ends with the reason of its last attempt", run.key, text)

    def _is_refused(self, run: RunFacts, reason: str) -> bool:
        """Whether a run may fail with this reason though no attempt of it has."""
        invalid = reason == "ChildRefused" and self.scene.world.server.hit[CALLED_INVALID] > 0
        return invalid or DEADLINES.get(reason, "-") in run.spec


def _is_reopened(before: Status, now: Status) -> bool:
    """Whether a run that failed was retried; it may have failed again in the same status."""
    failed = is_true(before, "Finished") and condition(before, "Succeeded").get("status") == "False"
    return failed and now.get("retry", 0) > before.get("retry", 0)


def _new_ends(was: Mapping[str, Any], entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Ends in the history that were not there before."""
    known = Counter((end["number"], end["outcome"]) for end in was.get("history") or ())
    return [end for end in entry.get("history") or () if not known[end["number"], end["outcome"]]]
