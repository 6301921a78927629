"""Drop packets with iptables in the network of a pod or of the node.

Invariant: the rule is removed when the block ends, also when the pod has ended meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from trcluster.command import run


@contextmanager
def dropped(prefix: Sequence[str], *rule: str) -> Iterator[None]:
    """Drop the packets that match a rule, such as ("INPUT", "-p", "tcp"); `prefix` enters the network."""
    iptables, match = [*prefix, "iptables", "-w"], [*rule, "-j", "DROP"]
    run([*iptables, "-I", *match], timeout=60)
    try:
        yield
    finally:
        run([*iptables, "-D", *match], timeout=60)


@contextmanager
def network_of(pid: int) -> Iterator[list[str]]:
    """The command prefix that enters a process' network namespace; it is held open, so that it outlives the process."""
    held = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        yield ["nsenter", f"--net=/proc/{os.getpid()}/fd/{held}", "--"]
    finally:
        os.close(held)
