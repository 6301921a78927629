"""The stacks of a trainer that stood still go to the bucket, where they outlive its pod.

Invariant: best effort and bounded; a trainer that wrote none has ended all the same.
"""

from __future__ import annotations

from trainingrun_agent.errors import Outcome, StageError
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage.base import ObjectStore

NAME = "stacks.txt"
MAX_BYTES = 1 << 20


def stacks_text(store: ObjectStore, attempt: Attempt, folder: Folder, error: StageError) -> str:
    """Ship the stacks of a stall; returns the sentence that says where they are, nothing for other errors."""
    if error.outcome is not Outcome.STALLED:
        return ""
    try:
        stacks = folder.read(NAME, max_bytes=MAX_BYTES)
    except (FileNotFoundError, UnsafeFileError):
        stacks = b""
    if not stacks.strip():
        return " It left no stacks: it was stopped, or hung in the kernel."
    store.put(attempt.stacks, stacks)
    return f" Its stacks are in s3://{store.bucket}/{attempt.stacks}."
