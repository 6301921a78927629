"""Values that pods report, made fit for the status: a value that the CRD would refuse is left out, never an error.

The agents are ours, but they pass on values from a trainer image of the user's choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from trainingrun.api import clock
from trainingrun.api.reason import Step
from trainingrun.api.status import Best, Dataset, Export, PeakMemoryBytes, Restored, ResumedFrom, StageTimings, Training
from trainingrun.domain.quantities import size
from trainingrun.domain.texts import cut

MAX_COUNT: Final = 2**53
MAX_URI: Final = 1024
MAX_LABEL: Final = 40
MAX_FINDINGS: Final = 5
MAX_FINDING: Final = 130
MAX_STARTS_ANEW: Final = 250
MAX_CHECKPOINTS: Final = 12
MAX_CHECKPOINT_REASON: Final = 160
MAX_MISSED: Final = 10
MAX_MISSED_TEXT: Final = 160
MAX_PATH: Final = 80
MAX_VALUE: Final = 60
_DATASET_COUNTS: Final = (
    *("trainImages", "evalImages", "trainObjects", "evalObjects", "evalImagesInTrain", "evalImagesLikeTrain"),
    *("errors", "warnings", "infos"),
)
_COMPARED: Final = ("Same", "Changed", "Unknown")
_STOPPED_BY: Final[tuple[Literal["earlyStopping", "finish", "maxDuration"], ...]] = (
    "earlyStopping",
    "finish",
    "maxDuration",
)
_CONTAINERS: Final[tuple[Literal["agent", "trainer"], ...]] = ("agent", "trainer")
_PATH: Final = re.compile(r"[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*", re.ASCII)


def dataset(numbers: Mapping[str, Any]) -> Dataset:
    """Read the data set that a preparation reports."""
    found = preparation(numbers)
    for count_name in _DATASET_COUNTS:
        if (number := count(numbers.get(count_name))) is not None:
            found[count_name] = number
    for uri_name in ("reportURI", "reportJSONURI"):
        if (address := uri(numbers.get(uri_name))) is not None:
            found[uri_name] = address
    if (sha256 := digest(numbers.get("digest"))) is not None:
        found["digest"] = sha256
    if (reused := flag(numbers.get("reused"))) is not None:
        found["reused"] = reused
    if (top := findings(numbers.get("topFindings"))) is not None:
        found["topFindings"] = top
    return found


def preparation(numbers: Mapping[str, Any]) -> Dataset:
    """Read what a preparation reports before its data set is complete."""
    found = Dataset()
    for count_name in ("images", "savedImages"):
        if (number := count(numbers.get(count_name))) is not None:
            found[count_name] = number
    if (label_format := label(numbers.get("format"))) is not None:
        found["format"] = label_format
    return found


def configuration(numbers: Mapping[str, Any]) -> Training:
    """Read where a preparation has put the configuration that the run is trained with, and how it differs."""
    found = Training()
    for uri_name in ("configURI", "configChangesURI"):
        if (address := uri(numbers.get(uri_name))) is not None:
            found[uri_name] = address
    if (number := count(numbers.get("configChanges"))) is not None:
        found["configChanges"] = number
    return found


def training(numbers: Mapping[str, Any]) -> Training:
    """Read steps, scores, the newest checkpoint and the start that a training reports."""
    found = Training()
    for count_name in ("step", "steps", "checkpointStep", "resumedFromStep", "stepsLost"):
        if (number := count(numbers.get(count_name))) is not None:
            found[count_name] = number
    for decimal_name in ("loss", "ap50", "mAP"):
        if (text := decimal(numbers.get(decimal_name))) is not None:
            found[decimal_name] = text
    if (address := uri(numbers.get("checkpointURI"))) is not None:
        found["checkpointURI"] = address
    if (start := restored(numbers.get("restored"))) is not None:
        found["restored"] = start
    if (score := best(numbers.get("best"))) is not None:
        found["best"] = score
    if (kept := steps(numbers.get("keptCheckpoints"))) is not None:
        found["keptCheckpoints"] = kept
    for field in _STOPPED_BY:
        if field == numbers.get("stoppedBy"):
            found["stoppedBy"] = field
    return found


def best(value: object) -> Best | None:
    """Accept the best evaluation."""
    if not isinstance(value, Mapping):
        return None
    step, mean, ap50 = count(value.get("step")), decimal(value.get("mAP")), decimal(value.get("ap50"))
    return None if step is None or mean is None or ap50 is None else Best(step=step, mAP=mean, ap50=ap50)


def steps(value: object) -> list[int] | None:
    """Accept steps of checkpoints, of which the first are kept."""
    if not isinstance(value, list):
        return None
    known = (count(item) for item in value[:MAX_CHECKPOINTS])
    return [step for step in known if step is not None]


def restored(value: object) -> Restored | None:
    """Accept how many of how many variables were loaded from weights, and what was not."""
    if not isinstance(value, Mapping):
        return None
    loaded, total, anew = count(value.get("loaded")), count(value.get("total")), value.get("startsAnew")
    if loaded is None or total is None:
        return None
    found = Restored(loaded=loaded, total=total)
    if isinstance(anew, str) and anew.isprintable():
        found["startsAnew"] = anew[:MAX_STARTS_ANEW]
    return found


def resumed_from(value: object) -> ResumedFrom | None:
    """Accept the run whose training is continued, as a preparation has found it in the bucket."""
    if not isinstance(value, Mapping):
        return None
    address, step, same = uri(value.get("uri")), count(value.get("step")), value.get("dataset")
    if address is None or step is None or same not in _COMPARED:
        return None
    return ResumedFrom(uri=address, step=step, dataset=same)


def export(numbers: Mapping[str, Any]) -> Export:
    """Read the detector that an export reports; its files have fixed names below its address."""
    found = Export()
    for count_name in ("checkpointStep", "evalImages"):
        if (number := count(numbers.get(count_name))) is not None:
            found[count_name] = number
    for decimal_name in ("ap50", "mAP", "ap50Uncertainty", "mAPUncertainty"):
        if (text := decimal(numbers.get(decimal_name))) is not None:
            found[decimal_name] = text
    if (address := uri(numbers.get("uri"))) is not None:
        found["uri"] = address
        found["frozenGraphURI"] = f"{address}frozen_inference_graph.pb"
        found["savedModelURI"] = f"{address}saved_model/1/"
    if (why := short_text(numbers.get("checkpointReason"), MAX_CHECKPOINT_REASON)) is not None:
        found["checkpointReason"] = why
    return found


@dataclass(frozen=True, slots=True)
class GateResult:
    """What an export says of export.gate: the scores that are too low, of which the first are named."""

    met: bool
    missed: tuple[str, ...]
    missed_count: int


def gate(value: object) -> GateResult | None:
    """Accept whether an export reaches its gate; None if it does not say."""
    if not isinstance(value, Mapping) or (met := flag(value.get("met"))) is None:
        return None
    listed = value.get("missed")
    texts = [short_text(item, MAX_MISSED_TEXT) for item in listed[:MAX_MISSED]] if isinstance(listed, list) else []
    missed = tuple(text for text in texts if text is not None)
    return GateResult(met, missed, max(1, len(missed), count(value.get("missedCount")) or 0))


def peak_memory(value: object) -> PeakMemoryBytes | None:
    """Accept how much memory the containers' processes have held; None if it is not known of any."""
    found = PeakMemoryBytes()
    if isinstance(value, Mapping):
        for name in _CONTAINERS:
            if (size_in_bytes := count(value.get(name))) is not None:
                found[name] = size_in_bytes
    return found or None


