"""Which shard a record goes into.

Invariant: it depends on the record's key and the number of shards only, so that new images leave most shards as they
are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from trainingrun_agent.disk_space import is_disk_full
from trainingrun_agent.errors import DiskFull
from trainingrun_agent.reasons.pods import DISK_FULL_OF_RECORDS

TARGET_BYTES = 8 << 20
"""Small enough for work to spread over workers, and for few new images to cost little; large enough to be read fast."""
MAX_SHARDS = 256


def shard_count(total_bytes: int) -> int:
    """A power of two, so that a growing data set keeps its shards for long."""
    count = 1
    while count < MAX_SHARDS and count * TARGET_BYTES < total_bytes:
        count *= 2
    return count


def shard_of(key: str, count: int) -> int:
    """The shard of a key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % count


def disk_full(error: OSError, path: Path) -> OSError | DiskFull:
    """DiskFull when that is what the error means, else the error itself."""
    if not is_disk_full(error):
        return error
    return DiskFull(DISK_FULL_OF_RECORDS, what=path.name)
