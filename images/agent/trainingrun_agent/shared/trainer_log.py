"""What the trainer or exporter printed: its wrapper copies that to two files of the shared folder.

Invariant: the files are not trusted: what is read is bounded, and made plain like every text that leaves the agent. A
trainer image of the user's own, or of an older version, may write none.
"""

from __future__ import annotations

import fcntl
import sys

from trainingrun_agent.clock import Clock
from trainingrun_agent.outgoing import outgoing
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError

MAX_LAST_LINE = 200
COMPLETE_SECONDS = 2.0
"""How long the wrapper may take to copy the last lines after the trainer has ended."""
POLL_SECONDS = 0.02
_END_BYTES = 64 << 10
LONGEST_CREDENTIAL = 4096


def read_log(folder: Folder, *, max_bytes: int) -> bytes:
    """The end of the log, of at most `max_bytes`; empty if there is none."""
    return plain_log(_end(folder, max_bytes), max_bytes=max_bytes)


def last_line(folder: Folder, clock: Clock) -> str:
    """The last line that the trainer printed before its end, without those that are empty; empty if there is none."""
    _wait_until_complete(folder, clock)
    lines = _end(folder, _END_BYTES).decode("utf-8", "replace").splitlines()
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    shown = outgoing(line)
    return shown if len(shown) <= MAX_LAST_LINE else f"{shown[: MAX_LAST_LINE - 1]}…"


def plain_log(data: bytes, *, max_bytes: int) -> bytes:
    """The log as people may read it; of one that is too long, the last lines."""
    made: list[str] = []
    left = max_bytes
    for line in reversed(data.decode("utf-8", "replace").split("\n")):
        made.append(outgoing(line))
        left -= len(made[-1].encode()) + 1
        if left < 0:
            break
    whole = "\n".join(reversed(made)).encode()
    return whole if len(whole) <= max_bytes else _from_next_line(whole[-max_bytes:], else_from=0)


def _end(folder: Folder, max_bytes: int) -> bytes:
    """The end of the log, without a line that is cut at its beginning: the cut may be inside of a credential."""
    end = _tail(folder, names.LOG, max_bytes)
    both = _tail(folder, names.LOG_BEFORE, max_bytes - len(end)) + end
    return both if len(both) < max_bytes else _from_next_line(both, else_from=LONGEST_CREDENTIAL)


def _from_next_line(data: bytes, *, else_from: int) -> bytes:
    """The bytes after the first line, or from a place on if that is a long one."""
    return data[data.find(b"\n", 0, LONGEST_CREDENTIAL) + 1 or else_from :]


def _wait_until_complete(folder: Folder, clock: Clock) -> None:
    """Wait for the wrapper, which holds a lock on the file while it copies."""
    deadline = clock.monotonic() + COMPLETE_SECONDS
    while clock.monotonic() < deadline:
        try:
            with folder.reading(names.LOG, max_bytes=sys.maxsize) as (file, _):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            clock.sleep(POLL_SECONDS)
        except (OSError, UnsafeFileError):
            return
        else:
            return


def _tail(folder: Folder, name: str, max_bytes: int) -> bytes:
    try:
        return folder.tail(name, max_bytes=max_bytes)
    except (OSError, UnsafeFileError):
        return b""
