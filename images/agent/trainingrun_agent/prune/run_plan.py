"""Decides what of the runs in a bucket may be deleted, and why.

Invariant: pure. What a run that stays starts from stays. Pointers are deleted before manifests, and manifests before
the files that they name, so that an interrupted deletion leaves no half of anything that counts. Exports stay unless
they are asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trainingrun_agent.keys import RunKeys, is_manifest
from trainingrun_agent.prune.plan import Deletion, age_text
from trainingrun_agent.prune.runs import StoredRun
from trainingrun_agent.storage.base import ObjectInfo


@dataclass(frozen=True)
class RunRules:
    """What may be deleted of runs.

    `living` are the names of runs whose TrainingRun exists, None if that is not known. `needed` are names, or what
    names begin with, of runs from which one of those starts. `keep_checkpoints` is how many of the newest checkpoints
    of a finished run stay, None for all.
    """

    older_than: timedelta
    living: Collection[str] | None = None
    needed: Collection[str] = ()
    exports: bool = False
    keep_checkpoints: int | None = None


def plan_runs(runs: Sequence[StoredRun], rules: RunRules, *, now: datetime) -> list[Deletion]:
    """Decide. Without `living`, only what was made on the way of runs that have finished is deleted."""
    gone = {run.name for run in runs if _is_gone(run, rules, now)}
    used = {name for run in runs if run.name not in gone for name in run.starts_from}
    found: list[Deletion] = []
    for run in runs:
        if run.name in used or run.name.startswith(tuple(rules.needed)):
            continue
        if run.name in gone:
            found += _deletion(run, _of_deleted(run, rules), _why_gone(run, rules, now))
        elif rules.keep_checkpoints is not None and run.finished:
            why = f"it has finished, and has newer checkpoints than these ({rules.keep_checkpoints} are kept)"
            found += _deletion(run, _old_checkpoints(run, rules.keep_checkpoints), why)
    return found


def unknown(runs: Sequence[StoredRun], rules: RunRules, *, now: datetime) -> int:
    """How many old runs stay only because nothing says whether their TrainingRun exists."""
    old = [run for run in runs if now - run.modified > rules.older_than and not run.finished]
    return len(old) if rules.living is None else 0


def _is_gone(run: StoredRun, rules: RunRules, now: datetime) -> bool:
    if not run.readable or now - run.modified <= rules.older_than:
        return False
    return run.finished if rules.living is None else run.name not in rules.living


def _why_gone(run: StoredRun, rules: RunRules, now: datetime) -> str:
    what = "it has finished" if rules.living is None else "its TrainingRun does not exist"
    return f"{what}, {age_text(now - run.modified)} old"


def _of_deleted(run: StoredRun, rules: RunRules) -> list[ObjectInfo]:
    """Objects of a run that is over; what describes the run stays with its export, and as long as it may live."""
    kept = {run.keys.description, run.keys.pipeline_config}
    if rules.living is None:
        kept |= {run.keys.result("prep"), run.keys.result("train")}
    export = [info for info in run.objects if _is_export(info, run.keys)]
    stays = export if export and not rules.exports else []
    if not stays and rules.living is not None:
        kept = set()
    folders = [f"{run.keys.epochs}/"] if rules.living is None else []
    if rules.keep_checkpoints is not None and run.finished:
        folders += _kept_checkpoints(run, _checkpoints(run), rules.keep_checkpoints)
    skipped, below = kept | {info.key for info in stays}, tuple(folders)
    return [info for info in run.objects if info.key not in skipped and not info.key.startswith(below)]


def _is_export(info: ObjectInfo, keys: RunKeys) -> bool:
    return info.key == keys.result("export") or info.key.startswith(f"{keys.attempts('export')}/")


def _old_checkpoints(run: StoredRun, keep: int) -> list[ObjectInfo]:
    """Objects of the checkpoints that are neither among the newest nor named by a result of the run."""
    folders = _checkpoints(run)
    old = tuple(folder for folder in folders if folder not in _kept_checkpoints(run, folders, keep))
    return [info for info in run.objects if old and info.key.startswith(old)]


def _checkpoints(run: StoredRun) -> dict[str, int]:
    """Folders of the complete checkpoints, newest first, with their steps."""
    found: dict[tuple[int, int], str] = {}
    for info in run.objects:
        attempt = run.keys.parse_attempt("train", info.key)
        step = None if attempt is None else attempt.parse_checkpoint_manifest(info.key)
        if attempt is not None and step is not None:
            found[attempt.epoch, step] = f"{attempt.checkpoint(step)}/"
    return {found[one]: one[1] for one in sorted(found, reverse=True)}


def _kept_checkpoints(run: StoredRun, folders: dict[str, int], keep: int) -> set[str]:
    named = {one for one, step in folders.items() if step == run.exported_step or one.rstrip("/") in run.needs}
    return named | set(list(folders)[: max(1, keep)])


def _deletion(run: StoredRun, objects: list[ObjectInfo], why: str) -> Iterator[Deletion]:
    if objects:
        pointers = {run.keys.result(stage) for stage in ("train", "export", "prep")}
        order = sorted(objects, key=lambda info: (info.key not in pointers, not is_manifest(info.key), info.key))
        yield Deletion(f"runs/{run.name}", why, tuple(order))
