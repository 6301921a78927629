"""The shared folder as the trainer sees it; every document is replaced by rename, so that none is read half-written."""

import fcntl
import json
import os
import threading
import time

MAX_SPEC_BYTES = 1 << 20
CONTRACT_VERSION = 1


class SharedFolder(object):
    """Documents of one shared folder."""

    def __init__(self, root):
        # type: (str) -> None
        self.root = os.path.abspath(root)

    def path(self, *parts):
        # type: (*str) -> str
        """Absolute path of something in the folder."""
        return os.path.join(self.root, *parts)

    def write(self, name, document):
        # type: (str, dict) -> None
        """Write a JSON document by rename."""
        target = self.path(name)
        scratch = "{}.{}.tmp".format(target, os.getpid())
        with open(scratch, "w") as handle:
            json.dump(dict(document, contractVersion=CONTRACT_VERSION), handle)
        os.rename(scratch, target)

    def read(self, name):
        # type: (str) -> dict or None
        """Read a JSON document, None when it is not there."""
        try:
            with open(self.path(name)) as handle:
                return json.loads(handle.read(MAX_SPEC_BYTES))
        except FileNotFoundError:
            return None

    def lock(self):
        # type: () -> int
        """Take the lock that tells the agent that we live, held until this process ends; then say that we started."""
        handle = os.open(self.path("trainer.lock"), os.O_RDWR | os.O_CREAT, 0o660)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with open(self.path("trainer.started"), "w"):
            pass
        return handle


class ProgressWriter(object):
    """What the trainer is doing, written every second by a thread of its own, also while TensorFlow works."""

    def __init__(self, folder, interval=1.0):
        # type: (SharedFolder, float) -> None
        self._folder, self._interval = folder, interval
        self._lock = threading.Lock()
        self._fields = {"phase": "importing", "lastAdvance": time.time()}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_for_ever, name="progress", daemon=True)

    def start(self):
        # type: () -> None
        """Begin to write."""
        self._thread.start()

    def stop(self):
        # type: () -> None
        """Write once more and end."""
        self._ended.set()
        self._thread.join()
        self._write()

    def advance(self, **fields):
        # type: (**object) -> None
        """Note that the work moved on; None removes a field."""
        with self._lock:
            self._fields.update(fields, lastAdvance=time.time())
            self._fields = {name: value for name, value in self._fields.items() if value is not None}

    def _write_for_ever(self):
        # type: () -> None
        while not self._ended.wait(self._interval):
            self._write()

    def _write(self):
        # type: () -> None
        with self._lock:
            document = dict(self._fields, updated=time.time())
        try:
            self._folder.write("progress.json", document)
        except OSError as error:  # a full disk must not end the training by its progress
            print("progress.json: {}".format(error), flush=True)
