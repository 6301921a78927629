"""The mutants that schedules must catch: each a defect with the patch that brings it back.

Those that the operator once had are in `tests/mutants`, with tests of their own; the others, in `tests/chaos/mutants`,
are faults that it never had. A mutant is here only if it changes what an operator does to a run; it is caught by the
general rules, never by one that was made for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimages.paths import REPOSITORY

FOLDERS: Final = (REPOSITORY / "tests/mutants", REPOSITORY / "tests/chaos/mutants")


@dataclass(frozen=True)
class Mutant:
    """A defect, and the name of the patch that brings it back."""

    defect: str
    patch: str

    @property
    def path(self) -> Path:
        """Where the patch is."""
        paths = [folder / f"{self.patch}.patch" for folder in FOLDERS]
        return next((path for path in paths if path.is_file()), paths[0])


MUTANTS: Final = (
    Mutant("Jobs without end: a run that is gone is revived by an answer", "gone-run-is-revived-by-an-answer"),
    Mutant("Jobs without end: the status cannot be written", "status-lost-and-jobs-go-on"),
    Mutant("Jobs without end: a run that is gone gets children", "gone-run-gets-children"),
    Mutant("forged acceptance: the ConfigMap of a tenant is believed", "acceptance-forged-config-map-is-believed"),
    Mutant("forged acceptance: a replaced ConfigMap is used", "acceptance-replaced-config-map-is-used"),
    Mutant("hot loop: a try that fails repeats at once", "queue-tries-again-at-once"),
    Mutant("hot loop: a forged ConfigMap is read without a pause", "acceptance-forged-config-map-is-retried-at-once"),
    Mutant("hot loop: a new time alone is news", "status-without-news-is-written"),
    Mutant("namespace gone: the process ends with it", "scopes-forbidden-namespace-ends-the-process"),
    Mutant("waiting for ever: the pod of a lost ConfigMap", "acceptance-deleted-config-map-stays-away"),
    Mutant("waiting for ever: an answer revives a Job that is gone", "gone-job-is-revived-by-an-answer"),
    Mutant("waiting for ever: an attempt whose status was lost never counts", "status-lost-and-attempts-uncounted"),
    Mutant("an admission refusal ends the run", "admission-refusal-ends-the-run"),
    Mutant("an admission refusal hides how the last attempt ended", "admission-hides-how-the-last-attempt-ended"),
    Mutant("lost data set: blames the storage", "data-lost-data-set-blames-storage"),
    Mutant("lost data set: prepared without end", "data-lost-data-set-loops"),
    Mutant("lost data set: ends the run", "data-lost-data-set-is-not-rebuilt"),
    Mutant("start deadline: ends a run that has trained", "attempts-start-deadline-after-training"),
    Mutant("start deadline: counts a suspension", "attempts-start-deadline-while-suspended"),
    Mutant("start deadline: counts a suspension at its end", "attempts-start-deadline-at-resumption"),
    Mutant("ttl 0: the run goes before its end is stored", "runs-expire-before-their-end-is-stored"),
    Mutant("ttl 0: the run goes while it is retried", "runs-expire-while-retried"),
    Mutant("disk: a full node disk is told as a crash", "data-full-disk-is-a-crash"),
    Mutant("disk: an eviction for scratch is told as an interruption", "data-eviction-for-scratch-is-an-interruption"),
    Mutant("Kueue-like suspension: a suspended Job beside the next", "attempts-suspended-job-beside-the-next"),
    Mutant("Kueue-like suspension: the old pod ends a resumed Job", "attempts-departed-pod-ends-a-resumed-job"),
    Mutant("suspension: counts as an interruption", "attempts-suspension-counts-as-interruption"),
    Mutant("a stage that ended runs again, because its result was not stored", "status-lost-and-results-forgotten"),
    Mutant("the next attempt starts before the Job of the last one is gone", "attempts-next-beside-a-job-being-ended"),
    Mutant("progress falls to starting after a restart", "restart-progress-falls-to-starting"),
    Mutant("each restart warns of a wait again", "waits-warned-again-after-a-restart"),
    Mutant("writes without the Lease", "scopes-write-without-the-lease"),
    Mutant("a status is written without its resourceVersion", "status-is-written-without-its-version"),
    Mutant("a conflict counts as stored", "conflict-counts-as-stored"),
    Mutant("a conflict is not tried again", "conflict-is-not-tried-again"),
    Mutant("an Event comes before its status", "event-before-its-status"),
    Mutant("a deletion in a gap of a watch is not noticed", "listing-keeps-what-is-gone"),
    Mutant("what was deleted is not remembered", "deletions-are-not-remembered"),
    Mutant("an older event of an object replaces a newer one", "older-version-replaces-newer"),
    Mutant("the answer to a creation is not recorded", "created-job-is-not-recorded"),
    Mutant("the next attempt starts beside the pod of a deleted Job", "next-attempt-beside-a-pod-without-job"),
    Mutant("a pod in its grace period counts as lost", "terminating-pod-counts-as-lost"),
    Mutant("a lost pod is never given up", "lost-pod-is-never-given-up"),
    Mutant("interruptions count although training advances", "budget-stays-when-training-advances"),
    Mutant("a budget is never used up", "budget-is-never-used-up"),
    Mutant("a retry keeps the old failures", "retry-takes-no-attempt-back"),
    Mutant("the next attempt starts without back-off", "next-attempt-without-back-off"),
    Mutant("a back-off sets no timer", "back-off-sets-no-timer"),
    Mutant("a run in back-off starts an attempt although it is suspended", "suspended-run-starts-its-next-attempt"),
    Mutant("the later of two timers wins", "latest-timer-wins"),
    Mutant("a change during a reconcile is lost", "dirty-key-is-forgotten"),
    Mutant("a wait is looked at once", "wait-has-no-second-look"),
    Mutant("progress is that of the attempt before", "progress-of-the-attempt-before"),
    Mutant("a run expires before its Events are posted", "run-expires-with-unposted-events"),
    Mutant("a lost Lease is not noticed", "lost-lease-is-not-noticed"),
)
