"""Whether the document of a run that was accepted before digests were kept can be the one that the operator wrote.

It is judged once, then its digest is in the run's status. Its fields must be those of the spec, and its images and
endpoint must pass today's policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.domain import policy
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.resolve import Resolved, resolve

# Fields that the earliest documents lack. A field that is added to the document is added here too.
_ADDED: Final = {
    "dataset.split",
    "dataset.train.format",
    "dataset.eval.format",
    "dataset.train.labels",
    "dataset.eval.labels",
    "dataset.intensityRange",
    "model.config",
    "model.inputSize",
    "model.maxDetections",
    "model.overrides",
    "train.augmentation",
    "train.classWeights",
    "train.focalLoss",
    "train.learningRateOfConfig",
    "train.optimizer",
    "train.seed",
    "train.terminationGracePeriodSeconds",
    "train.metric",
    "train.maxDurationSeconds",
    "train.earlyStopping",
    "train.keepCheckpoints",
    "train.onDivergence",
    "train.onOutOfMemory",
    "train.retries",
    "export.checkpoint",
    "export.gate",
    "pods",
    "resumeFrom",
    "storage.encryption",
    "storage.webIdentity",
}
# Fields whose default an earlier version may have chosen differently.
_DEFAULTS: Final = {"train.batchSize", "train.learningRate", "train.saveEverySteps", "train.evalEverySteps"}


def why_not_ours(run: Run, document: Resolved, *, settings: Settings) -> str:
    """Return what in the document the operator would not have written, naming the field; empty if there is nothing."""
    asked = _asked(run.spec, "model.pretrained") or {}
    try:
        expected = resolve(_without_pretrained_run(run), settings=settings, find_run=lambda _: None)
    except NotAcceptedError as refusal:
        return refusal.message
    document, images = dict(document), document.get("images")
    expected.pop("images")
    document.pop("images", None)
    if "run" in asked:  # that run may be gone; whoever made this one may name any weights in the bucket
        expected["model"]["pretrained"] = _address(document)
    difference = _difference(document, expected, spec=run.spec)
    if difference == "storage.refusedNetworks":
        return f"{difference} differs from what policy.endpoints of the operator's Helm values gives."
    return f"{difference} differs from the spec." if difference else _wrong_image(images, run=run, settings=settings)


def _without_pretrained_run(run: Run) -> Run:
    model = dict(run.spec.get("model") or {})
    if "run" in (model.get("pretrained") or {}):
        del model["pretrained"]
    return replace(run, spec={**run.spec, "model": model})


def _address(document: Resolved) -> Mapping[str, str] | None:
    found = _asked(document, "model.pretrained")
    if (
        isinstance(found, dict)
        and found.keys() == {"bucket", "key"}
        and all(isinstance(v, str) for v in found.values())
    ):
        return found
    return None


def _difference(found: object, expected: object, *, spec: Mapping[str, Any], path: str = "") -> str:
    """Return the path of the first field that differs, empty if none does."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in (*expected, *found):
            inner = f"{path}.{name}" if path else str(name)
            if name not in found and inner in _ADDED:
                continue
            if name not in found or name not in expected:
                return inner
            if difference := _difference(found[name], expected[name], spec=spec, path=inner):
                return difference
        return ""
    if type(found) is type(expected) and (found == expected or (path in _DEFAULTS and _asked(spec, path) is None)):
        return ""
    return path


def _wrong_image(images: object, *, run: Run, settings: Settings) -> str:
    """Return which image is not the installed one; a release has other tags, not other repositories."""
    installed = {
        "agent": settings.agent_image,
        "tensorboard": settings.tensorboard_image,
        "trainer": settings.trainer_image,
    }
    if not isinstance(images, dict) or images.keys() != installed.keys():
        return "images differs from those of the operator."
    for name, image in images.items():
        chosen = _asked(run.spec, "train.image") if name == "trainer" else None
        if not isinstance(image, str) or (chosen and image != chosen):
            return f"images.{name} differs from the spec."
        allowed = name == "trainer" and (chosen or policy.allows_image(image, settings=settings))
        if not allowed and policy.repository(image) != policy.repository(installed[name]):
            return f"images.{name} is {image!r}, not an image of the installed {policy.repository(installed[name])}."
    return ""


def _asked(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
