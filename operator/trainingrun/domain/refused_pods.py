"""What satisfies a rule of the cluster that refuses a pod: the field of the spec, or the installer's Helm value."""

from __future__ import annotations

import re
from typing import Final

from trainingrun.api import reasons
from trainingrun.api.names import AGENT, WORKER, Stage
from trainingrun.api.reason import Reason

# ResourceQuota: "failed quota: team: must specify limits.cpu for: agent,trainer; limits.memory for: trainer".
_MUST_SPECIFY: Final = re.compile(r"failed quota: [^:]+: must specify ([^:]+ for: [^;]+(?:; [^:]+ for: [^;]+)*)")
# LimitRange: a bound that the pod exceeds, or a default limit below what a container requests.
_LIMIT_RANGE: Final = re.compile(
    r"(maximum|minimum) \S+ usage per (Container|Pod)|limit to request ratio|"
    r"resources\.requests: Invalid value: \S+ must be less than or equal to"
)
_NO_CLASS: Final = re.compile(r"no PriorityClass with name \S+ was found")


def explain(warning: str, *, stage: Stage) -> tuple[Reason, str]:
    """Return the reason for a warning of the Job controller that creates no pod, and the steps for its hint."""
    if "exceeded quota" in warning:
        return reasons.QUOTA_EXCEEDED, ""
    if _LIMIT_RANGE.search(warning):
        return reasons.POD_BREAKS_LIMIT_RANGE, ""
    if _NO_CLASS.search(warning):
        return reasons.POD_NEEDS_PRIORITY_CLASS, ""
    missing = _MUST_SPECIFY.search(warning)
    if missing:
        return reasons.POD_NEEDS_RESOURCES, _steps(missing[1], stage=stage)
    return reasons.POD_REFUSED, ""


def _steps(missing: str, *, stage: Stage) -> str:
    """Say where each missing resource can be set: `limits.cpu for: agent,trainer` has one for each of two fields."""
    of_spec: list[str] = []
    of_helm: list[str] = []
    for part in missing.split("; "):
        resource, _, containers = part.partition(" for: ")
        for container in containers.strip().rstrip(".").split(","):
            if container == WORKER.get(stage, AGENT):
                of_spec.append(f"spec.{stage}.pod.resources.{resource}")
            elif container == AGENT:
                of_helm.append(f"runs.agent.resources.{resource}")
    steps = []
    if of_spec:
        steps.append(f"create a new TrainingRun with {' and '.join(of_spec)}")
    if of_helm:
        steps.append(f"ask your platform team to set {' and '.join(of_helm)} of the operator's Helm values")
    return " and ".join(steps) or "set it for the container, which something in the cluster added"
