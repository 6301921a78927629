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
    SIGILL: "SIGILL: the CPU lacks an instruction that it uses",
    BY_SIGNAL + signal.SIGABRT: "SIGABRT: it gave up, and its log says why",
    BY_SIGNAL + signal.SIGBUS: "SIGBUS: a mapped file or shared memory could not be read",
    BY_SIGNAL + signal.SIGFPE: "SIGFPE: it divided an integer by zero",
    SIGKILL: "SIGKILL: killed from outside, mostly for lack of memory",
    BY_SIGNAL + signal.SIGSEGV: "SIGSEGV: an invalid memory access",
    BY_SIGNAL + signal.SIGTERM: "SIGTERM: it was asked to end",
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
