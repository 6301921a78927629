"""A ShardMaker in a process of its own: a core to itself, and nothing lost when a decoder brings it down.

Invariant: the process ends when its end of the socket does; it never touches storage.
"""

from __future__ import annotations

import fcntl
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, cast

from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.sharding.job import Fetched, Needs, ShardJob, ShardResult
from trainingrun_agent.prep.sharding.worker import ShardMaker
from trainingrun_agent.prep.statistics.network_input import NetworkInput

END_SECONDS = 5


class Maker(Protocol):
    """See ShardMaker."""

    def open(self, job: ShardJob) -> Needs:
        """Compare the job with what is remembered of it."""

    def begin(self, shards: Mapping[int, Path]) -> None:
        """Start writing."""

    def feed(self, items: Sequence[Fetched]) -> None:
        """Check images."""

    def settle(self) -> None:
        """Wait until everything fed is checked."""

    def finish(self) -> ShardResult:
        """The shard is complete."""

    def close(self) -> None:
        """Make no more; a shard that is not finished is left as it is."""


class WorkerDiedError(Exception):
    """The process is gone; the shard has to be made again by another one."""


class WorkerProcess:
    """A Maker in another process. One batch is on its way while another one is being checked."""

    def __init__(self, checker: Checker, network_input: NetworkInput, scratch: Path) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                process_group=0,  # Ctrl-C is for the main process
            )
        self._connection = Connection(ours.detach())
        self._waiting = 0
        try:
            self._send((checker, network_input, scratch))
        except WorkerDiedError:
            self.close()
            raise

    def open(self, job: ShardJob) -> Needs:
        """See Maker. This and all others raise WorkerDiedError, and what the maker raised."""
        return cast("Needs", self._call("open", job))

    def begin(self, shards: Mapping[int, Path]) -> None:
        """See Maker."""
        self._call("begin", shards)

    def feed(self, items: Sequence[Fetched]) -> None:
        """See Maker; what it raises may come with a later call."""
        self._send(("feed", (items,)))
        self._waiting += 1
        while self._waiting > 1:
            self._take()

    def settle(self) -> None:
        """See Maker."""
        while self._waiting:
            self._take()

    def finish(self) -> ShardResult:
        """See Maker."""
        return cast("ShardResult", self._call("finish"))

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _call(self, name: str, *arguments: Any) -> Any:
        self.settle()
        self._send((name, arguments))
        return self._receive()

    def _take(self) -> None:
        self._waiting -= 1
        self._receive()

    def _send(self, message: Any) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise WorkerDiedError from error

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerDiedError from error
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def one_at_a_time(scratch: Path) -> Iterator[None]:
    """Entered by one worker at a time."""
    with (scratch / "large.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def local_maker(checker: Checker, network_input: NetworkInput, scratch: Path) -> ShardMaker:
    """A maker whose large images wait for those of other workers."""
    return ShardMaker(replace(checker, large=partial(one_at_a_time, scratch)), network_input, scratch)


def serve(descriptor: int) -> None:
    """The other process, from its start to its end."""
    gc.freeze()  # what the modules made stays, and need not be looked through again and again
    connection = Connection(descriptor)
    with suppress(EOFError, ConnectionError), closing(local_maker(*connection.recv())) as maker:
        while True:
            name, arguments = connection.recv()
            try:
                answer = getattr(maker, name)(*arguments)
            except Exception as error:  # raised again on the other side  # noqa: BLE001
                answer = error
            connection.send(answer)
