"""The runs that the faults hit: TensorFlow, as users run it, or the stand-in for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trchaosnode.kinds import Stage
from trchaosnode.plan import PER_RUN, PlannedRun
from trchaosnode.suffering_run import SAVE_EVERY, STEPS
from trdemo.bucket import Bucket
from trdemo.installation import Object, stand_in_run, tensorflow_run

PREPARED: Final = 1500
"""Images of a run that is hit in prep, so that there is something to hit."""
TRAIN: Final = {"retries": {"crash": PER_RUN}}
"""Every fault of a run may be a crash; a run that nobody looks at has three retries."""


def with_tensorflow(bucket: Bucket) -> Callable[[PlannedRun], Object]:
    """A function that makes a run which trains in TensorFlow."""

    def make(planned: PlannedRun) -> Object:
        changes = _data(bucket, planned)
        return tensorflow_run(planned.name, steps=STEPS, save_every=SAVE_EVERY, train=TRAIN, **changes)

    return make


def with_stand_in(bucket: Bucket, image: str) -> Callable[[PlannedRun], Object]:
    """A function that makes a run whose trainer is the stand-in in `image`."""
    return lambda planned: stand_in_run(planned.name, image=image, steps=STEPS, train=TRAIN, **_data(bucket, planned))


def _data(bucket: Bucket, planned: PlannedRun) -> dict[str, Any]:
    """A data set of its own for a run that is hit in prep: one that is prepared already would be reused."""
    if all(fault.stage is not Stage.PREP for fault in planned.faults):
        return {}
    bucket.put_tires(f"{planned.name}/", train=PREPARED)
    return {"dataset": {"train": {"uri": f"{planned.name}/images/train/"}}}
