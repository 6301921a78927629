"""The disk-full test: which errors of the operating system mean that no space is left."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from trainingrun_agent.errors import DiskFull
from trainingrun_agent.reasons import Reason
from trainingrun_agent.reasons.pods import DISK_FULL


def is_disk_full(error: BaseException) -> bool:
    """Whether the disk, or the quota on it, is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def raising_disk_full(what: str, reason: Reason = DISK_FULL) -> Iterator[None]:
    """Raise DiskFull in place of an OSError of the block that means a full disk; `what` was being written."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(reason, what=what) from error
        raise
