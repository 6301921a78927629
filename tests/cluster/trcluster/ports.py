"""Choose free TCP ports.

Invariant: two clusters never hold the same port, even while neither listens yet.
"""

from __future__ import annotations

import fcntl
import random
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from .errors import ClusterError
from .layout import Ports, load

# Below the kernel's ephemeral range, so that no outgoing connection takes a chosen port.
RANGE = range(20000, 30000)


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def choose(count: int, taken: Iterable[int], free: Callable[[int], bool] = is_free) -> list[int]:
    """Choose ``count`` different free ports outside ``taken``; raises ClusterError when there are not enough."""
    used = set(taken)
    found: list[int] = []
    for port in random.sample(RANGE, len(RANGE)):
        if len(found) == count:
            return found
        if port not in used and free(port):
            found.append(port)
    raise ClusterError(f"no {count} free TCP ports between {RANGE.start} and {RANGE.stop - 1}")


@contextmanager
def reservation(clusters: Path) -> Iterator[set[int]]:
    """Lock the choice of ports; yields the ports of all clusters. Save the new layout before the block ends."""
    clusters.mkdir(parents=True, exist_ok=True)
    with (clusters / ".ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        taken: set[int] = set()
        for folder in clusters.iterdir():
            layout = load(folder) if folder.is_dir() else None
            if layout is not None:
                taken.update(asdict(layout.ports).values())
        yield taken


def for_host(taken: set[int]) -> Ports:
    """Choose ports for a cluster whose daemons all listen on the host's loopback address."""
    return Ports(*choose(len(asdict(Ports())), taken))


def for_node(taken: set[int]) -> Ports:
    """The usual ports for the node; only the S3 server listens on the host, on 7070 if that is free."""
    usual = Ports()
    if usual.s3 not in taken and is_free(usual.s3):
        return usual
    return Ports(s3=choose(1, taken)[0])
