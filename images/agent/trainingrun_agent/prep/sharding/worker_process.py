"""A worker in a process of its own: it has a core to itself, and when a decoder crashes, only the process dies.

Invariant: the process ends when its end of the socket is closed; it has no access to buckets. It reads local files that
the main process names.
"""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.sharding.job import Needs, SentImage, ShardJob
from trainingrun_agent.prep.sharding.result import ShardResult
from trainingrun_agent.prep.sharding.shard_writer import ShardWriter
from trainingrun_agent.prep.sharding.shared_files import PassedImage, SharedFiles, taken
from trainingrun_agent.prep.sharding.worker import OpenShard, ShardWorker
from trainingrun_agent.prep.statistics.network_input import NetworkInput

END_SECONDS = 5
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(32 << 20)}
"""Lets glibc keep the memory of one image's pixels for the next. By default it gives it back after each image, and the
kernel clears 4,000 to 6,000 new pages for the next one: 10 to 17 ms of CPU for a photo of 2 or 12 megapixels, of 65 or
127. What a large image takes (images.LARGE) is still given back."""


class WorkerDiedError(Exception):
    """The process is gone; another one has to write the shard."""


class WorkerProcess:
    """A Worker in another process. All methods raise WorkerDiedError, and what the ShardWorker there raised."""

    def __init__(self, checker: Checker, network_input: NetworkInput, scratch: Path) -> None:
        ours, theirs = socket.socketpair()
        self._shared = SharedFiles(scratch)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno(), *self._shared.descriptors],
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | _ALLOCATOR,
                process_group=0,  # Ctrl-C is for the main process
            )
        self._calls = _Calls(Connection(ours.detach()))
        try:
            self._calls.send((checker, network_input, scratch))
        except WorkerDiedError:
            self.close()
            raise

    def open(self, job: ShardJob) -> RemoteShard:
        """See Worker."""
        return RemoteShard(self._calls, cast("Needs", self._calls.call("open", job)), self._shared)

    def close(self) -> None:
        """End the process."""
        self._calls.close()
        self._shared.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class RemoteShard:
    """An OpenJob in the other process."""

    def __init__(self, calls: _Calls, needs: Needs, shared: SharedFiles) -> None:
        self._calls, self.needs, self._shared = calls, needs, shared

    def begin(self, previous_shards: Mapping[int, Path]) -> RemoteWriter:
        """See OpenJob."""
        self._calls.call("begin", previous_shards)
        return RemoteWriter(self._calls, self._shared)


class RemoteWriter:
    """A ShardWriting in the other process. It is sent the next images while it checks the ones before."""

    def __init__(self, calls: _Calls, shared: SharedFiles) -> None:
        self._calls, self._shared = calls, shared

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """An unfinished shard ends with its process."""

    def feed(self, images: Sequence[SentImage]) -> None:
        """See ShardWriting; errors may be raised by a later call."""
        self._calls.start("feed", self._shared.put(images))
        self._calls.wait(unanswered=1)  # so that the batch before the next one is no longer read (SharedFiles)

    def drain(self) -> None:
        """See ShardWriting."""
        self._calls.wait(unanswered=0)

    def finish(self) -> ShardResult:
        """See ShardWriting."""
        return cast("ShardResult", self._calls.call("finish"))


class _Calls:
    """Calls of methods in the other process; answers come in the order of the calls."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._unanswered = connection, 0

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method, wait until all calls are answered, and return the last answer."""
        self.wait(unanswered=0)
        self.send((method, arguments))
        return self._receive()

    def start(self, method: str, *arguments: Any) -> None:
        """Call a method whose answer is waited for later."""
        self.send((method, arguments))
        self._unanswered += 1

    def wait(self, *, unanswered: int) -> None:
        """Wait until at most so many calls are unanswered."""
        while self._unanswered > unanswered:
            self._unanswered -= 1
            self._receive()

    def send(self, message: Any) -> None:
        """Send one message."""
        try:
            self._connection.send(message)
        except OSError as error:
            raise WorkerDiedError from error

    def close(self) -> None:
        """Close this end, which ends the process."""
        self._connection.close()

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerDiedError from error
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Service:
    """The methods that are called from the main process, and the job that the calls are about."""

    _shard: OpenShard
    _writer: ShardWriter

    def __init__(self, worker: ShardWorker) -> None:
        self._worker = worker

    def open(self, job: ShardJob) -> Needs:
        self._shard = self._worker.open(job)
        return self._shard.needs

    def begin(self, previous_shards: Mapping[int, Path]) -> None:
        self._writer = self._shard.begin(previous_shards)

    def feed(self, images: Sequence[PassedImage]) -> None:
        self._writer.feed(taken(images))

    def finish(self) -> ShardResult:
        result = self._writer.finish()
        del self._shard, self._writer  # free the previous rows before the next job has its own
        return result


def serve(descriptor: int) -> None:
    """Run the other process: answer calls until the main process closes the connection."""
    gc.freeze()  # The modules' objects stay; without this, every collection would look through them.
    connection = Connection(descriptor)
    with suppress(EOFError, ConnectionError):
        service = _Service(ShardWorker(*connection.recv()))
        while True:
            method, arguments = connection.recv()
            try:
                answer = getattr(service, method)(*arguments)
            except Exception as error:  # raised again by the main process  # noqa: BLE001
                answer = error
            connection.send(answer)
