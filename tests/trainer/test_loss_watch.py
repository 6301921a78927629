"""Which losses have exploded: recorded ones, and those that normal trainings have."""

from __future__ import annotations

import math
import random

import pytest

from loss_series import RECORDED
from trainingrun_trainer.loss_watch import STEPS, LossWatch

EXPLODED = ("a rate a thousand times too high",)


def first_alarm(losses: list[float]) -> tuple[int, str] | None:
    """The first step, from 1, at which the watch says that the loss has exploded, and what it says."""
    watch = LossWatch()
    for step, loss in enumerate(losses, start=1):
        if wrong := watch.observe(loss):
            return step, wrong
    return None


def noisy(count: int, level: float, *, seed: int = 1) -> list[float]:
    """Losses that scatter around a level."""
    draw = random.Random(seed)  # noqa: S311 - not for security
    return [level * math.exp(draw.gauss(0, 0.5)) for _ in range(count)]


NORMAL: dict[str, list[float]] = {
    **{name: losses for name, losses in RECORDED.items() if name not in EXPLODED},
    "spikes of wrong boxes": [6000.0 if step % 7 == 3 else 1.5 for step in range(200)],
    "two high steps of three": [1.0, *([6000.0, 6000.0, 1.5] * 60)],
    "a warm-up that is too short, then recovery": [15.0, *(20000 * 0.95**step for step in range(150))],
    "a plateau four times as high": [2.0] * 50 + [8.0] * 200,
    "noise": noisy(500, 3.0),
    "learned, then a change of the rate": [12.0, *noisy(300, 0.4), *noisy(100, 20.0)],
    "high for almost as many steps": [2.0] * 50 + [500.0] * (STEPS - 1) + [2.0] * 20,
    "resumed": noisy(200, 0.4, seed=5),
    "the first batch has a wrong box": [6000.0, *noisy(100, 12.0)],
    "zero": [0.0] * 100,
    "resumed at an image without objects": [0.01, *noisy(60, 0.5)],
}


@pytest.mark.parametrize("losses", NORMAL.values(), ids=NORMAL)
def test_normal_losses_are_left_alone(losses: list[float]) -> None:
    assert first_alarm(losses) is None


BAD: dict[str, tuple[list[float], int]] = {
    **{name: (RECORDED[name], STEPS + 1) for name in EXPLODED},
    "grows without end": ([3.0] * 20 + [3.0 * 1.2**step for step in range(100)], 63),
    "stays high after a good time": (noisy(200, 1.5) + noisy(60, 4000.0, seed=2), 200 + STEPS),
    "resumed, then high": ([0.4, *noisy(20, 0.4), *noisy(60, 900.0, seed=3)], 21 + STEPS),
}


@pytest.mark.parametrize(("losses", "step"), BAD.values(), ids=BAD)
def test_a_loss_that_stays_high_has_exploded(losses: list[float], step: int) -> None:
    alarm = first_alarm(losses)
    assert alarm is not None
    assert alarm[0] == step


def test_the_message_has_what_was_seen() -> None:
    alarm = first_alarm([2.0, *([500.0, 1234.5] * 20)])
    assert alarm == (STEPS + 1, "The loss exploded: 2 before, it was 500 to 1234 in the 30 steps that ended")


def test_objects_after_images_without_any_make_no_checkpoint_suspect() -> None:
    """With one image in a batch; a checkpoint that is suspect is neither kept nor evaluated."""
    watch = LossWatch()
    for loss in [0.02, 0.02, 0.9] * 50:
        assert watch.observe(loss) is None
        assert not watch.is_high


def test_a_high_loss_makes_a_checkpoint_suspect_until_it_is_over() -> None:
    watch = LossWatch()
    seen = []
    for loss in (2.0, 2.0, 500.0, 2.0):
        watch.observe(loss)
        seen.append(watch.is_high)
    assert seen == [False, False, True, False]
