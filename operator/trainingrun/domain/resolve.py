"""Turn a spec into the resolved document that every attempt is built from (images/contracts/resolved.schema.json).

Invariant: the result depends on the arguments alone and is written once, so that an upgrade of the operator does not
change a run that it has accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.names import CONTRACT_VERSION, Stage
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.domain import configuration, decimals, policy, starting_point, storage_policy
from trainingrun.domain.networks import DEFAULT_NETWORK, DEFAULT_STEPS, NETWORKS, default_cadence, default_grace_seconds
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.starting_point import FindRun, Neighbours, address
from trainingrun.domain.training_options import export_options, train_options

Resolved = dict[str, Any]
_CHECKED_SINCE_PODS: Final = ("labels", "annotations", "priorityClassName")


def resolve(run: Run, *, settings: Settings, find_run: FindRun, neighbours: Neighbours = tuple) -> Resolved:
    """Build the resolved document; raises NotAcceptedError naming the field at fault."""
    spec = run.spec
    storage = spec["storage"]
    train, export = spec.get("train") or {}, spec.get("export") or {}
    refused_networks = policy.check(spec, settings=settings)
    network = (spec.get("model") or {}).get("network", DEFAULT_NETWORK)
    if network not in NETWORKS:
        what = f"spec.model.network: {network!r} is none of {', '.join(NETWORKS)}."
        raise NotAcceptedError(reasons.UNKNOWN_NETWORK, what)
    dataset = spec["dataset"]
    endpoint = storage.get("endpoint")
    pods = _pods(spec)
    resumed = starting_point.resume_from(run, find_run=find_run, neighbours=neighbours)
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
            **_access(storage),
        },
        "dataset": {
            "train": _source(dataset["train"], bucket=storage["bucket"]),
            "eval": _source(dataset["eval"], bucket=storage["bucket"]) if "eval" in dataset else None,
            "split": _split(dataset),
            "classes": list(dataset["classes"]),
            "maxBadFiles": str(dataset.get("maxBadFiles", "1%")),
            "maxImageSide": configuration.max_image_side(spec, network=network),
            "intensityRange": [int(value) for value in dataset.get("intensityRange", ())] or None,
        },
        "model": {
            "network": network,
            "pretrained": starting_point.pretrained(run, settings=settings, find_run=find_run, neighbours=neighbours),
            **configuration.of_model(spec, address=partial(address, bucket=storage["bucket"])),
        },
        "train": _train(spec, network=network),
        "export": {"evalImages": int(export.get("evalImages", 500)), **export_options(export)},
        "images": {
            "agent": settings.agent_image,
            "trainer": train.get("image") or settings.trainer_image,
            "tensorboard": settings.tensorboard_image,
        },
        **({"pods": pods} if pods else {}),
        **({"resumeFrom": resumed} if resumed else {}),
    }


def _access(storage: Mapping[str, Any]) -> dict[str, Any]:
    """Encryption and web identity, where the spec asks for them: documents of earlier versions have neither."""
    encryption, credentials = storage.get("encryption"), storage["credentials"]
    found: dict[str, Any] = {}
    if encryption:
        found["encryption"] = {"type": encryption["type"], "kmsKeyId": encryption.get("kmsKeyId")}
    if credentials.get("serviceAccountName"):
        sts = storage_policy.sts_endpoint(storage)
        found["webIdentity"] = {"roleARN": credentials.get("roleARN"), "stsEndpoint": sts}
    return found


def _train(spec: Mapping[str, Any], *, network: str) -> dict[str, Any]:
    train, defaults = spec.get("train") or {}, NETWORKS[network]
    steps = int(train.get("steps", DEFAULT_STEPS))
    cadence = default_cadence(steps)
    grace = default_grace_seconds(defaults, classes=len(spec["dataset"]["classes"]))
    return {
        "steps": steps,
        "batchSize": int(train.get("batchSize", defaults.batch_size)),
        "learningRate": decimals.plain(train["learningRate"])
        if "learningRate" in train
        else configuration.default_rate(network, train.get("optimizer")),
        "gpus": int(train.get("gpus", 1)),
        "saveEverySteps": int(train.get("saveEverySteps", cadence)),
        "evalEverySteps": int(train.get("evalEverySteps", cadence)),
        "stallSeconds": int(train.get("stallSeconds", 1800)),
        "terminationGracePeriodSeconds": int(train.get("terminationGracePeriodSeconds", grace)),
        **configuration.of_train(spec),
        **train_options(train),
    }


def _pods(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Pod settings that earlier operators did not know, and so did not check when they accepted a run."""
    asked = {str(stage): (spec.get(str(stage)) or {}).get("pod") or {} for stage in Stage}
    pods = {name: {key: pod[key] for key in _CHECKED_SINCE_PODS if key in pod} for name, pod in asked.items()}
    pods["tensorboard"] = dict((spec.get("tensorboard") or {}).get("pod") or {})
    return {name: pod for name, pod in pods.items() if pod}


def _source(source: Mapping[str, Any], *, bucket: str) -> dict[str, Any]:
    labels = source.get("labels")
    return {
        **address(source["uri"], bucket=bucket),
        "imageSet": source.get("imageSet"),
        "format": source.get("format", "auto"),
        # Left out where it is not asked for, so that a document of an earlier version is made again as it was.
        **({"labels": address(labels["uri"], bucket=bucket)} if labels else {}),
    }


def _split(dataset: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the images of train are divided; None when eval has its own. The CRD allows only one of the two."""
    if "evalFraction" not in dataset:
        return None
    return {
        "fraction": _fraction(dataset["evalFraction"]),
        "seed": int(dataset.get("splitSeed", 0)),
        "groupBy": str(dataset.get("splitGroup", "sequence")),
    }


def _fraction(value: float | str) -> str:
    """The contract's notation: four decimals are enough to tell images apart, and text has no more."""
    if not isinstance(value, str):
        value = decimals.plain(min(max(round(value, 4), 0.0001), 0.9999))
    return value if value.startswith("0") else f"0{value}"
