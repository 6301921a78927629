"""The folder that trainer and agent share.

Every document is replaced by rename, so nobody reads half a document. On a full disk, done.json is written into space
that was reserved at the start, and progress.json in place: how the trainer ends, and that it lives, stay known.
"""

import contextlib
import fcntl
import json
import os
import threading
import time
from typing import Any, Callable, Dict, Optional

MAX_DOCUMENT_BYTES = 1 << 20
CONTRACT_VERSION = 1

# Names in the folder, as in images/contracts/README.md; spec.json names all other files.
SPEC = "spec.json"
FETCH_FAILED = "fetch-failed.json"
PROGRESS = "progress.json"
READY = "ready"
EXPORT = "export"
DONE = "done.json"
STACKS = "stacks.txt"
LOCK = "trainer.lock"
STARTED = "trainer.started"
LOG, LOG_BEFORE = "trainer.log", "trainer.log.1"
RESERVE = "done.reserve"
RESERVE_BYTES = 1 << 15  # more than done.json ever has


class SharedFolder:
    """Reads and writes the documents of one shared folder."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)

    def path(self, *parts: str) -> str:
        """Absolute path of a file in the folder."""
        return os.path.join(self.root, *parts)

    def write(self, name: str, document: Dict[str, Any]) -> None:
        """Write a JSON document under a temporary name, then rename it."""
        target = self.path(name)
        scratch = f"{target}.{os.getpid()}.tmp"
        try:
            with open(scratch, "wb") as handle:
                handle.write(_encode(document))
            os.rename(scratch, target)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(scratch)
            raise

    def write_in_place(self, name: str, document: Dict[str, Any]) -> None:
        """Write a JSON document over the old one, which needs no space; a reader may see half of it."""
        _fill(self.path(name), document)

    def reserve(self) -> None:
        """Reserve disk space for done.json; without it, done.json is written as long as there is some."""
        try:
            with open(self.path(RESERVE), "wb") as handle:
                os.posix_fallocate(handle.fileno(), 0, RESERVE_BYTES)
        except OSError as error:
            print(f"no space is reserved for done.json: {error}", flush=True)

    def write_done(self, document: Dict[str, Any]) -> None:
        """Write done.json into the reserved space, then rename it."""
        _fill(self.path(RESERVE), document)
        os.rename(self.path(RESERVE), self.path(DONE))

    def read(self, name: str) -> Optional[Dict[str, Any]]:
        """Read a JSON document; None when the file does not exist."""
        try:
            with open(self.path(name)) as handle:
                document: Dict[str, Any] = json.loads(handle.read(MAX_DOCUMENT_BYTES))
                return document
        except FileNotFoundError:
            return None

    def lock(self) -> int:
        """Take trainer.lock, by which the agent sees that the trainer lives, then create trainer.started.

        The kernel releases the lock when this process ends, however it ends.
        """
        handle = os.open(self.path(LOCK), os.O_RDWR | os.O_CREAT, 0o660)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with open(self.path(STARTED), "w"):
            pass
        return handle


class ProgressWriter:
    """Writes progress.json every second from a thread of its own, also while TensorFlow is busy."""

    def __init__(
        self,
        folder: SharedFolder,
        interval: float = 1.0,
        peak_memory: Callable[[], Optional[int]] = lambda: None,
    ) -> None:
        self._folder, self._interval, self._peak_memory = folder, interval, peak_memory
        self._lock = threading.Lock()
        self._fields: Dict[str, Any] = {"phase": "importing", "lastAdvance": time.time()}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write_until_stopped, name="progress", daemon=True)

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, then write the last state."""
        self._stopped.set()
        self._thread.join()
        self._write()

    def advance(self, **fields: Any) -> None:
        """Record that the work moved on, and set fields of progress.json; None removes a field."""
        with self._lock:
            self._fields.update(fields, lastAdvance=time.time())
            self._fields = {name: value for name, value in self._fields.items() if value is not None}

    def _write_until_stopped(self) -> None:
        while not self._stopped.wait(self._interval):
            self._write()

    def _write(self) -> None:
        with self._lock:
            document = dict(self._fields, updated=time.time())
        peak = self._peak_memory()
        if peak is not None:
            document["peakMemoryBytes"] = peak
        try:
            self._folder.write(PROGRESS, document)
        except OSError as error:  # progress is not worth ending a training for, for example on a full disk
            print(f"progress.json cannot be replaced: {error}", flush=True)
            with contextlib.suppress(OSError):
                self._folder.write_in_place(PROGRESS, document)


def _encode(document: Dict[str, Any]) -> bytes:
    return json.dumps(dict(document, contractVersion=CONTRACT_VERSION)).encode()


def _fill(path: str, document: Dict[str, Any]) -> None:
    """Replace the content of a file, which is made if it is missing, in the space that it has."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as handle:
        handle.write(_encode(document))
        handle.truncate()
