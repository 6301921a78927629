"""Reasons that the data gives: labels, classes and files that cannot be trained on."""

from __future__ import annotations

from typing import Any

from trainingrun_agent.reasons.entry import Outcome, Reason, Step
from trainingrun_agent.terms import Change, Field

_USER = Outcome.USER_ERROR
_FORMAT_EXAMPLE = {
    "format": Field("dataset.train.format"),
    "change_format": Change("dataset.train.format"),
    "change_labels": Change("dataset.train.labels.uri"),
    "uri": Field("dataset.train.uri"),
}
_CORRECT = "Correct the files that the report names, each finding says how; then {retry}."

CLASS_NOT_FOUND = Reason(
    "ClassNotFound",
    _USER,
    Step.NEW_RUN,
    message="{field[dataset.classes]}: no object of class {classes} in {field[dataset.train]}; class names there:"
    " {names}",
    hint="Class names are case-sensitive: {change[dataset.classes]}; or correct the labels and {retry}.",
    meaning="No label of the training images has the class, so the network would learn nothing about it.",
    fields=("dataset.classes",),
)
CLASSES_NOT_FOUND_ANYWHERE = CLASS_NOT_FOUND.case(
    hint="{change[dataset.classes]}, without these names; or label objects of these classes and {retry}.",
)
_OTHER_SPLIT = ("dataset.splitSeed", "dataset.splitGroup", "dataset.evalFraction")
OTHER_SEED: dict[str, Any] = {
    "hint": "{change[dataset.splitSeed]}: it puts every class into both splits. Another {field[dataset.evalFraction]}"
    " may do so, too.",
    "step": Step.NEW_RUN,
    "fields": _OTHER_SPLIT,
}
OTHER_GROUPS: dict[str, Any] = {
    "hint": "{change[dataset.splitGroup]}: no other {field[dataset.splitSeed]} divides a group. Or label images of"
    " another group, then {retry}.",
    "step": Step.NEW_RUN,
    "fields": ("dataset.splitGroup", "dataset.splitSeed", "dataset.evalFraction"),
}
"""The ways out of a division that leaves a class, or everything, on one side; they replace the hint of a reason."""
CLASS_NOT_IN_TRAIN = Reason(
    "ClassNotInTrain",
    _USER,
    Step.RETRY,
    message="{field[dataset.train]}: no object of class {classes}; all {count} are in {field[dataset.eval]}",
    hint="Put images with the class into {field[dataset.train]}, then {retry}.",
    meaning="All labels of a class are on images for evaluation, so the network would learn nothing about it.",
    fields=("dataset.train.uri",),
)
CLASS_DRAWN_FOR_EVAL = CLASS_NOT_IN_TRAIN.case(
    message="{field[dataset.evalFraction]} {fraction} leaves no object of class {classes} for train: all {count} are in"
    " eval (groups: {groups})",
    hint="Label more images with the class, then {retry}; or {change[dataset.evalFraction]}.",
    fields=("dataset.evalFraction", "dataset.splitSeed", "dataset.splitGroup"),
)
CLASS_LOST = Reason(
    "ClassLost",
    _USER,
    Step.RETRY,
    message="{source}: no object of class {name!r} is left, {count} of them in bad files or without a usable box",
    hint=_CORRECT,
    meaning="The labels have objects of the class, but none that can be used.",
    fields=("dataset.classes",),
)
TOO_MANY_BAD_FILES = Reason(
    "TooManyBadFiles",
    _USER,
    Step.RETRY,
    message="{bad} among {files} ({field[dataset.maxBadFiles]} {limit} allows {allowed})",
    hint="Correct the files that the report names, then {retry}; or {higher[dataset.maxBadFiles]}.",
    meaning="There are more bad files than the limit allows. So many defects usually have one cause, such as the wrong"
    " folder or format.",
    fields=("dataset.maxBadFiles",),
)
EMPTY_TRAIN_SET = Reason(
    "EmptyTrainSet",
    _USER,
    Step.RETRY,
    message="{source}: no image file in it",
    hint="Put images and their labels there, then {retry}. If the place is wrong, {change_uri}.",
    meaning="No image with a usable box is left to train on.",
    fields=("dataset.train.uri",),
    example={"source": Field("dataset.train"), "change_uri": Change("dataset.train.uri")},
)
EMPTY_EVAL_SET = Reason(
    "EmptyEvalSet",
    _USER,
    Step.RETRY,
    message=EMPTY_TRAIN_SET.message,
    hint=EMPTY_TRAIN_SET.hint,
    meaning="No image with a usable box is left to evaluate on.",
    fields=("dataset.eval.uri",),
    example={"source": Field("dataset.eval"), "change_uri": Change("dataset.eval.uri")},
)
NO_IMAGES = {"train": EMPTY_TRAIN_SET, "eval": EMPTY_EVAL_SET}
NO_READABLE_IMAGES = {
    split: reason.case(
        message="{source}: no image file in a format that is read",
        hint="Convert the images to JPEG or PNG and put them in the same places, then {retry}.",
    )
    for split, reason in NO_IMAGES.items()
}
NO_IMAGES_DRAWN = {
    split: reason.case(
        message="{field[dataset.evalFraction]} {fraction} of {images} leaves no image for {split}",
        hint="{change[dataset.evalFraction]} or {field[dataset.splitSeed]}.",
        step=Step.NEW_RUN,
        fields=("dataset.evalFraction", "dataset.splitSeed", "dataset.splitGroup"),
    )
    for split, reason in NO_IMAGES.items()
}
NO_IMAGES_FROM_ONE_GROUP = {
    split: reason.case(
        message="{field[dataset.evalFraction]} {fraction} of {images} leaves no image for {split}: all are in the group"
        " {group}",
        **OTHER_GROUPS,
    )
    for split, reason in NO_IMAGES.items()
}
NO_USABLE_IMAGES = {
    split: reason.case(message="{source}: none of its {images} can be used", hint=_CORRECT)
    for split, reason in NO_IMAGES.items()
}
NO_BOXES = {
    split: reason.case(
        message="{source}: no usable box in its {images}",
        hint="Draw boxes of the classes in {field[dataset.classes]}, or correct the files that the report names; then"
        " {retry}.",
    )
    for split, reason in NO_IMAGES.items()
}
NO_BOXES_DRAWN = {
    split: reason.case(
        message="{field[dataset.evalFraction]} {fraction} leaves no object for {split}: its {images} have no labels",
        hint="Label images of other groups, then {retry}; or {change[dataset.splitGroup]}.",
        step=Step.NEW_RUN,
        fields=("dataset.splitGroup", "dataset.splitSeed", "dataset.evalFraction"),
    )
    for split, reason in NO_IMAGES.items()
}
IMAGE_SET_NOT_FOUND = Reason(
    "ImageSetNotFound",
    _USER,
    Step.NEW_RUN,
    message="{image_set}: {place} does not exist; sets there: {known}",
    hint="{change_set}. The list has to lie in ImageSets/Main/ below {uri}.",
    meaning="The VOC tree has no list ImageSets/Main/<name>.txt of the name that was asked for.",
    fields=("dataset.train.imageSet", "dataset.eval.imageSet"),
    example={
        "image_set": Field("dataset.train.imageSet"),
        "change_set": Change("dataset.train.imageSet"),
        "uri": Field("dataset.train.uri"),
    },
)
FORMAT_NOT_RECOGNISED = Reason(
    "FormatNotRecognised",
    _USER,
    Step.RETRY,
    message="{format}: auto found no labels; images: {images}, files that might be labels: {files}{examples}",
    hint="Put the labels below {uri}, then {retry}; or {change_format}: one of {formats}.",
    meaning="The files beside the images are in no format that is known, or there are none.",
    fields=("dataset.train.format", "dataset.eval.format"),
    example=_FORMAT_EXAMPLE,
)
NO_LABEL_FILES = FORMAT_NOT_RECOGNISED.case(
    hint="Put the labels below {uri}, then {retry}. If they are in another place, {change_labels}.",
)
FORMAT_UNKNOWN = FORMAT_NOT_RECOGNISED.case(
    message="{format}: auto found no labels in a format that is read; images: {images}; other files: {seen}",
    hint="{way_out}; then {retry}. If it is one of the formats that are read, {change_format}.",
)
FORMAT_AMBIGUOUS = Reason(
    "FormatAmbiguous",
    _USER,
    Step.NEW_RUN,
    message="{format}: auto found labels in {count} formats that contradict each other: of {compared} images that both"
    " have, {differ} differ, such as {image}: {first}, but {second}",
    hint="{change_format}, or {other} if those labels are right; or delete the labels that are out of date and"
    " {retry}.",
    meaning="The images have labels in more than one format, and they say different things. Which one is right cannot"
    " be guessed.",
    fields=("dataset.train.format", "dataset.eval.format"),
    example=_FORMAT_EXAMPLE,
)
LABELS_OF_SEVERAL_FOLDERS = Reason(
    "LabelsOfSeveralFolders",
    _USER,
    Step.NEW_RUN,
    message="{uri}: no labels are among the images; those in {labels} have names that images there have, and images"
    " elsewhere: {other} may be meant as well",
    hint="If they are the labels of these images, {change_labels} that names their folder; else put the right ones"
    " below {uri} and {retry}.",
    meaning="Labels were found beside the folder with the images. A second folder there has images of the same names,"
    " and nothing says whose labels they are.",
    fields=(
        "dataset.train.labels.uri",
        "dataset.eval.labels.uri",
        "dataset.train.uri",
        "dataset.eval.uri",
    ),
    example={
        "uri": Field("dataset.train.uri"),
        "labels": "../labels/",
        "other": "../valid/1.jpg",
        "change_labels": Change("dataset.train.labels.uri"),
    },
)
LABELS_NOT_FOUND = Reason(
    "LabelsNotFound",
    _USER,
    Step.RETRY,
    message="{format}: {name}, but no file below {uri} begins as that format does; {suffixes} files there: {files}",
    hint="Put the label file below {uri}, then {retry}; or {change_format}.",
    meaning="No file has the label format that was asked for.",
    fields=("dataset.train.format", "dataset.eval.format"),
    example=_FORMAT_EXAMPLE,
)
CLASS_LIST_MISMATCH = Reason(
    "ClassListMismatch",
    _USER,
    Step.RETRY,
    message="the labels hold class ids; {first} and {second} list different class names, and neither is in a folder of"
    " the labels or above one",
    hint="Copy the list that the labels were made with into their folder, then {retry}.",
    meaning="Labels hold ids in place of class names, and it is unclear which list of names they were made with.",
)
TOO_MANY_CLASS_LISTS = CLASS_LIST_MISMATCH.case(
    message="the labels hold class ids, and there are more than {count} large lists of class names; the last is {file}",
    hint="Leave one list, in the folder of the labels or above it, then {retry}.",
)
DATA_CHANGED = Reason(
    "DataChanged",
    _USER,
    Step.RETRY,
    message="{files} changed while being read",
    hint="Wait until no more files change, then {retry}.",
    meaning="Files changed between being listed and being read, so the records would not be those of the listing.",
)

UNKNOWN_NETWORK = Reason(
    "UnknownNetwork",
    _USER,
    Step.NEW_RUN,
    message="{field[model.network]} {network!r} is not known",
    hint="{change[model.network]}: one of {known}.",
    meaning="The agent has no configuration for the network, for example because the operator is of a newer release.",
    fields=("model.network",),
)
LEARNING_RATE_UNUSABLE = Reason(
    "LearningRateUnusable",
    _USER,
    Step.NEW_RUN,
    message="{field[train.learningRate]} is {rate!r}, which is not a decimal number above 0 and at most 10",
    hint="{change[train.learningRate]}.",
    meaning="The learning rate cannot be used by any optimizer.",
    fields=("train.learningRate",),
)
CONFIG_REFUSED = Reason(
    "ConfigRefused",
    _USER,
    Step.PLATFORM,
    message="the Object Detection API refuses the pipeline.config: {problem}",
    hint="Give your platform team this message. With a trainer image of your own, it has to have the Object Detection"
    " API that the operator's image has: {change[train.image]}.",
    meaning="The trainer does not understand the configuration of the network, for example because a trainer image"
    " of your own has another Object Detection API.",
    fields=("train.image",),
)
