"""Whether an object under a name that the operator uses is the one it would have created, whoever created it.

Labels and owner references prove nothing, because anyone who may create the object writes them. What its pods would run
and reach has to be the same, but for defaults of the API server and for what another version of the operator leaves
out. Not compared is what only decides where and with how much a pod runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api.names import GROUP, LABEL_COMPONENT, LABEL_MANAGED_BY, TENSORBOARD_PORT

# Defaults of the API server for fields that the operator does not set.
_DEFAULTS: Final[Mapping[str, object]] = {
    "apiVersion": "v1",  # of a fieldRef
    "dnsPolicy": "ClusterFirst",
    "protocol": "TCP",
    "scheme": "HTTP",
    "schedulerName": "default-scheduler",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
# What only earlier versions of the operator set: the probe of TensorBoard until 0.1.
_OF_EARLIER_VERSIONS: Final[Mapping[str, object]] = {
    "readinessProbe": {
        "httpGet": {"path": "/", "port": TENSORBOARD_PORT, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 3,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
}
_OF_A_POD: Final = {
    "affinity",
    "imagePullSecrets",
    "nodeSelector",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
}
_OF_A_CONTAINER: Final = {"imagePullPolicy", "resources"}
_OF_A_PROBE: Final = {
    "failureThreshold",
    "initialDelaySeconds",
    "periodSeconds",
    "successThreshold",
    "terminationGracePeriodSeconds",
    "timeoutSeconds",
}
_OF_A_VOLUME: Final = {"sizeLimit", "defaultMode"}
_NOT_COMPARED: Final = _OF_A_POD | _OF_A_CONTAINER | _OF_A_PROBE | _OF_A_VOLUME
_ENVIRONMENT: Final = "env"  # earlier versions set fewer variables
_VALUES_NOT_COMPARED: Final = {"TERMINATION_GRACE_SECONDS"}
_OWN_LABELS: Final = (f"{GROUP}/", LABEL_COMPONENT, LABEL_MANAGED_BY)  # others are the installer's, and change
_KEYS: Final = ("mountPath", "name", "containerPort")  # what tells the entries of a list apart


def unlike(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return the path of the first field of `found` that does not fit the object `wanted`; empty if all do."""
    if wanted["kind"] == "Service":
        return _difference(found.get("spec", {}).get("selector"), wanted["spec"]["selector"], "spec.selector")
    return unlike_spec(found.get("spec", {}), wanted["spec"])


def unlike_spec(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Compare the spec of a Job or Deployment in the same way."""
    for name in ("backoffLimit", "completions", "parallelism", "replicas"):
        if found.get(name) != wanted.get(name):
            return f"spec.{name}"
    template, ours = found.get("template") or {}, wanted["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    for name, value in ours["metadata"]["labels"].items():
        if name.startswith(_OWN_LABELS) and labels.get(name) != value:
            return f"spec.template.metadata.labels[{name}]"
    return _difference(_without_alias(template.get("spec")), ours["spec"], "spec.template.spec")


def _without_alias(spec: object) -> object:
    """Leave out `serviceAccount`, by which the API server repeats `serviceAccountName`."""
    if isinstance(spec, dict) and "serviceAccount" in spec and spec["serviceAccount"] == spec.get("serviceAccountName"):
        return {name: value for name, value in spec.items() if name != "serviceAccount"}
    return spec


def _difference(found: object, wanted: object, path: str) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return _difference_of_objects(found, wanted, path)
    if isinstance(found, list) and isinstance(wanted, list):
        return _difference_of_lists(found, wanted, path)
    return "" if found == wanted else path


def _difference_of_objects(found: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> str:
    for name in (*found, *(name for name in wanted if name not in found)):
        inner = f"{path}.{name}"
        if name in _NOT_COMPARED or (name == "value" and found.get("name") in _VALUES_NOT_COMPARED):
            continue
        if name not in wanted:
            if found[name] and found[name] not in (_DEFAULTS.get(name), _OF_EARLIER_VERSIONS.get(name)):
                return inner
            continue
        if name not in found:
            if wanted[name] not in ([], {}, "", None) and name != _ENVIRONMENT:
                return inner
        elif difference := _difference(found[name], wanted[name], inner):
            return difference
    return ""


def _difference_of_lists(found: list[Any], wanted: list[Any], path: str) -> str:
    """Compare entries by their names, where they have some; an entry too many or too few is a difference."""
    key = next((key for key in _KEYS if all(isinstance(e, dict) and key in e for e in (*found, *wanted))), None)
    if key is None:
        return "" if found == wanted else path
    ours, theirs = ({entry[key]: entry for entry in entries} for entries in (wanted, found))
    extra = [name for name in theirs if name not in ours]
    missing = [name for name in ours if name not in theirs and not path.endswith(f".{_ENVIRONMENT}")]
    if extra or missing or len(theirs) != len(found):
        return f"{path}[{(extra or missing or list(theirs))[0]}]"
    for name, entry in theirs.items():
        if difference := _difference(entry, ours[name], f"{path}[{name}]"):
            return difference
    return ""
