"""Prometheus metrics of the operator; the values of labels are few: no label holds a run's name."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from trainingrun import __version__

RECONCILES: Final = Counter("trainingrun_reconciles_total", "Reconciles by result.", ["result"])
RECONCILE_SECONDS: Final = Histogram("trainingrun_reconcile_seconds", "Duration of a reconcile.")
ATTEMPTS: Final = Counter("trainingrun_attempts_started_total", "Attempts (Jobs) created by stage.", ["stage"])
QUEUE_DEPTH: Final = Gauge("trainingrun_queue_depth", "Keys that wait for a reconcile.")
RUNS: Final = Gauge("trainingrun_runs", "TrainingRuns that this operator serves, by phase.", ["phase"])
NAMESPACES: Final = Gauge("trainingrun_namespaces", "Watched namespaces (1: the whole cluster) by state.", ["state"])
HEARTBEAT_AGE: Final = Gauge("trainingrun_heartbeat_age_seconds", "Seconds since the queue last served its heartbeat.")
BUILD_INFO: Final = Gauge("trainingrun_build_info", "Always 1; the label is the operator's version.", ["version"])
BUILD_INFO.labels(__version__).set(1)
