"""Documents of the trainer: progress.json, ready/<step>.json and done.json, which are not trusted.

Invariant: for any bytes a reader returns a value that fits the contract, or None; it never raises.
Contracts: images/contracts/shared-*.schema.json.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from typing import Any

from trainingrun_agent import bounded_json, contract
from trainingrun_agent.errors import Outcome
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError

MAX_DOCUMENT = 64 << 10
MAX_INTEGER = 9007199254740992
MAX_MESSAGE = 1500
MAX_HINT = 600
MAX_STARTS_ANEW = 200
MAX_STOPPED_BY = 32
MAX_CHECKPOINT_FILES = 66
MAX_READY = 100_000
DONE = "done"
PHASES = {
    "importing": "while it loaded TensorFlow",
    "waiting": "while it waited for its input",
    "building": "while it built the graph",
    "training": "while training",
    "evaluating": "during an evaluation",
    "saving": "while it saved a checkpoint",
    "exporting": "while it exported the graph",
    "inferring": "while it tested the exported model",
    DONE: "as it ended",
}
"""By phase, the words for messages: what the trainer or exporter was doing."""
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
_READY = re.compile(r"(\d{8,16})\.json")

_log = logging.getLogger(__name__)
_last_warning: dict[str, str] = {}
"""The last warning by file name: files are read several times a second, and each warning is logged once."""


@dataclass(frozen=True)
class Restored:
    """How many of the model's variables were loaded from pretrained weights, and which parts of it were not."""

    loaded: int
    total: int
    starts_anew: str


@dataclass(frozen=True)
class TrainerProgress:
    """progress.json; `updated` and `last_advance` are times of the trainer's own clock, only their changes count."""

    phase: str
    updated: float
    last_advance: float
    step: int | None = None
    steps: int | None = None
    done: int | None = None
    total: int | None = None
    loss: float | None = None
    ap50: float | None = None
    mean_ap: float | None = None
    restored: Restored | None = None
    best: dict[str, Any] | None = None
    peak_memory: int | None = None


@dataclass(frozen=True)
class Ready:
    """A checkpoint that the trainer reports as complete: its files in model/, with their sizes in bytes."""

    step: int
    files: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Done:
    """done.json: how the trainer or exporter reports to have ended."""

    outcome: Outcome
    reason: str
    message: str
    hint: str
    step: int | None
    loss: float | None
    ap50: float | None
    mean_ap: float | None
    eval_images: int | None
    stopped_by: str = ""
    peak_memory: int | None = None


def read_progress(folder: Folder) -> TrainerProgress | None:
    """What the trainer last reported; None before the first report, or if it does not fit the contract."""
    document = _read(folder, names.PROGRESS)
    if document is None:
        return None
    updated, advance = _number(document, "updated"), _number(document, "lastAdvance")
    phase = str(document.get("phase"))
    if updated is None or advance is None or phase not in PHASES:
        return None
    return TrainerProgress(
        phase=phase,
        updated=updated,
        last_advance=advance,
        step=_count(document, "step"),
        steps=_count(document, "steps"),
        done=_count(document, "done"),
        total=_count(document, "total"),
        loss=_number(document, "loss"),
        ap50=_number(document, "ap50"),
        mean_ap=_number(document, "mAP"),
        restored=_restored(document.get("restored")),
        best=_evaluation(document.get("best")),
        peak_memory=_count(document, "peakMemoryBytes"),
    )


def ready_steps(folder: Folder) -> list[int]:
    """Steps that have a ready/<step>.json, in ascending order."""
    try:
        with folder.sub(names.READY) as ready:
            matches = [_READY.fullmatch(name) for name in ready.names(limit=MAX_READY)]
    except (FileNotFoundError, UnsafeFileError):
        return []
    return sorted({int(match[1]) for match in matches if match})


def read_ready(folder: Folder, step: int) -> Ready | None:
    """The checkpoint of `step`; None unless the document names exactly that step's index and data files."""
    try:
        with folder.sub(names.READY) as ready:
            document = _read(ready, names.ready_file(step))
    except (FileNotFoundError, UnsafeFileError):
        return None
    if document is None or document.get("step") != step:
        return None
    files = _checkpoint_files(document.get("files"), step)
    return None if files is None else Ready(step, files)


