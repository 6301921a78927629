"""Waits for what other processes do. Every wait of the tests and of the demo goes through `until`.

Invariant: what is not there yet is no error before the deadline; after it, the error says what was last seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from .errors import ClusterError

T = TypeVar("T")
WAIT_SLICE_SECONDS = 5
MOST_PATIENCE = 4.0


class WaitError(ClusterError):
    """What was waited for did not come in time."""


def until(
    probe: Callable[[], T],
    *,
    what: str,
    seconds: float,
    every: float = 0.2,
    not_yet: tuple[type[Exception], ...] = (),
    seen: Callable[[], object] | None = None,
) -> T:
    """Call `probe` until it returns something true, and return that.

    Errors of the kinds in `not_yet` count as "not there yet"; any other error ends the wait. After `seconds`, raises
    WaitError that shows what `seen` returns, or else the probe's last answer or error. The last call is always made
    after the deadline, so a machine that stood still for a while does not cut the wait short.
    """
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= deadline
        try:
            found = probe()
        except not_yet as error:
            last: object = error
        else:
            if found:
                return found
            last = repr(found)
        if late:
            failed = f"{last!r}; " if seen and isinstance(last, Exception) else ""
            raise WaitError(f"waited {seconds:.0f} s in vain for {what}; last seen: {failed}{seen() if seen else last}")
        time.sleep(max(0.0, min(every, deadline - time.monotonic())))


def kubectl_wait(kubectl: Callable[..., str], *arguments: str, seconds: float = 60) -> None:
    """`kubectl wait ARGUMENTS`, repeated while it fails, for `seconds` in all.

    kubectl itself waits only for objects that exist and have conditions: it fails at once when none matches, and when
    `status.conditions` is null, as in a CustomResourceDefinition that was created a moment ago.
    """

    def met() -> bool:
        kubectl("wait", *arguments, f"--timeout={WAIT_SLICE_SECONDS}s")
        return True

    until(met, what=f"kubectl wait {' '.join(arguments)}", seconds=seconds, not_yet=(ClusterError,))


def patience(seconds: float) -> float:
    """The limit here for what may take `seconds` on a quiet machine: higher while processes queue for the cores.

    For limits that are promises of the product. A wait that only guards against a hang has a generous fixed one.
    """
    queue = os.getloadavg()[0] / len(os.sched_getaffinity(0))
    return seconds * min(max(queue, 1.0), MOST_PATIENCE)
