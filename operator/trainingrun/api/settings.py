"""Settings of the installation, read once from the environment; invariant: they never change in a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(ValueError):
    """A setting is missing or unreadable; the message names the environment variable."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a TrainingRun may use: patterns of which one must match; those of `tolerations` match keys of taints."""

    images: tuple[str, ...] = ()
    secret_names: tuple[str, ...] = ("trainingrun-*",)
    endpoints: tuple[str, ...] = ("*",)
    tolerations: tuple[str, ...] = ("*",)


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
    failed_jobs_ttl_seconds: int = 86400
    lost_pod_seconds: int = 120  # beyond the end of a pod's grace period
    log_level: str = "INFO"
    log_format: str = "plain"
    port: int = 8080

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read `TRAININGRUN_*`; raises SettingsError naming the variable at fault."""
        return cls(
            agent_image=_required(env, "TRAININGRUN_AGENT_IMAGE"),
            trainer_image=_required(env, "TRAININGRUN_TRAINER_IMAGE"),
            tensorboard_image=_required(env, "TRAININGRUN_TENSORBOARD_IMAGE"),
            namespaces=_items(env, "TRAININGRUN_WATCH_NAMESPACES"),
            lease_namespace=env.get("TRAININGRUN_LEASE_NAMESPACE") or cls.lease_namespace,
            pod_namespace=env.get("TRAININGRUN_POD_NAMESPACE") or cls.pod_namespace,
            pod_name=env.get("TRAININGRUN_POD_NAME") or cls.pod_name,
            release=env.get("TRAININGRUN_RELEASE") or cls.release,
            image_pull_secrets=_items(env, "TRAININGRUN_IMAGE_PULL_SECRETS"),
            image_pull_policy=env.get("TRAININGRUN_IMAGE_PULL_POLICY") or cls.image_pull_policy,
            policy=Policy(
                images=_items(env, "TRAININGRUN_POLICY_IMAGES"),
                secret_names=_items(env, "TRAININGRUN_POLICY_SECRET_NAMES") or Policy().secret_names,
                endpoints=_items(env, "TRAININGRUN_POLICY_ENDPOINTS") or Policy().endpoints,
                tolerations=_items({"TRAININGRUN_POLICY_TOLERATIONS": "*", **env}, "TRAININGRUN_POLICY_TOLERATIONS"),
            ),
            failed_jobs_ttl_seconds=_number(env, "TRAININGRUN_FAILED_JOBS_TTL_SECONDS", default=86400),
            lost_pod_seconds=_number(env, "TRAININGRUN_LOST_POD_SECONDS", default=120),
            log_level=env.get("TRAININGRUN_LOG_LEVEL") or cls.log_level,
            log_format=env.get("TRAININGRUN_LOG_FORMAT") or cls.log_format,
            port=_number(env, "TRAININGRUN_PORT", default=8080),
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set; the Helm chart sets it from values.images.")
    return value


def _items(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in env.get(name, "").split(",") if item.strip())


def _number(env: Mapping[str, str], name: str, *, default: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number.") from None
