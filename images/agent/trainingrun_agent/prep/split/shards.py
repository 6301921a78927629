"""The number of shards, and the shard of each image.

Invariant: the shard of an image depends only on its path and on the number of shards, so that new images leave most
shards unchanged.
"""

from __future__ import annotations

import hashlib

TARGET_BYTES = 8 << 20
"""Size of a shard: small, so that all workers have work and a few new images cost little; large, so that reading is
fast."""
MAX_SHARDS = 256


def shard_count(total_bytes: int) -> int:
    """Number of shards for so many bytes: a power of two, so that it seldom changes while a data set grows."""
    count = 1
    while count < MAX_SHARDS and count * TARGET_BYTES < total_bytes:
        count *= 2
    return count


def shard_of(path: str, count: int) -> int:
    """The shard of the image with this path."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big") % count
