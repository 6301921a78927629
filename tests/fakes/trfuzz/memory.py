"""A bound of the memory of a process, as `ulimit -v` sets it: beyond it, allocations fail."""

from __future__ import annotations

import resource

MIB = 768
"""Of address space, with the interpreter and the fuzzer; preparation itself may use 300 MiB."""


def limit_memory() -> None:
    """Set the bound for this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MIB << 20, MIB << 20))