def read_done(folder: Folder) -> Done | None:
    """How the trainer reports to have ended; None without a report that fits the contract."""
    document = _read(folder, names.DONE)
    if document is None:
        return None
    outcome, reason = _text(document.get("outcome"), 64), _text(document.get("reason"), 64)
    known = {str(each): each for each in Outcome}
    if outcome not in known or not _REASON.fullmatch(reason):
        _log.warning("done.json has no known outcome and reason; it is ignored")
        return None
    return Done(
        outcome=known[outcome],
        reason=reason,
        message=_text(document.get("message"), MAX_MESSAGE),
        hint=_text(document.get("hint"), MAX_HINT),
        step=_count(document, "step"),
        loss=_number(document, "loss"),
        ap50=_number(document, "ap50"),
        mean_ap=_number(document, "mAP"),
        eval_images=_count(document, "evalImages"),
        stopped_by=_text(document.get("stoppedBy"), MAX_STOPPED_BY),
        peak_memory=_count(document, "peakMemoryBytes"),
    )


def checkpoint_name(step: int) -> re.Pattern[str]:
    """A pattern for the names of that step's checkpoint files."""
    return re.compile(rf"model\.ckpt-{step}\.(index|data-\d{{5}}-of-\d{{5}})")


def is_complete(names: set[str], step: int) -> bool:
    """Whether the names are those of one index and of all of its data files."""
    shards = sorted(name.rpartition(".")[2] for name in names if not name.endswith(".index"))
    wanted = [f"data-{i:05d}-of-{len(shards):05d}" for i in range(len(shards))]
    fits = all(checkpoint_name(step).fullmatch(name) for name in names)
    return fits and bool(shards) and shards == wanted and len(names) == len(shards) + 1


def _checkpoint_files(entries: Any, step: int) -> tuple[tuple[str, int], ...] | None:
    if not isinstance(entries, list) or not 2 <= len(entries) <= MAX_CHECKPOINT_FILES:
        return None
    files: dict[str, int] = {}
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        size = _count(entry, "size") if isinstance(entry, dict) else None
        if not isinstance(name, str) or size is None or name in files:
            return None
        files[name] = size
    return tuple(sorted(files.items())) if is_complete(set(files), step) else None


def _restored(value: Any) -> Restored | None:
    if not isinstance(value, dict):
        return None
    loaded, total = _count(value, "loaded"), _count(value, "total")
    if loaded is None or total is None or loaded > total:
        return None
    return Restored(loaded, total, _text(value.get("startsAnew"), MAX_STARTS_ANEW))


def _evaluation(value: Any) -> dict[str, Any] | None:
    """The scores of a step, as in progress.schema.json."""
    if not isinstance(value, dict):
        return None
    step, mean_ap, ap50 = _count(value, "step"), _number(value, "mAP"), _number(value, "ap50")
    return None if None in (step, mean_ap, ap50) else {"step": step, "mAP": mean_ap, "ap50": ap50}


def _read(folder: Folder, name: str) -> dict[str, Any] | None:
    try:
        document = bounded_json.document(folder.read(name, max_bytes=MAX_DOCUMENT))
    except FileNotFoundError:
        return None
    except (UnsafeFileError, OSError, ValueError) as error:
        _warn(name, f"{name} in the shared folder is ignored: {error}")
        return None
    if document.get("contractVersion") not in contract.READABLE_VERSIONS:
        return None
    return document


def _warn(name: str, text: str) -> None:
    if _last_warning.get(name) != text:
        _last_warning[name] = text
        _log.warning("%s", text)


def _count(document: dict[str, Any], name: str) -> int | None:
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MAX_INTEGER else None


def _number(document: dict[str, Any], name: str) -> float | None:
    value = document.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def _text(value: Any, length: int) -> str:
    return value[:length] if isinstance(value, str) else ""
