"""Names that are part of the API: group, labels, stages, phases, containers. Changing one breaks stored objects."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

GROUP: Final = "trainingrun.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "TrainingRun"
PLURAL: Final = "trainingruns"
CONTRACT_VERSION: Final = 1
SUPPORTED_CONTRACTS: Final = (CONTRACT_VERSION,)

LABEL_RUN: Final = f"{GROUP}/run"
LABEL_RUN_UID: Final = f"{GROUP}/run-uid"
LABEL_STAGE: Final = f"{GROUP}/stage"
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
ANNOTATION_POD_SETTINGS: Final = f"{GROUP}/pod-settings"  # of a Job: digest of the installer's settings for its pod
MANAGER: Final = "trainingrun-operator"
LEASE: Final = MANAGER  # in each namespace that an operator is installed for
CLUSTER_LEASE: Final = f"{MANAGER}-cluster"  # of operators for the whole cluster, in a namespace that they agree on

AGENT: Final = "agent"
AGENT_PORT: Final = 8080
TENSORBOARD_PORT: Final = 6006
GPU_RESOURCE: Final = "nvidia.com/gpu"
RESOLVED_KEY: Final = "resolved.json"


class Stage(StrEnum):
    """The three stages of a run, in their order."""

    PREP = "prep"
    TRAIN = "train"
    EXPORT = "export"


class Phase(StrEnum):
    """Values of `status.phase`, which is output only: no decision reads it."""

    PENDING = "Pending"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    TRAINING = "Training"
    EXPORTING = "Exporting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


STAGE_PHASE: Final = {Stage.PREP: Phase.PREPARING, Stage.TRAIN: Phase.TRAINING, Stage.EXPORT: Phase.EXPORTING}
# The container beside the agent that runs TensorFlow, by stage.
WORKER: Final = {Stage.TRAIN: "trainer", Stage.EXPORT: "exporter"}


def job_name(run: str, *, stage: Stage, attempt: int) -> str:
    """Name of an attempt's Job: deterministic, so that creating it twice makes one; at most 63 characters long."""
    return f"{run}-{stage}-{attempt}"


def resolved_name(run: str, *, uid: str) -> str:
    """Name of the ConfigMap that holds the resolved spec.

    It contains the UID, because a kubelet may serve a deleted immutable ConfigMap to pods of a new run of that name.
    """
    return f"{run}-resolved-{uid[:8]}"


def tensorboard_name(run: str) -> str:
    """Name of TensorBoard's Deployment and Service."""
    return f"{run}-tensorboard"


def run_prefix(namespace: str, *, name: str, uid: str, storage_prefix: str) -> str:
    """Key prefix of a run in its bucket, without trailing slash (images/contracts, storage layout)."""
    head = f"{storage_prefix}/" if storage_prefix else ""
    return f"{head}runs/{namespace}/{name}-{uid[:8]}"


def short_hash(text: str) -> str:
    """First eight hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
