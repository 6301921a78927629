"""`trainingrun prune`: list what no run needs, and what is left of runs that are over, and delete it when asked to.

Invariant: without --delete nothing is changed; with it, exactly what was listed is deleted.
"""

from __future__ import annotations

import argparse
import re
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from trainingrun_agent.cli import options
from trainingrun_agent.cli.terminal import count, print_lines, size
from trainingrun_agent.cli.usage import UsageError

if TYPE_CHECKING:
    from trainingrun_agent.keys import BucketKeys
    from trainingrun_agent.prune import Deletion, Plan, Survey
    from trainingrun_agent.storage.base import ObjectStore

SUMMARY = "list data sets that no run needs, and runs that are over, and delete them with --delete"
EPILOG = (
    """\
exit codes:
  0    done
  2    wrong arguments, no access, or an object that cannot be read and has to be looked at
  130  interrupted

"""
    + options.CREDENTIALS
)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def age(text: str) -> timedelta:
    """Parse an age such as `30d`, `24h` or `2w`."""
    found = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age such as 24h, 30d or 8w")
    return int(found[1]) * _UNITS[found[2]]


def add_arguments(parser: ArgumentParser) -> None:
    """The bucket or folder, and the ages."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--bucket", metavar="NAME", help="bucket of the runs (spec.storage.bucket)")
    place.add_argument("--folder", type=Path, metavar="FOLDER", help="folder that `trainingrun convert` wrote")
    parser.add_argument("--prefix", default="", metavar="KEY", help="prefix of the runs (spec.storage.prefix)")
    options.add_server(parser)
    parser.add_argument(
        "--older-than",
        type=age,
        default=age("30d"),
        metavar="AGE",
        help="delete data sets without a run, and reports on refused data, only when they are older, such as 12h, 30d"
        " or 8w (default: 30d)",
    )
    parser.add_argument(
        "--grace",
        type=age,
        default=age("24h"),
        metavar="AGE",
        help="longest time that a preparation takes (default: 24h). Records younger than this are kept. While a run"
        " that started within this time is being prepared, everything but reports is kept",
    )
    _add_runs(parser)
    parser.add_argument("--delete", action="store_true", help="delete what is listed (default: only list)")


def _add_runs(parser: ArgumentParser) -> None:
    about = "what is left of runs that are over; the next call finds the data sets that only they needed"
    runs = parser.add_argument_group("runs", about)
    runs.add_argument(
        "--runs",
        action="store_true",
        help="delete checkpoints, events and logs of runs that have exported a model and are older than --older-than",
    )
    runs.add_argument(
        "--living",
        type=Path,
        metavar="FILE",
        help="what `kubectl get trainingruns --all-namespaces -o json` prints, or - for standard input: with it, --runs"
        " deletes everything but the exports of older runs that are not in the list, finished or not, and nothing of"
        " those that are",
    )
    runs.add_argument("--exports", action="store_true", help="with --runs: delete exports as well (default: they stay)")
    runs.add_argument(
        "--keep-checkpoints",
        type=int,
        metavar="N",
        help="with --runs: of every run that has exported a model, keep the N newest checkpoints and those that its"
        " results name",
    )


def current_time() -> datetime:
    """The time that ages are counted from."""
    return datetime.now(UTC)


def run(arguments: Namespace, stop: threading.Event) -> int:
    """Returns the exit code. Raises UsageError, StageError."""
    from trainingrun_agent.keys import BucketKeys
    from trainingrun_agent.prune import plan, survey

    _check(arguments)
    keys = BucketKeys(arguments.prefix.strip("/"))
    store = _open(arguments)
    found = survey(store, keys, stop=stop)
    if arguments.folder is not None:
        _keep_newest(found)
    planned = plan(found, now=current_time(), older_than=arguments.older_than, grace=arguments.grace)
    print_lines(list(_lines(found, planned, where=f"{store.bucket}/{keys.prefix}".rstrip("/"))))
    if arguments.runs:
        planned.deletions += _runs(arguments, store, keys, stop)
    if arguments.delete:
        _delete(store, planned, stop)
    print_lines([_total(planned, deleted=arguments.delete)])
    return 0


def _check(arguments: Namespace) -> None:
    """Raise UsageError for options that do not fit each other."""
    with_runs = {
        "--living": arguments.living is not None,
        "--exports": arguments.exports,
        "--keep-checkpoints": arguments.keep_checkpoints is not None,
    }
    alone = [name for name, given in with_runs.items() if given and not arguments.runs]
    if alone:
        raise UsageError(f"{alone[0]} needs --runs")
    if arguments.keep_checkpoints is not None and arguments.keep_checkpoints < 1:
        raise UsageError("--keep-checkpoints must be at least 1")


def _runs(arguments: Namespace, store: ObjectStore, keys: BucketKeys, stop: threading.Event) -> list[Deletion]:
    """What is deleted of runs, after it was listed."""
    from trainingrun_agent.cli.living_runs import read_living
    from trainingrun_agent.prune import RunRules, plan_runs, survey_runs, unknown

    living = None if arguments.living is None else read_living(arguments.living)
    names, needed = (None, frozenset[str]()) if living is None else (living.names, living.needed)
    rules = RunRules(arguments.older_than, names, needed, arguments.exports, arguments.keep_checkpoints)
    found, now = survey_runs(store, keys, stop=stop), current_time()
    deletions = plan_runs(found, rules, now=now)
    lines = [_line(deletion) for deletion in deletions]
    if left := unknown(found, rules, now=now):
        lines.append(
            f"{count(left, 'old run')} without a model may still go on: --living says whether the TrainingRun exists."
        )
    print_lines([f"{count(len(found), 'run')}, {len(deletions)} of them with something to delete", *lines])
    return deletions


def _open(arguments: Namespace) -> ObjectStore:
    if arguments.folder is None:
        from trainingrun_agent.cli.bucket import open_bucket

        return open_bucket(arguments.bucket, arguments, field="storage.bucket")
    from trainingrun_agent.storage.folder_store import FolderStore

    if not arguments.folder.is_dir():
        raise UsageError(f"--folder {arguments.folder}: no such folder")
    return FolderStore(arguments.folder)


def _keep_newest(found: Survey) -> None:
    """A folder of `convert` has no runs that need a data set: its newest one is needed."""
    complete = {digest: one for digest, one in found.data_sets.items() if one.names is not None}
    if complete:
        found.runs["the newest"] = max(complete, key=lambda digest: complete[digest].modified)


def _lines(found: Survey, planned: Plan, *, where: str) -> Iterator[str]:
    needed = len(set(found.runs.values()) & found.data_sets.keys())
    yield f"{where}: {count(len(found.data_sets), 'data set')}, {needed} of them needed"
    for deletion in planned.deletions:
        yield _line(deletion, folder="datasets/")
    if planned.waiting:
        yield (
            f"Data sets and records are not deleted now: {planned.waiting}. Try again later, or use a shorter --grace."
        )


def _line(deletion: Deletion, *, folder: str = "") -> str:
    objects = count(len(deletion.objects), "object")
    return f"  {folder}{deletion.what}  {objects}, {size(deletion.size)}: {deletion.why}"


def _delete(store: ObjectStore, planned: Plan, stop: threading.Event) -> None:
    from trainingrun_agent.stopping import raise_if_stopped

    for deletion in planned.deletions:
        for info in deletion.objects:
            raise_if_stopped(stop)
            store.delete(info.key)


def _total(planned: Plan, *, deleted: bool) -> str:
    number = sum(len(deletion.objects) for deletion in planned.deletions)
    total = f"{count(number, 'object')}, {size(sum(deletion.size for deletion in planned.deletions))}"
    if not number:
        return "Nothing to delete."
    return f"Deleted {total}." if deleted else f"Would delete {total}. Nothing was deleted: add --delete."
