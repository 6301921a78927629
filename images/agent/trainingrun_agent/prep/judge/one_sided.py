"""Classes, and images, that are all in one split.

Invariant: a class that is labelled is never reported as missing; the text says in which split it is, in which groups,
and what puts it into both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.judge.words import counted, first_of
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.codes.whole import CLASS_WITHOUT_EVAL
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.split.dataset_split import DatasetSplit
from trainingrun_agent.prep.split.division import Division, shown
from trainingrun_agent.prep.split.eval_fraction import group_key
from trainingrun_agent.prep.statistics.totals import Totals
from trainingrun_agent.reasons.dataset import (
    CLASS_DRAWN_FOR_EVAL,
    CLASS_NOT_IN_TRAIN,
    NO_BOXES_DRAWN,
    NO_IMAGES_DRAWN,
    NO_IMAGES_FROM_ONE_GROUP,
    OTHER_GROUPS,
    OTHER_SEED,
)
from trainingrun_agent.terms import Change


def not_in_train(
    train: Totals, evaluation: Totals, classes: Sequence[str], division: Division | None
) -> UserError | None:
    """The reason for classes that are labelled in the eval split only."""
    missing = [name for name in classes if evaluation.seen[name] and not train.seen[name]]
    if not missing:
        return None
    values: dict[str, Any] = {
        "classes": first_of([repr(name) for name in missing]),
        "count": sum(evaluation.seen[name] for name in missing),
    }
    if division is None:
        return UserError(CLASS_NOT_IN_TRAIN, **values)
    groups = sorted({group for name in missing for group in division.groups.get(name, ())})
    values |= {"fraction": division.rule.fraction, "groups": first_of([shown(group) for group in groups])}
    if division.better_seed is not None:
        return UserError(CLASS_DRAWN_FOR_EVAL.case(**OTHER_SEED), **values, change=_seed(division))
    if division.rule.group_by != "image" and any(len(division.groups.get(name, ())) == 1 for name in missing):
        change = Change("dataset.splitGroup", now=division.rule.group_by, to="image")
        return UserError(CLASS_DRAWN_FOR_EVAL.case(**OTHER_GROUPS), **values, change=change)
    return UserError(CLASS_DRAWN_FOR_EVAL, **values)


def not_drawn(split: DatasetSplit, division: Division) -> UserError:
    """The reason for a split that got none of the images."""
    rule, pairing = division.rule, split.source.labels.pairing
    values = {"fraction": rule.fraction, "split": split.name, "images": counted(pairing.images, "image")}
    images = chain((pair.image for pair in pairing.pairs), pairing.unpaired)
    groups = {group_key(image.path, rule.group_by) for image in images}
    if division.better_seed is not None:
        return UserError(NO_IMAGES_DRAWN[split.name].case(**OTHER_SEED), **values, change=_seed(division))
    if len(groups) == 1 and rule.group_by != "image":
        change = Change("dataset.splitGroup", now=rule.group_by, to="image")
        group = shown(next(iter(groups)))
        return UserError(NO_IMAGES_FROM_ONE_GROUP[split.name], **values, group=group, change=change)
    return UserError(NO_IMAGES_DRAWN[split.name], **values)


def no_boxes_drawn(split: DatasetSplit, division: Division) -> UserError:
    """The reason for a split whose images are all without objects."""
    values: dict[str, Any] = {
        "fraction": division.rule.fraction,
        "split": split.name,
        "images": counted(split.totals.images, "image"),
    }
    if division.better_seed is None:
        return UserError(NO_BOXES_DRAWN[split.name], **values)
    return UserError(NO_BOXES_DRAWN[split.name].case(**OTHER_SEED), **values, change=_seed(division))


def unseen_classes(
    train: Totals, evaluation: Totals, classes: Sequence[str], division: Division | None
) -> list[Finding]:
    """A warning for each class without a box in the eval split, if there are boxes at all."""
    if not evaluation.objects:
        return []
    unseen = [name for name in classes if not evaluation.per_class[name]]
    return [
        Finding(CLASS_WITHOUT_EVAL, "", _where(name, train.per_class[name], division), split="eval") for name in unseen
    ]


def _where(name: str, count: int, division: Division | None) -> Fields:
    groups = () if division is None else division.groups.get(name, ())
    if division is None or not groups:
        return {"case": "nowhere", "name": name}
    known: Fields = {"name": name, "count": count, "groups": len(groups), "group": shown(groups[0])}
    if division.better_seed is None:
        return {"case": "drawn", **known}
    return {"case": "seed", **known, "seed": division.better_seed}


def _seed(division: Division) -> Change:
    return Change("dataset.splitSeed", now=division.rule.seed, to=division.better_seed)
