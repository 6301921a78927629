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
# What every refusal repeats before it says who refuses, and why.
_PREAMBLE: Final = re.compile(r'^FailedCreate: (Error creating: )?([Pp]ods? "[^"]*" is (forbidden|invalid): )?')
_POLICY: Final = re.compile(r"(ValidatingAdmissionPolicy '[^']*') with binding '[^']*' denied request: ")


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


def shortened(warning: str) -> str:
    """Return the warning without what does not help: conditions have little room, and the hint needs some."""
    return _POLICY.sub(r"\1: ", _PREAMBLE.sub("", warning))


def _steps(missing: str, *, stage: Stage) -> str:
    """Say where each missing resource can be set: `limits.cpu for: agent,trainer` has one for each of two fields."""
    of_spec: list[str] = []
    of_helm: list[str] = []
    for part in missing.split("; "):
        resource, _, containers = part.partition(" for: ")
        for container in containers.strip().rstrip(".").split(","):
            if container == WORKER.get(stage, AGENT):
                of_spec.append(resource)
            elif container == AGENT:
                of_helm.append(resource)
    helm = f", or to set runs.agent.resources ({', '.join(of_helm)}) in the operator's Helm values" if of_helm else ""
    new_run = f"create a new TrainingRun with spec.{stage}.pod.resources ({', '.join(of_spec)})" if of_spec else ""
    return helm + (f", {'and' if helm else 'or'} {new_run}" if new_run else "")
