"""Each row of docs/status.md: when a condition or field is set, what takes it back, and that a restart does nothing.

A row names moments of the life in trfakes/life.py: the first at which the value is there, and the one at which it is
gone, or is another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from trainingrun.api import conditions
from trfakes.life import Moment, record, values
from trfakes.schema import ROOT, crd_part, errors

pytestmark = pytest.mark.contract


@dataclass(frozen=True)
class Row:
    """When a value is set, and what follows: it is `gone`, or an `other` one, or `stays` as it is to the end."""

    set: str
    then: str
    at: str = "expired"


def gone(at_first: str, at: str) -> Row:
    return Row(at_first, "gone", at)


def other(at_first: str, at: str) -> Row:
    return Row(at_first, "other", at)


def stays(at_first: str) -> Row:
    return Row(at_first, "stays")


def replaced(at_first: str) -> Row:
    """A value that later attempts replace, perhaps by the same one."""
    return Row(at_first, "replaced")


CONDITIONS = {
    "Accepted": other("waiting", "lost"),
    "StorageReady": other("preparing", "no storage"),
    "Prepared": stays("training"),
    "Trained": stays("exporting"),
    "Exported": stays("succeeded"),
    "Qualified": other("waiting", "failed"),
    "Succeeded": other("failed", "retried"),
    "Finished": other("failed", "retried"),
}
RUN = {
    "observedGeneration": other("waiting", "suspending"),
    "phase": other("waiting", "training"),
    "message": other("waiting", "preparing"),
    "conditions": other("waiting", "preparing"),
    "conditions[].type": stays("training"),
    "conditions[].status": other("training", "exporting"),
    "conditions[].reason": other("training", "back-off"),
    "conditions[].message": other("training", "back-off"),
    "conditions[].lastTransitionTime": other("training", "exporting"),
    "conditions[].observedGeneration": other("training", "suspending"),
    "storageURI": stays("waiting"),
    "resolvedDigest": other("waiting", "accepted anew"),
    **{f"resumedFrom{name}": stays("training") for name in ("", ".uri", ".step", ".dataset")},
    "retry": other("accepted anew", "retried"),
    "finish": stays("finishing"),
    "activeSince": gone("waiting", "suspending"),
    "logsURI": stays("back-off"),
    "startedAt": stays("waiting"),
    "finishedAt": gone("failed", "retried"),
}
PROGRESS = {
    "progress": other("waiting", "preparing"),
    "progress.stage": gone("waiting", "suspended"),
    "progress.done": gone("preparing", "back-off"),
    "progress.total": gone("preparing", "back-off"),
    "progress.unit": gone("preparing", "back-off"),
    "progress.percent": gone("preparing", "back-off"),
    "progress.eta": gone("preparing", "training"),
    "progress.etaSeconds": gone("preparing", "training"),
    "progress.rate": gone("preparing", "training"),
    "progress.updated": other("preparing", "back-off"),
    "progress.source": gone("preparing", "back-off"),
    "progress.text": other("preparing", "training"),
}
_OF_PREP = (
    "digest",
    "reused",
    "trainImages",
    "evalImages",
    "trainObjects",
    "evalObjects",
    "evalImagesInTrain",
    "evalImagesLikeTrain",
    "errors",
    "warnings",
    "infos",
)
DATASET = {
    "dataset": other("preparing", "training"),
    "dataset.format": stays("preparing"),
    "dataset.images": gone("preparing", "training"),
    "dataset.savedImages": gone("preparing", "training"),
    **{f"dataset.{name}": stays("training") for name in (*_OF_PREP, "reportURI", "reportJSONURI", "topFindings")},
}
TRAINING = {
    "training": other("training", "back-off"),
    "training.step": other("training", "back-off"),
    "training.steps": stays("training"),
    "training.loss": other("training", "back-off"),
    "training.checkpointStep": other("training", "suspended"),
    "training.checkpointURI": gone("back-off", "resumed"),
    "training.mAP": other("training", "back-off"),
    "training.ap50": other("training", "back-off"),
    "training.configURI": stays("training"),
    "training.configChanges": stays("training"),
    "training.configChangesURI": stays("training"),
    **{f"training.best{name}": other("training", "exporting") for name in ("", ".step", ".mAP", ".ap50")},
    "training.stoppedBy": stays("exporting"),
    "training.keptCheckpoints": other("training", "exporting"),
    **{f"training.{name}": stays("finishing") for name in ("batchSize", "learningRate", "learningRateFactor")},
    "training.resumedFromStep": gone("resumed", "failed"),
    "training.stepsLost": stays("resumed"),
    **{f"training.restored{name}": stays("training") for name in ("", ".loaded", ".total", ".startsAnew")},
    "training.interruptions": stays("finishing"),
    **{f"training.gpuSeconds{name}": replaced("back-off") for name in ("", ".useful", ".lost", ".waiting")},
}
_OF_EXPORT = (
    *("uri", "frozenGraphURI", "savedModelURI", "checkpointStep", "checkpointReason", "evalImages"),
    *("mAP", "ap50", "mAPUncertainty", "ap50Uncertainty"),
)
EXPORT = {"export": stays("succeeded"), **{f"export.{name}": stays("succeeded") for name in _OF_EXPORT}}
ATTEMPTS = {
    "attempts": other("waiting", "preparing"),
    "attempts[].stage": stays("training"),
    "attempts[].number": other("training", "resumed"),
    "attempts[].ended": other("back-off", "suspending"),
    "attempts[].jobUID": gone("resumed", "suspended"),
    "attempts[].changes": other("finishing", "exporting"),
    "attempts[].changes.finish": stays("exporting"),
    **{f"attempts[].changes.{name}": stays("finishing") for name in ("batchSize", "learningRateFactor")},
    "attempts[].failures": gone("back-off", "retried"),
    "attempts[].checkpointStep": other("back-off", "failed"),
    "attempts[].lastOutcome": other("back-off", "failed"),
    "attempts[].lastReason": other("back-off", "failed"),
    "attempts[].lastMessage": other("back-off", "failed"),
    "attempts[].startedAt": other("training", "resumed"),
    "attempts[].ranAt": gone("training", "back-off"),
    "attempts[].nextRetryAt": gone("back-off", "resumed"),
    "attempts[].savedImages": gone("prepared again", "training"),
    "attempts[].history": other("back-off", "suspended"),
    **{f"attempts[].history[].{name}": other("back-off", "suspended") for name in ("number", "outcome", "reason")},
    **{f"attempts[].history[].{name}": replaced("back-off") for name in ("startedAt", "endedAt", "node", "exitCode")},
    "attempts[].history[].fromStep": other("back-off", "suspended"),
    "attempts[].history[].toStep": other("back-off", "suspended"),
    "attempts[].older": other("finishing", "exporting"),
}
TIMINGS = {
    "timings": other("prepared again", "back-off"),
    "timings[].stage": stays("back-off"),
    **{f"timings[].{name}Seconds": replaced("back-off") for name in ("waiting", "image", "total")},
    **{f"timings[].{name}Seconds": other("back-off", "exporting") for name in ("fetch", "work", "ship")},
    **{f"timings[].peakMemoryBytes{name}": replaced("back-off") for name in ("", ".agent", ".trainer")},
}
TENSORBOARD = {
    "tensorboard": other("training", "succeeded"),
    "tensorboard.serviceName": gone("training", "no room"),
    "tensorboard.url": gone("training", "no room"),
    "tensorboard.expiresAt": gone("succeeded", "no room"),
    "tensorboard.message": gone("no room", "expired"),
    "tensorboard.returnsAt": gone("no room", "expired"),
    "tensorboard.yields": gone("no room", "expired"),
}
ROWS = {**CONDITIONS, **RUN, **PROGRESS, **DATASET, **TRAINING, **EXPORT, **ATTEMPTS, **TIMINGS, **TENSORBOARD}
MOMENTS = (
    "waiting",
    "preparing",
    "prepared again",
    "training",
    "no storage",
    "back-off",
    "resumed",
    "suspending",
    "suspended",
    "lost",
    "accepted anew",
    "failed",
    "retried",
    "finishing",
    "exporting",
    "succeeded",
    "no room",
    "expired",
)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Moment]:
    return record(tmp_path_factory.mktemp("life"))


def test_the_life_has_these_moments(life: dict[str, Moment]) -> None:
    assert tuple(life) == MOMENTS


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_restart_writes_nothing(life: dict[str, Moment], moment: str) -> None:
    assert life[moment].restarted == life[moment].status
    assert life[moment].writes == 0


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_status_fits_the_definition_and_is_small(life: dict[str, Moment], moment: str) -> None:
    status = life[moment].status
    assert errors(crd_part("status"), status) == []
    assert len(str(status)) < 8192


@pytest.mark.parametrize("name", ROWS)
def test_it_is_set_and_taken_back_as_the_table_says(life: dict[str, Moment], name: str) -> None:
    row = ROWS[name]
    at_first, later = value(life, name, row.set), value(life, name, row.at)
    assert at_first is not None
    if row.set != MOMENTS[0]:
        assert value(life, name, MOMENTS[MOMENTS.index(row.set) - 1]) != at_first
    held = {"gone": later is None, "other": later is not None and later != at_first, "stays": later == at_first}
    assert held.get(row.then, later is not None), later


def value(life: Mapping[str, Moment], name: str, moment: str) -> Any:
    """What a row is about; of a condition its status and its reason."""
    if name in CONDITIONS:
        found = values(life[moment].status, "conditions[]", kind=name)
        return found and (found["status"], found["reason"])
    kind = {"conditions[]": "Trained", "attempts[].savedImages": "prep"}
    return values(life[moment].status, name, kind=kind.get(name, kind.get(name.split(".", maxsplit=1)[0], "train")))


def fields(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of all fields of the status, as the definition has them."""
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}{name}"
        yield here
        yield from fields(inner, f"{here}.")
        yield from fields(inner.get("items", {}), f"{here}[].")


def test_every_condition_and_every_field_has_a_row_here_and_in_the_page() -> None:
    page = (ROOT / "docs" / "status.md").read_text()
    documented = re.findall(r"^\| `([^`]+)` \|.*\| kept[^|]* \|$", page, re.MULTILINE)
    kinds = {conditions.ACCEPTED, conditions.STORAGE_READY, conditions.QUALIFIED}
    kinds |= {conditions.SUCCEEDED, conditions.FINISHED}
    wanted = kinds | set(conditions.STAGE_CONDITION.values()) | set(fields(crd_part("status").schema))
    assert sorted(documented) == sorted(wanted)
    assert set(ROWS) == wanted
