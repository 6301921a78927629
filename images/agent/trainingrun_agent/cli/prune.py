"""`trainingrun prune`: list what nobody needs any more, and delete it when told to.

Invariant: without --delete nothing is changed; with it, exactly what was listed is deleted.
"""

from __future__ import annotations

import threading
from argparse import Namespace
from collections.abc import Iterator

from trainingrun_agent.cli.terminal import plain, show, size
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.clock import Clock
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prune import Plan, Survey, plan, survey
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.folder import FolderStore


def run(arguments: Namespace, stop: threading.Event) -> int:
    """Returns the exit code. Raises UsageError, StageError."""
    keys = BucketKeys(arguments.prefix.strip("/"))
    store = _open(arguments)
    found = survey(store, keys, stop=stop)
    if arguments.folder is not None:
        _keep_newest(found)
    made = plan(found, now=Clock().now(), older_than=arguments.older_than, grace=arguments.grace)
    show(list(_lines(found, made, where=f"{store.bucket}/{keys.prefix}".rstrip("/"))))
    if arguments.delete:
        _delete(store, made, stop)
    show([_total(made, deleted=arguments.delete)])
    return 0


def _open(arguments: Namespace) -> ObjectStore:
    if arguments.folder is None:
        from trainingrun_agent.cli.bucket import open_bucket

        return open_bucket(arguments)
    if not arguments.folder.is_dir():
        raise UsageError(f"--folder {arguments.folder}: no such folder")
    return FolderStore(arguments.folder)


def _keep_newest(found: Survey) -> None:
    """What `convert` made last is what its folder is for; there are no runs that could say so."""
    complete = {digest: one for digest, one in found.data_sets.items() if one.names is not None}
    if complete:
        found.runs["the newest"] = max(complete, key=lambda digest: complete[digest].modified)


def _lines(found: Survey, made: Plan, *, where: str) -> Iterator[str]:
    needed = len(set(found.runs.values()) & found.data_sets.keys())
    yield f"{plain(where)}: {len(found.data_sets)} data sets, {needed} of them needed"
    for deletion in made.deletions:
        count = len(deletion.objects)
        objects = f"{count} object{'s' if count != 1 else ''}"
        yield f"  datasets/{plain(deletion.what)}  {objects}, {size(deletion.size)}: {deletion.why}"
    if made.waiting:
        yield f"Data sets and records stay this time: {plain(made.waiting)}. Try later, or with a shorter --grace."


def _delete(store: ObjectStore, made: Plan, stop: threading.Event) -> None:
    for deletion in made.deletions:
        for info in deletion.objects:
            raise_if_stopped(stop)
            store.delete(info.key)


def _total(made: Plan, *, deleted: bool) -> str:
    count = sum(len(deletion.objects) for deletion in made.deletions)
    total = f"{count} objects, {size(sum(deletion.size for deletion in made.deletions))}"
    if not count:
        return "Nothing to delete."
    return f"Deleted {total}." if deleted else f"Would delete {total}. Nothing was deleted: add --delete."
