"""Prometheus metrics of the operator; the values of labels are few: no label holds a run's name.

Counters of attempts and runs never fall, also not when runs are deleted: ledger.py counts what statuses say.
"""

from __future__ import annotations

from typing import Final, Literal

from prometheus_client import Counter, Gauge, Histogram, Summary

from trainingrun import __version__

RECONCILES: Final = Counter("trainingrun_reconciles_total", "Reconciles by result.", ["result"])
RECONCILE_SECONDS: Final = Histogram("trainingrun_reconcile_seconds", "Duration of a reconcile.")
ATTEMPTS_STARTED: Final = Counter(
    "trainingrun_attempts_started_total", "Attempts (Jobs) that were created.", ["namespace", "stage"]
)
ATTEMPTS_ENDED: Final = Counter(
    "trainingrun_attempts_ended_total", "Attempts that ended.", ["namespace", "stage", "outcome", "reason"]
)
ATTEMPT_SECONDS: Final = Summary(
    "trainingrun_attempt_seconds", "Duration of attempts that ended.", ["namespace", "stage", "outcome"]
)
RUNS_FINISHED: Final = Counter(
    "trainingrun_runs_finished_total", "TrainingRuns that finished.", ["namespace", "outcome", "reason"]
)
RUN_SECONDS: Final = Summary("trainingrun_run_seconds", "Duration of runs that finished.", ["namespace", "outcome"])
GPU_SECONDS: Final = Counter("trainingrun_gpu_seconds_total", "GPU-seconds of ended attempts.", ["namespace", "kind"])
STEPS_LOST: Final = Counter("trainingrun_steps_lost_total", "Training steps that had to be repeated.", ["namespace"])
GPU_KINDS: Final[tuple[Literal["useful", "lost", "waiting"], ...]] = ("useful", "lost", "waiting")
QUEUE_DEPTH: Final = Gauge("trainingrun_queue_depth", "Keys that wait for a reconcile.")
RUNS: Final = Gauge("trainingrun_runs", "TrainingRuns that this operator serves, by phase.", ["phase"])
NAMESPACES: Final = Gauge("trainingrun_namespaces", "Watched namespaces (1: the whole cluster) by state.", ["state"])
HEARTBEAT_AGE: Final = Gauge("trainingrun_heartbeat_age_seconds", "Seconds since the queue last served its heartbeat.")
BUILD_INFO: Final = Gauge("trainingrun_build_info", "Always 1; the label is the operator's version.", ["version"])
BUILD_INFO.labels(__version__).set(1)


def begin_namespace(namespace: str) -> None:
    """Show zeros for a namespace that has runs: `increase()` of a series that begins with one would miss the first."""
    for outcome in ("succeeded", "failed"):
        RUN_SECONDS.labels(namespace, outcome)
    for kind in GPU_KINDS:
        GPU_SECONDS.labels(namespace, kind)
    STEPS_LOST.labels(namespace)
