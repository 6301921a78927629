"""Decides what may be deleted from a bucket, and why.

Invariant: pure. A data set that a run points to is kept, and so is every object that a kept manifest names. Manifests
are deleted first and records last, so that no manifest ever names objects that are gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trainingrun_agent.keys import is_manifest
from trainingrun_agent.prune.survey import DataSet, Survey
from trainingrun_agent.storage.base import ObjectInfo


@dataclass(frozen=True)
class Deletion:
    """Objects to delete in this order; `what` and `why` are shown to people."""

    what: str
    why: str
    objects: tuple[ObjectInfo, ...]

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(info.size for info in self.objects)


@dataclass
class Plan:
    """What to delete; `waiting` says why data sets and records cannot be deleted yet, empty if they can."""

    deletions: list[Deletion] = field(default_factory=list)
    waiting: str = ""


def plan(survey: Survey, *, now: datetime, older_than: timedelta, grace: timedelta) -> Plan:
    """Decide; data sets and reports must be `older_than`, and a preparation may take up to `grace`."""
    made = Plan(_failed(survey, now, older_than))
    preparing = {run: began for run, began in survey.unprepared.items() if now - began < grace}
    if preparing:
        run, began = max(preparing.items(), key=lambda item: item[1])
        made.waiting = (
            f"run {run}, which began {age_text(now - began)} ago, may be preparing a data set from what is there"
        )
        return made
    deleted = _data_sets(survey, now, max(older_than, grace))
    kept = {key for digest, one in survey.data_sets.items() if digest not in deleted for key in one.names or ()}
    blobs = tuple(info for info in survey.blobs if info.key not in kept and now - info.modified > grace)
    made.deletions += deleted.values()
    made.deletions += _pointers(survey, {info.key for info in blobs})
    made.deletions += _unfinished(survey, now, grace)
    made.deletions += _marks(survey, kept)
    if blobs:
        made.deletions.append(Deletion("blobs", "no data set that is kept names them", blobs))
    return made


def _failed(survey: Survey, now: datetime, older_than: timedelta) -> list[Deletion]:
    found = []
    for digest, objects in survey.failed.items():
        age = now - max(info.modified for info in objects)
        if age > older_than:
            found.append(Deletion(f"failed/{digest}", f"a report on refused data, {age_text(age)} old", tuple(objects)))
    return found


def _data_sets(survey: Survey, now: datetime, older_than: timedelta) -> dict[str, Deletion]:
    used = set(survey.runs.values())
    found = {}
    for digest, data_set in survey.data_sets.items():
        age = now - data_set.modified
        if digest not in used and age > older_than:
            why = f"no run points to it, {age_text(age)} old"
            if data_set.names is None:
                why = f"never completed, {age_text(age)} old"
            found[digest] = Deletion(digest, why, _manifest_first(data_set))
    return found


def _manifest_first(data_set: DataSet) -> tuple[ObjectInfo, ...]:
    return tuple(sorted(data_set.objects, key=lambda info: (not is_manifest(info.key), info.key)))


def _pointers(survey: Survey, deleted: set[str]) -> list[Deletion]:
    left = {info.key for info in survey.blobs} - deleted
    return [
        Deletion("latest/" + info.key.rpartition("/")[2], "the records that it names are gone", (info,))
        for info, names in survey.pointers
        if names and left.isdisjoint(names)
    ]


def _unfinished(survey: Survey, now: datetime, grace: timedelta) -> list[Deletion]:
    """Lists of preparations that have not ended and that no run goes on with."""
    left = tuple(info for info in survey.unfinished if now - info.modified > grace)
    return [Deletion("unfinished", "no run goes on with these preparations", left)] if left else []


def _marks(survey: Survey, kept: set[str]) -> list[Deletion]:
    """Marks of damaged objects that no kept data set names: nothing will read or repair those."""
    left = tuple(info for info, key in survey.marks if key not in kept)
    return [Deletion("damaged", "no data set that is kept names the damaged objects", left)] if left else []


def age_text(age: timedelta) -> str:
    """An age in words."""
    hours = age / timedelta(hours=1)
    return f"{hours:.0f} hours" if hours < 48 else f"{age.days} days"