def add_timings(entry: StageTimings, timings: Mapping[str, Any]) -> None:
    """Write the durations that an agent reports for its own work."""
    for name in ("fetchSeconds", "workSeconds", "shipSeconds"):
        if (duration := seconds(timings.get(name.removesuffix("Seconds")))) is not None:
            entry[name] = duration


def count(value: object) -> int | None:
    """Accept a whole number from 0 up."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT else None


def seconds(value: object) -> float | None:
    """Accept a duration, rounded to one decimal."""
    found = _number(value)
    return round(found, 1) if found is not None and 0 <= found <= MAX_COUNT else None


def rate(value: object) -> str | None:
    """Accept bytes per second, as a text with a unit."""
    known = seconds(value)
    return None if known is None else f"{size(known)}/s"


def decimal(value: object) -> str | None:
    """Accept a number as the API holds it: a text with three decimals, or nan and inf, which a loss can be."""
    found = _number(value)
    return f"{found:.3f}"[:16] if found is not None else None


def _number(value: object) -> float | None:
    """Accept a number that a float can hold: JSON has integers of any length."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def flag(value: object) -> bool | None:
    """Accept true or false."""
    return value if isinstance(value, bool) else None


def short_text(value: object, limit: int) -> str | None:
    """Accept a line of text, cut to a length."""
    return cut(value, limit) if isinstance(value, str) and value and value.isprintable() else None


def label(value: object) -> str | None:
    """Accept a short name."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_LABEL and value.isprintable() else None


def uri(value: object) -> str | None:
    """Accept an address in the bucket."""
    return value if isinstance(value, str) and len(value) <= MAX_URI and value.isprintable() else None


def digest(value: object) -> str | None:
    """Accept a SHA-256 in hexadecimal digits."""
    return value if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else None


def findings(value: object) -> list[str] | None:
    """Accept a list of findings, of which the first are kept."""
    return [str(item)[:MAX_FINDING] for item in value[:MAX_FINDINGS]] if isinstance(value, list) else None


def moment(value: object) -> str | None:
    """Accept a time with its zone, as the API writes it."""
    found = clock.parse(value if isinstance(value, str) else None)
    return None if found is None else clock.to_text(found)


@dataclass(frozen=True, slots=True)
class ClaimedStep:
    """The next step that an agent claims: `field` is a path below `spec`, with its value now and one to try."""

    kind: Step
    field: str = ""
    value: str = ""
    to_try: str = ""


def next_step(value: object) -> ClaimedStep | None:
    """Accept the next step of a verdict; None without a kind that is known, no field unless it is a path."""
    if not isinstance(value, Mapping):
        return None
    kind, path = next((step for step in Step if step == value.get("kind")), None), value.get("field")
    if kind is None:
        return None
    if not isinstance(path, str) or len(path) > MAX_PATH or not _PATH.fullmatch(path):
        return ClaimedStep(kind)
    now, to_try = (value.get(name) for name in ("value", "try"))
    return ClaimedStep(kind, path, _field_value(now), _field_value(to_try))


def _field_value(value: object) -> str:
    return value[:MAX_VALUE] if isinstance(value, str) else ""
