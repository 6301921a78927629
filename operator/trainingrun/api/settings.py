"""Settings of the installation, read once from the environment; invariant: they never change in a process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from trainingrun.api import variables
from trainingrun.api.names import short_hash
from trainingrun.api.pod_keys import SAFE_TO_EVICT
from trainingrun.api.variables import Resources, SettingsError

__all__ = ["Policy", "RunPods", "Settings", "SettingsError", "StorageAccess", "TensorBoard"]

AGENT_RESOURCES: Final[Resources] = {"limits": {"memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}}
MIRROR_RESOURCES: Final[Resources] = {"limits": {"memory": "256Mi"}, "requests": {"cpu": "20m", "memory": "96Mi"}}
BOARD_RESOURCES: Final[Resources] = {"limits": {"memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "192Mi"}}
STS_AUDIENCE: Final = "sts.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a TrainingRun may use: patterns of which one must match.

    Those of `endpoints`, `sts_endpoints` and `proxies` match addresses, those of `weight_hosts` hosts of https
    addresses, those of `tolerations` keys of taints; those of `pod_labels` and `pod_annotations` match their keys.
    """

    images: tuple[str, ...] = ()
    secret_names: tuple[str, ...] = ("trainingrun-*",)
    service_accounts: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ("*",)
    sts_endpoints: tuple[str, ...] = ("https://sts.*.amazonaws.com",)
    proxies: tuple[str, ...] = ()
    weight_hosts: tuple[str, ...] = ()
    tolerations: tuple[str, ...] = ("*",)
    pod_labels: tuple[str, ...] = ("*",)
    pod_annotations: tuple[str, ...] = (
        SAFE_TO_EVICT,
        "karpenter.sh/do-not-disrupt",
        "sidecar.istio.io/inject",
        "linkerd.io/inject",
    )
    priority_classes: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Policy:
        """Read `TRAININGRUN_POLICY_*`."""
        default = cls()

        def patterns(name: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
            return variables.items(env, f"TRAININGRUN_POLICY_{name}", default=otherwise)

        return cls(
            images=patterns("IMAGES", default.images),
            secret_names=patterns("SECRET_NAMES", default.secret_names) or default.secret_names,
            service_accounts=patterns("SERVICE_ACCOUNTS", default.service_accounts),
            endpoints=patterns("ENDPOINTS", default.endpoints) or default.endpoints,
            sts_endpoints=patterns("STS_ENDPOINTS", default.sts_endpoints),
            proxies=patterns("PROXIES", default.proxies),
            weight_hosts=patterns("WEIGHT_HOSTS", default.weight_hosts),
            tolerations=patterns("TOLERATIONS", default.tolerations),
            pod_labels=patterns("POD_LABELS", default.pod_labels),
            pod_annotations=patterns("POD_ANNOTATIONS", default.pod_annotations),
            priority_classes=patterns("PRIORITY_CLASSES", default.priority_classes),
        )


@dataclass(frozen=True, slots=True)
class RunPods:
    """What the installer gives to all pods of runs; `keep_training`: autoscalers must not move a training pod."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    priority_class: str = ""
    keep_training: bool = False
    agent_resources: Resources = field(default_factory=lambda: AGENT_RESOURCES)

    @property
    def digest(self) -> str:
        """Short digest of these settings, by which a Job shows whether it was made with them."""
        return short_hash(json.dumps(asdict(self), sort_keys=True))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> RunPods:
        """Read the variables of the chart's value `runs`."""
        return cls(
            labels=variables.metadata(env, "TRAININGRUN_POD_LABELS", values_are_labels=True),
            annotations=variables.metadata(env, "TRAININGRUN_POD_ANNOTATIONS", values_are_labels=False),
            priority_class=env.get("TRAININGRUN_PRIORITY_CLASS", "").strip(),
            keep_training=variables.switch(env, "TRAININGRUN_DO_NOT_DISRUPT_TRAINING", default=False),
            agent_resources=variables.resources(env, "TRAININGRUN_AGENT_RESOURCES", default=AGENT_RESOURCES),
        )


@dataclass(frozen=True, slots=True)
class StorageAccess:
    """How the agents of all runs reach storage: through `proxy`, except hosts in `no_proxy`; empty: directly.

    `token_audience` is the audience of the tokens that agents exchange for temporary keys. No run chooses it: a token
    for the audience of the API server would let its holder act there as the ServiceAccount.
    """

    proxy: str = ""
    no_proxy: tuple[str, ...] = ()
    token_audience: str = STS_AUDIENCE

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> StorageAccess:
        """Read `TRAININGRUN_STORAGE_PROXY_URL`, `TRAININGRUN_STORAGE_NO_PROXY` and `TRAININGRUN_TOKEN_AUDIENCE`."""
        return cls(
            proxy=variables.proxy(env, "TRAININGRUN_STORAGE_PROXY_URL"),
            no_proxy=variables.items(env, "TRAININGRUN_STORAGE_NO_PROXY", default=()),
            token_audience=variables.audience(env, "TRAININGRUN_TOKEN_AUDIENCE", default=STS_AUDIENCE),
        )


@dataclass(frozen=True, slots=True)
class TensorBoard:
    """TensorBoards of all runs: whether there are any, and what a run gets that does not say otherwise."""

    enabled: bool = True
    ttl_seconds: int = 3600
    priority_class: str = ""
    resources: Resources = field(default_factory=lambda: BOARD_RESOURCES)
    mirror_resources: Resources = field(default_factory=lambda: MIRROR_RESOURCES)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> TensorBoard:
        """Read `TRAININGRUN_TENSORBOARD_*`."""
        prefix = "TRAININGRUN_TENSORBOARD"
        return cls(
            enabled=variables.switch(env, f"{prefix}_ENABLED", default=True),
            ttl_seconds=variables.number(env, f"{prefix}_TTL_SECONDS", default=3600),
            priority_class=env.get(f"{prefix}_PRIORITY_CLASS", "").strip(),
            resources=variables.resources(env, f"{prefix}_RESOURCES", default=BOARD_RESOURCES),
            mirror_resources=variables.resources(env, f"{prefix}_MIRROR_RESOURCES", default=MIRROR_RESOURCES),
        )


@dataclass(frozen=True)
class Settings:
    """Settings of one operator process."""

    agent_image: str
    trainer_image: str
    tensorboard_image: str
    namespaces: tuple[str, ...] = ()  # empty: the whole cluster
    lease_namespace: str = "kube-system"  # of the Lease of operators for the whole cluster
    pod_namespace: str = "trainingrun-system"
    pod_name: str = "trainingrun-operator"
    release: str = "trainingrun-operator"  # of Helm
    image_pull_secrets: tuple[str, ...] = ()
    image_pull_policy: str = "IfNotPresent"
    policy: Policy = Policy()
    run_pods: RunPods = field(default_factory=RunPods)
    storage_access: StorageAccess = StorageAccess()
    tensorboard: TensorBoard = field(default_factory=TensorBoard)
    failed_jobs_ttl_seconds: int = 86400
    read_nodes: bool = True  # to say how much room a pod lacks
    lost_pod_seconds: int = 120  # beyond the end of a pod's grace period
    log_level: str = "INFO"
    log_format: str = "plain"
    port: int = 8080

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read `TRAININGRUN_*`; raises SettingsError naming the variable at fault."""
        return cls(
            agent_image=variables.required(env, "TRAININGRUN_AGENT_IMAGE"),
            trainer_image=variables.required(env, "TRAININGRUN_TRAINER_IMAGE"),
            tensorboard_image=variables.required(env, "TRAININGRUN_TENSORBOARD_IMAGE"),
            namespaces=variables.items(env, "TRAININGRUN_WATCH_NAMESPACES", default=()),
            lease_namespace=env.get("TRAININGRUN_LEASE_NAMESPACE") or cls.lease_namespace,
            pod_namespace=env.get("TRAININGRUN_POD_NAMESPACE") or cls.pod_namespace,
            pod_name=env.get("TRAININGRUN_POD_NAME") or cls.pod_name,
            release=env.get("TRAININGRUN_RELEASE") or cls.release,
            image_pull_secrets=variables.items(env, "TRAININGRUN_IMAGE_PULL_SECRETS", default=()),
            image_pull_policy=env.get("TRAININGRUN_IMAGE_PULL_POLICY") or cls.image_pull_policy,
            policy=Policy.from_env(env),
            run_pods=RunPods.from_env(env),
            storage_access=StorageAccess.from_env(env),
            tensorboard=TensorBoard.from_env(env),
            failed_jobs_ttl_seconds=variables.number(env, "TRAININGRUN_FAILED_JOBS_TTL_SECONDS", default=86400),
            read_nodes=variables.switch(env, "TRAININGRUN_READ_NODES", default=True),
            lost_pod_seconds=variables.number(env, "TRAININGRUN_LOST_POD_SECONDS", default=120),
            log_level=env.get("TRAININGRUN_LOG_LEVEL") or cls.log_level,
            log_format=env.get("TRAININGRUN_LOG_FORMAT") or cls.log_format,
            port=variables.number(env, "TRAININGRUN_PORT", default=8080),
        )
