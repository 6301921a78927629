"""What the scores of a run are worth, in words."""

from __future__ import annotations

from trainingrun.api.status import Dataset, Export
from trainingrun.domain.quantities import grouped


def exported(export: Export) -> str:
    """Which checkpoint was exported, its score, and why this one."""
    text = f"Exported checkpoint {export.get('checkpointStep')} with {score(export)}"
    return f"{text} ({export['checkpointReason']})" if "checkpointReason" in export else text


def score(export: Export) -> str:
    """The score of the exported detector, with its uncertainty where few images make it large."""
    text = f"AP@.5 {export.get('ap50')}"
    if "ap50Uncertainty" not in export:
        return text
    return f"{text} ± {export['ap50Uncertainty']} (95 % interval for {export.get('evalImages')} images)"


def seen_in_training(dataset: Dataset) -> str:
    """How many images for evaluation are training images, or look like one; empty if none."""
    of = f"of {grouped(dataset.get('evalImages', 0))}"
    same, like = dataset.get("evalImagesInTrain", 0), dataset.get("evalImagesLikeTrain", 0)
    found = [f"{grouped(same)} {of} evaluation images are training images"] if same else []
    found += [f"{grouped(like)} {of} evaluation images look like training images"] if like else []
    return ", ".join(found)
