"""Uploads the stacks of a stalled trainer, so that they outlive its pod.

Invariant: best effort and bounded; a trainer may have written none.
"""

from __future__ import annotations

from trainingrun_agent.errors import Outcome, StageError
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Message, Place

MAX_BYTES = 1 << 20


def with_stacks(store: ObjectStore, attempt: Attempt, folder: Folder, error: StageError) -> StageError:
    """Upload the stacks of a stall; returns the error with their address in its message."""
    if error.outcome is not Outcome.STALLED:
        return error
    try:
        stacks = folder.read(names.STACKS, max_bytes=MAX_BYTES)
    except (FileNotFoundError, UnsafeFileError):
        stacks = b""
    if not stacks.strip():
        return error.with_more(Message(" It left no stacks: it was stopped, or hung in the kernel."))
    store.put(attempt.stacks, stacks)
    return error.with_more(Message(" Its stacks are in {place}.", {"place": Place(store.bucket, attempt.stacks)}))
