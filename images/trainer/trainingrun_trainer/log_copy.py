"""Runs the work in a child process, and copies what it prints to the container's log and to the shared folder.

The agent uploads the copy, so that the log outlives the pod. Everything that reaches stdout or stderr is copied, also
what C++ code prints before it aborts: this process outlives the child, and reads the pipe to its end. As the first
process of its container it forwards signals and reaps processes that the child left behind.
"""

import contextlib
import fcntl
import os
import select
import signal
import sys
import traceback
from typing import Callable, Optional

from trainingrun_trainer.shared_folder import LOG, LOG_BEFORE, SharedFolder

CHUNK_BYTES = 1 << 16
SEGMENT_BYTES = (4 << 20) + CHUNK_BYTES
"""Of one file. The agent uploads the last 4 MiB, which a full file always has, so it sees that the beginning is cut."""
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
REST_BYTES = 1 << 20
"""Read after the child's end at most: something that it left behind may print without end."""
WAKE_MILLISECONDS = 1000
PR_SET_PDEATHSIG = 1


def run(work: Callable[[], int], folder: SharedFolder) -> int:
    """Do the work in a child; returns its exit code, or 128 and the number of the signal that ended it."""
    source, sink = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until somebody is there to get them
    child = os.fork()
    if child == 0:
        _be_child(source, sink, work)
    os.close(sink)
    for number in FORWARDED:
        signal.signal(number, lambda received, _: _forward(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    return _copy(source, _Log(folder), child)


def _be_child(source: int, sink: int, work: Callable[[], int]) -> None:
    """Do the work with stdout and stderr in the pipe; does not return."""
    code = 1
    try:
        _end_with_parent()
        os.close(source)
        for stream in (1, 2):
            os.dup2(sink, stream)
        os.close(sink)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        code = work()
    except BaseException:  # noqa: BLE001 - nobody else would print it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # threads of TensorFlow may not end by themselves


def _end_with_parent() -> None:
    """Let the kernel end this process with its parent, as it does in a container for the first process anyway."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _forward(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _copy(source: int, log: "_Log", child: int) -> int:
    """Copy until the child has ended and all that it printed is read; returns its exit code."""
    poller = select.poll()
    poller.register(source, select.POLLIN)
    code: Optional[int] = None
    rest = REST_BYTES
    while rest > 0:
        ready = poller.poll(WAKE_MILLISECONDS if code is None else 0)
        data = os.read(source, CHUNK_BYTES) if ready else b""
        if data:
            log.write(data)
            _print(data)
        if code is not None:
            if not data:
                break
            rest -= len(data)
        else:
            nobody_prints = bool(ready) and not data
            code = _exit_code(child, 0 if nobody_prints else os.WNOHANG)
    return 1 if code is None else code


def _exit_code(child: int, options: int) -> Optional[int]:
    """The exit code of the child, None while it runs; other processes that have ended are forgotten."""
    while True:
        process, status = os.waitpid(-1, options)
        if process == child:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if process == 0:
            return None


def _print(data: bytes) -> None:
    """Write to the container's own log; when nobody reads that, the work goes on."""
    view = memoryview(data)
    with contextlib.suppress(OSError):
        while view:
            view = view[os.write(1, view) :]


class _Log:
    """The copy: a file that is renamed when it is full, and the one before it. On a full disk it ends."""

    def __init__(self, folder: SharedFolder) -> None:
        self._path, self._before = folder.path(LOG), folder.path(LOG_BEFORE)
        self._handle, self._size = -1, 0
        self._open()

    def write(self, data: bytes) -> None:
        """Append; what cannot be written is in the container's own log only."""
        if self._size + len(data) > SEGMENT_BYTES:
            with contextlib.suppress(OSError):
                os.close(self._handle)
                os.rename(self._path, self._before)
            self._open()
        with contextlib.suppress(OSError):
            self._size += os.write(self._handle, data)

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            self._handle, self._size = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 0
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends: the copy is complete
