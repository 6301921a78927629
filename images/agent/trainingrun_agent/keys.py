"""Names below a run's folder in the bucket that belong to training: attempts, checkpoints, event chunks.

Invariant: the only place that builds or parses these keys. Layout: images/contracts/README.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.epochs import folder_name

EVENT_FOLDERS = ("train", "eval_0")
"""Folders of event files in the bucket and below TensorBoard's logdir."""
EVENT_FILE = re.compile(r"events\.out\.tfevents\.\d{1,12}\.[A-Za-z0-9._-]{1,200}")
_ATTEMPT = re.compile(r"(\d{4,9})-[0-9A-Za-z-]{1,36}")
_CHUNK = re.compile(rf"({'|'.join(EVENT_FOLDERS)})/({EVENT_FILE.pattern})/(\d{{20}})")
_AFTER_SLASH = "0"
"""The character after "/": a folder's name with it sorts after everything in the folder."""


@dataclass(frozen=True)
class Attempt:
    """One pod's folder below `<run>/<stage>/`; `folder` is an absolute key without a slash at the end."""

    epoch: int
    folder: str

    def checkpoint(self, step: int) -> str:
        """Folder of the checkpoint of `step`."""
        return f"{self.folder}/checkpoints/{step:08d}"

    def chunk(self, folder: str, file: str, offset: int) -> str:
        """Key of the part of an event file that starts at byte `offset`."""
        return f"{self.folder}/events/{folder}/{file}/{offset:020d}"


@dataclass(frozen=True)
class Chunk:
    """A part of an event file in the bucket: bytes `offset` to `offset + size` of `folder`/`file`."""

    key: str
    epoch: int
    folder: str
    file: str
    offset: int
    size: int


def own_attempt(run_prefix: str, *, stage: str, epoch: int, pod_uid: str) -> Attempt:
    """The folder this pod writes to."""
    return Attempt(epoch, f"{run_prefix}/{stage}/{folder_name(epoch, pod_uid)}")


def attempts(store: ObjectStore, run_prefix: str) -> Iterator[Attempt]:
    """Every attempt that left something below `<run>/train/`, oldest first; one request each."""
    base = f"{run_prefix}/train/"
    after = ""
    while True:
        first = next(iter(store.list(base, start_after=after, limit=1)), None)
        if first is None:
            return
        name = first.key[len(base) :].partition("/")[0]
        attempt = parse_attempt(base, first.key)
        if attempt is not None:
            yield attempt
        after = f"{base}{name}{_AFTER_SLASH}"


def parse_attempt(base: str, key: str) -> Attempt | None:
    """The attempt a key below `base` (with a slash at the end) belongs to."""
    name = key[len(base) :].partition("/")[0]
    match = _ATTEMPT.fullmatch(name)
    return Attempt(int(match[1]), f"{base}{name}") if match else None


def parse_chunk(attempt: Attempt, key: str, size: int) -> Chunk | None:
    """The event chunk at `key`, None for anything else."""
    match = _CHUNK.fullmatch(key[len(attempt.folder) :].removeprefix("/events/"))
    if match is None:
        return None
    return Chunk(key, attempt.epoch, match[1], match[2], int(match[3]), size)
