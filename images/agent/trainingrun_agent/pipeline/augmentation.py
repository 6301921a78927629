"""The preprocessing steps that change training images at random: those that a run may ask for, and how they are set.

Invariant: every step of `STEPS` trains with SSD and with Faster R-CNN as it is set here, without any option.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from trainingrun_agent.pipeline import fields, mirrored
from trainingrun_agent.training_settings import Augmentation

# Options that a step needs, or whose defaults in the API would spoil most data, as proto text.
STEPS: Final = {
    "random_horizontal_flip": "",
    "random_vertical_flip": "",
    "random_rotation90": "",
    "random_adjust_brightness": "max_delta: 0.2",
    "random_adjust_contrast": "min_delta: 0.8 max_delta: 1.25",
    "random_adjust_hue": "max_delta: 0.02",
    "random_adjust_saturation": "min_delta: 0.8 max_delta: 1.25",
    "random_distort_color": "color_ordering: 0",
    "random_pixel_value_scale": "minval: 0.9 maxval: 1.1",
    "random_rgb_to_gray": "probability: 0.1",
    "random_black_patches": "max_black_patches: 10 probability: 0.5 size_to_image_ratio: 0.1",
    "random_image_scale": "min_scale_ratio: 0.5 max_scale_ratio: 2.0",
    "random_jitter_boxes": "ratio: 0.05",
    "random_crop_image": "min_object_covered: 0.5 min_aspect_ratio: 0.75 max_aspect_ratio: 1.33 min_area: 0.3"
    " max_area: 1.0 overlap_thresh: 0.3 random_coef: 0.2",
    "random_crop_to_aspect_ratio": "aspect_ratio: 1.0 overlap_thresh: 0.3",
    "random_pad_image": "",
    "random_absolute_pad_image": "max_height_padding: 32 max_width_padding: 32",
    "random_crop_pad_image": "min_object_covered: 0.5 min_aspect_ratio: 0.75 max_aspect_ratio: 1.33 min_area: 0.3"
    " max_area: 1.0 overlap_thresh: 0.3 random_coef: 0.2 min_padded_size_ratio: [1.0, 1.0]"
    " max_padded_size_ratio: [2.0, 2.0]",
    "ssd_random_crop": "",
    "ssd_random_crop_pad": "",
    "ssd_random_crop_fixed_aspect_ratio": "",
    "ssd_random_crop_pad_fixed_aspect_ratio": "",
}
_MIRRORING: Final[dict[str, tuple[mirrored.Axis, ...]]] = {
    "random_horizontal_flip": ("horizontal",),
    "random_vertical_flip": ("vertical",),
    "random_rotation90": ("horizontal", "vertical"),
}
_ONEOF: Final = "preprocessing_step"


class StepError(ValueError):
    """A step cannot be used; the text says why, and what can."""


def set_steps(training: Any, steps: Sequence[Augmentation]) -> None:
    """Replace the augmentation of a `train_config` by these steps. Raises StepError."""
    del training.data_augmentation_options[:]
    for number, step in enumerate(steps):
        where = f"[{number}]"
        if step.name not in STEPS:
            raise StepError(f"{where}.name: {_unknown(training, step.name)}")
        element = training.data_augmentation_options.add()
        fields.set_text(element, step.name, STEPS[step.name])
        for option, text in step.options.items():
            try:
                fields.set_text(element, f"{step.name}.{option}", text)
            except fields.FieldError as error:
                raise StepError(f"{where}.options: {error}") from error


def leave_out_flips(training: Any, classes: Sequence[str]) -> list[str]:
    """Remove the steps that would give images of one class the look of another; says which, and why."""
    texts = []
    for index in reversed(range(len(training.data_augmentation_options))):
        step = training.data_augmentation_options[index].WhichOneof(_ONEOF)
        pair = _pair(step, classes)
        if pair:
            del training.data_augmentation_options[index]
            texts.append(f"{step} is left out, because it would turn images of {pair[0]} into images of {pair[1]}")
    return texts[::-1]


def flips(training: Any, classes: Sequence[str]) -> list[str]:
    """Says which steps give images of one class the look of another."""
    steps = [one.WhichOneof(_ONEOF) for one in training.data_augmentation_options]
    found = {step: pair for step in steps if (pair := _pair(step, classes))}
    return [
        f"{step} turns images of {first} into images of {second}, which keep their class"
        for step, (first, second) in found.items()
    ]


def _pair(step: str | None, classes: Sequence[str]) -> tuple[str, str] | None:
    for axis in _MIRRORING.get(step or "", ()):
        for pair in mirrored.pairs(classes, axis):
            return pair
    return None


def _unknown(training: Any, name: str) -> str:
    element = type(training.data_augmentation_options.add())
    del training.data_augmentation_options[-1]
    if name in element.DESCRIPTOR.fields_by_name:
        return f"{name} does not change images at random, or needs values of its own; set it with model.overrides"
    close = get_close_matches(name, STEPS, n=3, cutoff=0.5) or sorted(STEPS)
    return f"there is no step {name}; {'did you mean' if len(close) <= 3 else 'there are'} {', '.join(close)}?"
