"""What the end of a container tells by itself: its exit code, the signal that ended it, and what mostly causes that."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Final

from trainingrun.domain.observe import ContainerView

BY_SIGNAL: Final = 128  # an exit code above it is this plus the number of the signal that ended the program
SIGILL: Final = BY_SIGNAL + signal.SIGILL
SIGKILL: Final = BY_SIGNAL + signal.SIGKILL
CAUSES: Final[Mapping[int, str]] = {
    126: "its program cannot be executed",
    127: "its program was not found",
    SIGILL: "SIGILL: the CPU of the node lacks an instruction that the program uses",
    BY_SIGNAL + signal.SIGABRT: "SIGABRT: the program gave up, and its log says why",
    BY_SIGNAL + signal.SIGBUS: "SIGBUS: a file that the program had mapped, or its shared memory, could not be read",
    BY_SIGNAL + signal.SIGFPE: "SIGFPE: the program divided an integer by zero",
    SIGKILL: "SIGKILL: something killed it, mostly the kernel because the node ran out of memory",
    BY_SIGNAL + signal.SIGSEGV: "SIGSEGV: the program accessed memory that is not its own",
    BY_SIGNAL + signal.SIGTERM: "SIGTERM: it was asked to end, and had no time or no handler for it",
}
_SAYS_NOTHING: Final = {"", "Error", "Completed"}  # of the reasons that Kubernetes gives


def exit_of(container: ContainerView) -> str:
    """Return the exit code with its cause: `exit code 139 (SIGSEGV: …)`, or `exit code 128 (StartError)`."""
    code = container.exit_code
    if code is None:
        return "an unknown exit code"
    cause = container.reason if container.reason not in _SAYS_NOTHING else _cause(code) or container.reason
    return f"exit code {code} ({cause or 'no reason'})"


def _cause(code: int) -> str:
    try:
        return CAUSES.get(code) or signal.Signals(code - BY_SIGNAL).name
    except ValueError:
        return ""
