"""The judge of the fleet schedules: a history that is as it must be has no violation, each broken one has its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from trainingrun.api.names import LABEL_ATTEMPT, LABEL_RUN_UID, LABEL_STAGE, Stage
from trchaosfleet.checks import check
from trchaosfleet.ledger import Ledger
from trchaosfleet.trace import Trace
from trchaosfleet.traffic import Traffic
from trchaosfleet.weather import Call

RUN, PLACE = "uid-of-r00", {"namespace": "vision"}


@dataclass
class History:
    """Writes a ledger as the watches and the kubelets do; each write has the next version."""

    ledger: Ledger
    version: int = 0
    spec: dict[str, Any] = field(default_factory=lambda: {"storage": {}, "retry": 0})
    status: dict[str, Any] = field(default_factory=lambda: {"attempts": [], "conditions": []})

    def meta(self, name: str, uid: str, **labels: str) -> dict[str, Any]:
        self.version += 1
        return {"name": name, "uid": uid, "resourceVersion": str(self.version), "labels": labels, **PLACE}

    def store(self, **conditions: str) -> None:
        """Store the status, with these conditions."""
        known = {c["type"]: c for c in self.status["conditions"]}
        known |= {kind: {"type": kind, "status": value, "reason": "Crash"} for kind, value in conditions.items()}
        self.status["conditions"] = list(known.values())
        entries = [dict(entry) for entry in self.status["attempts"]]
        status = {**self.status, "attempts": entries}
        self.ledger.see_run("MODIFIED", {"metadata": self.meta("r00", RUN), "spec": dict(self.spec), "status": status})

    def entry(self, stage: Stage) -> dict[str, Any]:
        found = [entry for entry in self.status["attempts"] if entry["stage"] == stage]
        if not found:
            found = [{"stage": stage.value, "number": 0, "ended": 0}]
            self.status["attempts"] += found
        entry: dict[str, Any] = found[0]
        return entry

    def job(self, stage: Stage, number: int, *, uid: str = "") -> str:
        labels = {LABEL_RUN_UID: RUN, LABEL_STAGE: stage.value, LABEL_ATTEMPT: str(number)}
        name = f"r00-{stage}-{number}"
        self.ledger.see_job("ADDED", {"metadata": self.meta(name, uid or name, **labels), "spec": {"template": {}}})
        return uid or name

    def pod(self, stage: Stage, number: int, outcome: str | None, *, job: str = "", deleted: str = "") -> None:
        """A pod of a Job that ends like this; None: it runs on."""
        labels = {LABEL_RUN_UID: RUN, LABEL_STAGE: stage.value, LABEL_ATTEMPT: str(number)}
        name = f"r00-{stage}-{number}-{self.version}"
        meta = self.meta(name, name, **labels) | {"ownerReferences": [{"uid": job or f"r00-{stage}-{number}"}]}
        meta |= {"deletionTimestamp": deleted} if deleted else {}
        life = self.ledger.see_pod("ADDED", {"metadata": meta, "spec": {}})
        assert life is not None
        self.ledger.start(life)
        if outcome is not None:
            self.ledger.end(life, outcome, disturbed=False)

    def attempt(self, stage: Stage, outcome: str) -> None:
        """An attempt from its Job to the status that counts its end."""
        entry = self.entry(stage)
        entry["number"] += 1
        self.job(stage, entry["number"])
        self.store()
        self.pod(stage, entry["number"], outcome)
        entry |= {"ended": entry["number"], "lastOutcome": outcome, "lastReason": outcome.capitalize()}
        if outcome != "succeeded":
            failures = entry.setdefault("failures", {})
            entry["failures"] = failures | {outcome: failures.get(outcome, 0) + 1}

    def succeed(self, *stages: Stage) -> None:
        for stage in stages or tuple(Stage):
            self.attempt(stage, "succeeded")
            self.store(**{{"prep": "Prepared", "train": "Trained", "export": "Exported"}[stage]: "True"})
        if not stages:
            self.store(Finished="True", Succeeded="True")

    def fail(self) -> None:
        for _ in range(4):
            self.attempt(Stage.PREP, "crash")
        self.store(Finished="True", Succeeded="False")


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    trace = Trace(tmp_path / "trace.log")
    yield History(Ledger(seed=1, lost_after=4.0, trace=trace))
    trace.close()


def judged(history: History, requests: int = 0) -> list[str]:
    check(history.ledger, {"vision/r00": requests})
    return history.ledger.violations


def retried(history: History) -> None:
    history.attempt(Stage.PREP, "crash")
    history.store()
    history.succeed()


def reopened(history: History) -> None:
    history.fail()
    history.spec["retry"] = 1
    history.store()
    del history.entry(Stage.PREP)["failures"]
    history.status["retry"] = 1
    history.store(Finished="False", Succeeded="Unknown")
    history.succeed()


@pytest.mark.parametrize("play", [History.succeed, History.fail, retried, reopened])
def test_a_history_as_it_must_be(history: History, play: Callable[[History], None]) -> None:
    play(history)
    assert judged(history, requests=100) == []


def runs_again(history: History) -> None:
    history.succeed(Stage.PREP)
    history.job(Stage.PREP, 2)
    history.succeed(Stage.TRAIN, Stage.EXPORT)
    history.store(Finished="True", Succeeded="True")


def goes_back(history: History) -> None:
    history.attempt(Stage.PREP, "crash")
    history.attempt(Stage.PREP, "crash")
    history.store()
    history.entry(Stage.PREP)["number"] = 1
    history.store()


def undone(history: History) -> None:
    history.succeed(Stage.PREP)
    history.store(Prepared="False")


def two_at_once(history: History) -> None:
    history.job(Stage.PREP, 1)
    history.pod(Stage.PREP, 1, None)
    history.job(Stage.PREP, 2)
    history.pod(Stage.PREP, 2, "succeeded")


def over_budget(history: History) -> None:
    for _ in range(5):
        history.attempt(Stage.PREP, "crash")
    history.store()


def goes_on_over_budget(history: History) -> None:
    for _ in range(4):
        history.attempt(Stage.PREP, "crash")
    history.succeed(Stage.PREP)


def fails_early(history: History) -> None:
    history.attempt(Stage.PREP, "crash")
    history.store(Finished="True", Succeeded="False")


def counts_twice(history: History) -> None:
    history.attempt(Stage.PREP, "stalled")
    history.entry(Stage.PREP)["failures"]["stalled"] = 2
    history.store()


def fails_otherwise(history: History) -> None:
    history.attempt(Stage.PREP, "crash")
    history.entry(Stage.PREP).update({"lastOutcome": "userError", "failures": {"userError": 1}})
    history.store(Finished="True", Succeeded="False")


def succeeds_without_export(history: History) -> None:
    history.succeed(Stage.PREP, Stage.TRAIN)
    history.store(Exported="True", Finished="True", Succeeded="True")


def revives(history: History) -> None:
    history.succeed()
    history.store(Finished="False", Succeeded="Unknown")


def starts_after_the_end(history: History) -> None:
    history.fail()
    history.job(Stage.PREP, 5)


def created_again(history: History) -> None:
    history.attempt(Stage.PREP, "crash")
    history.store()
    history.job(Stage.PREP, 1, uid="another")


def both_ends(history: History) -> None:
    history.succeed()
    history.store(Succeeded="Unknown")


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (runs_again, "Job r00-prep-2 was created although its stage was done"),
        (goes_back, "attempts of prep: number went from 2 to 1"),
        (undone, "condition Prepared was True and is not any more"),
        (two_at_once, "two live attempts"),
        (over_budget, "prep went on after its budget for crash: 5"),
        (goes_on_over_budget, "prep went on after its budget for crash: 4"),
        (fails_early, "has failed within its budget"),
        (counts_twice, "prep: 2 ends by stalled were counted, and there were 1"),
        (fails_otherwise, "has failed by userError in attempt 1 of prep, which ended by ['crash']"),
        (succeeds_without_export, "has succeeded, but no pod of export did"),
        (revives, "a run that has succeeded goes on"),
        (starts_after_the_end, "Job r00-prep-5 was created although the run had ended"),
        (created_again, "attempt 1 of prep was created again after the status had it"),
        (both_ends, "Finished and Succeeded do not agree"),
        (undone, "has not ended"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_history(history: History, play: Callable[[History], None], words: str) -> None:
    play(history)
    assert any(words in text for text in judged(history)), history.ledger.violations


def test_a_pod_that_is_lost_may_have_a_successor(history: History) -> None:
    history.job(Stage.PREP, 1)
    history.pod(Stage.PREP, 1, None, deleted="2026-01-01T00:00:00Z")
    history.job(Stage.PREP, 2)
    history.pod(Stage.PREP, 2, "succeeded")
    assert history.ledger.violations == []


def test_more_requests_than_attempts_need(history: History) -> None:
    history.succeed()
    assert "500 requests for 3 Jobs" in "".join(judged(history, requests=500))


JOBS, STATUS = "/apis/batch/v1/namespaces/vision/jobs", "/apis/x/v1/namespaces/vision/trainingruns/r00/status"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/vision/leases/trainingrun-operator"


def test_only_the_holder_of_the_lease_writes() -> None:
    broken: list[str] = []
    traffic = Traffic(["vision"], broken.append)
    traffic.answered(Call("one", "PATCH", LEASE), b'{"spec": {"holderIdentity": "system/one"}}', 200)
    traffic.sends(Call("one", "PATCH", STATUS), b"")
    traffic.answered(Call("two", "PATCH", LEASE), b'{"spec": {"holderIdentity": "system/two"}}', 409)
    traffic.sends(Call("one", "PATCH", STATUS), b"")
    assert broken == []
    traffic.answered(Call("two", "PATCH", LEASE), b'{"spec": {"holderIdentity": "system/two"}}', 200)
    traffic.sends(Call("one", "POST", JOBS), b'{"metadata": {"name": "r00-prep-1"}}')
    assert broken == ["one writes jobs/r00-prep-1 while two holds the Lease of vision"]


def test_a_storm_is_seen_as_it_happens() -> None:
    broken: list[str] = []
    traffic = Traffic(["vision"], broken.append)
    for _ in range(100):
        traffic.sends(Call("one", "PATCH", STATUS), b"")
    assert broken[0].startswith("storm: 60 requests for vision/r00")
    assert len(traffic.writes_since(0.0)) == 100
