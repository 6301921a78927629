"""Turn a spec into the resolved document that every attempt is built from (images/contracts/resolved.schema.json).

Invariant: the result depends on the arguments alone and is written once, so that an upgrade of the operator does not
change a run that it has accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.conditions import SUCCEEDED, is_true
from trainingrun.api.names import CONTRACT_VERSION, Stage
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.domain import policy
from trainingrun.domain.networks import NETWORKS, default_cadence
from trainingrun.domain.refusal import NotAcceptedError

Resolved = dict[str, Any]
FindRun = Callable[[str], Run | None]
_CHECKED_SINCE_PODS: Final = ("labels", "annotations", "priorityClassName")


def resolve(run: Run, *, settings: Settings, find_run: FindRun) -> Resolved:
    """Build the resolved document; raises NotAcceptedError naming the field at fault."""
    spec = run.spec
    storage = spec["storage"]
    train = spec.get("train") or {}
    refused_networks = policy.check(spec, settings=settings)
    network = (spec.get("model") or {}).get("network", "ssd_inception_v2")
    defaults = NETWORKS.get(network)
    if defaults is None:
        what = f"spec.model.network: {network!r} is none of {', '.join(NETWORKS)}."
        raise NotAcceptedError(reasons.UNKNOWN_NETWORK, what)
    steps = int(train.get("steps", 20000))
    cadence = default_cadence(steps)
    dataset = spec["dataset"]
    endpoint = storage.get("endpoint")
    pods = _pods(spec)
    return {
        "contractVersion": CONTRACT_VERSION,
        "run": {"namespace": run.namespace, "name": run.name, "uid": run.uid},
        "storage": {
            "endpoint": endpoint,
            "region": storage.get("region", "us-east-1"),
            "bucket": storage["bucket"],
            "prefix": storage.get("prefix", ""),
            "addressing": storage.get("addressing") or ("path" if endpoint else "virtual"),
            "caBundle": "caBundle" in storage,
            "outageToleranceSeconds": int(storage.get("outageToleranceSeconds", 3600)),
            "refusedNetworks": list(refused_networks),
        },
        "dataset": {
            "train": _source(dataset["train"], bucket=storage["bucket"]),
            "eval": _source(dataset["eval"], bucket=storage["bucket"]) if "eval" in dataset else None,
            "split": _split(dataset),
            "classes": list(dataset["classes"]),
            "maxBadFiles": str(dataset.get("maxBadFiles", "1%")),
            "maxImageSide": int(dataset.get("maxImageSide", 1024)),
        },
        "model": {"network": network, "pretrained": _pretrained(run, find_run=find_run)},
        "train": {
            "steps": steps,
            "batchSize": int(train.get("batchSize", defaults.batch_size)),
            "learningRate": str(train.get("learningRate", defaults.learning_rate)),
            "gpus": int(train.get("gpus", 1)),
            "saveEverySteps": int(train.get("saveEverySteps", cadence)),
            "evalEverySteps": int(train.get("evalEverySteps", cadence)),
            "stallSeconds": int(train.get("stallSeconds", 1800)),
        },
        "export": {"evalImages": int((spec.get("export") or {}).get("evalImages", 500))},
        "images": {
            "agent": settings.agent_image,
            "trainer": train.get("image") or settings.trainer_image,
            "tensorboard": settings.tensorboard_image,
        },
        **({"pods": pods} if pods else {}),
    }


def split_uri(uri: str, *, bucket: str) -> tuple[str, str]:
    """Split `s3://bucket/key` or a bare key of the run's own bucket into bucket and key."""
    if uri.startswith("s3://"):
        named, _, key = uri.removeprefix("s3://").partition("/")
        return named, key
    return bucket, uri


def _pods(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Pod settings that earlier operators did not know, and so did not check when they accepted a run."""
    asked = {str(stage): (spec.get(str(stage)) or {}).get("pod") or {} for stage in Stage}
    pods = {name: {key: pod[key] for key in _CHECKED_SINCE_PODS if key in pod} for name, pod in asked.items()}
    pods["tensorboard"] = dict((spec.get("tensorboard") or {}).get("pod") or {})
    return {name: pod for name, pod in pods.items() if pod}


def _source(source: Mapping[str, Any], *, bucket: str) -> dict[str, Any]:
    named, key = split_uri(source["uri"], bucket=bucket)
    return {
        "bucket": named,
        "key": key,
        "imageSet": source.get("imageSet"),
        "format": source.get("format", "auto"),
    }


def _split(dataset: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the images of train are divided; None when eval has its own. The CRD allows only one of the two."""
    if "evalFraction" not in dataset:
        return None
    return {
        "fraction": str(dataset["evalFraction"]),
        "seed": int(dataset.get("splitSeed", 0)),
        "groupBy": str(dataset.get("splitGroup", "sequence")),
    }


def _pretrained(run: Run, *, find_run: FindRun) -> dict[str, str] | None:
    asked = (run.spec.get("model") or {}).get("pretrained")
    bucket = run.spec["storage"]["bucket"]
    if not asked:
        return None
    if "uri" in asked:
        named, key = split_uri(asked["uri"], bucket=bucket)
        return {"bucket": named, "key": key}
    name = asked["run"]
    other = find_run(f"{run.namespace}/{name}")
    if other is None:
        raise NotAcceptedError(
            reasons.PRETRAINED_RUN_NOT_FOUND,
            f"spec.model.pretrained.run: there is no TrainingRun {name!r} in namespace {run.namespace}; "
            "waiting for it.",
        )
    uri = (other.status.get("export") or {}).get("uri", "")
    if not uri or not is_true(other.status.get("conditions") or (), SUCCEEDED):
        raise NotAcceptedError(
            reasons.PRETRAINED_RUN_NOT_READY,
            f"spec.model.pretrained.run: TrainingRun {name!r} has no export yet "
            f"(phase {other.status.get('phase', 'Pending')}); waiting for it.",
        )
    named, key = split_uri(uri, bucket=bucket)
    return {"bucket": named, "key": key}
