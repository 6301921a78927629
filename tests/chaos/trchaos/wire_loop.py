"""An event loop in virtual time for parts that talk over loopback: its clock jumps only when nothing is on its way.

Both ends of every connection are in this process, so the loop can count: what one end has sent the other has received,
and no connection is being made or has just been closed. Real time never counts, so a busy machine makes no call late.
Unlike the loop of the model, the order of steps within a moment depends on the kernel: two executions of a schedule are
alike, not the same.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from asyncio import selector_events
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, TypeVarTuple

from trchaos.loop import HotLoopError, StuckError, run_virtual

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Address = tuple[str, int]
STEP_SECONDS: Final = 1e-6  # that each round takes, so that a wait of next to nothing ends
MAX_ROUNDS: Final = 50_000  # of the loop, within a second of its time
LOOK_SECONDS: Final = 0.01  # of real time, for each look at what is on its way
PATIENCE_SECONDS: Final = 2.0  # of real time; a process that stands still while it connects answers never


class WireLoop(asyncio.SelectorEventLoop):
    """Its `time()` starts at 0."""

    def __init__(self) -> None:
        self._seconds = self._second = 0.0
        self._rounds = 0
        self._busy = 0  # connections that are being made, and calls in threads
        self.ends: dict[tuple[Address, Address], _Transport] = {}  # by their own address and the other one
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._seconds

    def step(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += STEP_SECONDS + seconds
        self._rounds += 1
        if self._seconds - self._second > 1.0:
            self._second, self._rounds = self._seconds, 0
        elif self._rounds > MAX_ROUNDS:
            raise HotLoopError(f"more than {MAX_ROUNDS} rounds of the event loop within a second")

    def on_its_way(self) -> list[_Transport]:
        """The ends of connections that something has still to reach."""
        return [end for (own, other), end in self.ends.items() if end.expects(self.ends.get((other, own)))]

    @property
    def is_busy(self) -> bool:
        """Whether a connection is being made, or a thread at work."""
        return self._busy > 0

    async def sock_connect(self, sock: Any, address: Any) -> None:
        self._busy += 1
        try:
            await super().sock_connect(sock, address)
        finally:
            self._busy -= 1

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """HTTP clients look into files in threads, before each call."""
        self._busy += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._is_back)
        return future

    async def shutdown_default_executor(self, *arguments: Any) -> None:
        self._busy += 1  # it waits for another thread
        await super().shutdown_default_executor(*arguments)
        self._busy -= 1

    def _is_back(self, _: object) -> None:
        self._busy -= 1

    def _make_socket_transport(self, sock: Any, protocol: Any, waiter: Any = None, **options: Any) -> Any:
        return _Transport(self, _CountingSocket(sock), protocol, waiter, **options)


class _CountingSocket:
    """A socket that counts what it has received."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.received = 0

    def recv(self, size: int) -> bytes:
        data: bytes = self._sock.recv(size)
        self.received += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Transport(selector_events._SelectorSocketTransport):  # type: ignore[name-defined,misc]
    """One end of a connection."""

    def __init__(self, loop: WireLoop, sock: _CountingSocket, *arguments: Any, **options: Any) -> None:
        self.sent, self.counter, self.given_up = 0, sock, False
        self._key = sock.getsockname(), sock.getpeername()
        loop.ends[self._key] = self
        super().__init__(loop, sock, *arguments, **options)

    def expects(self, other: _Transport | None) -> bool:
        """Whether something has still to reach this end: data, the other end's beginning, or its close."""
        if self.given_up or not self.is_reading():
            return False
        return other is None or bool(other.sent > self.counter.received)

    def write(self, data: Any) -> None:
        if not self._conn_lost:
            self.sent += len(data)
        super().write(data)

    def _call_connection_lost(self, exc: Any) -> None:
        if self._loop.ends.get(self._key) is self:
            del self._loop.ends[self._key]
        super()._call_connection_lost(exc)


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: WireLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout != 0:
            ready = self._wait()
            if not ready and timeout is None:
                raise StuckError("every task waits for another one")
        self._loop.step(0.0 if ready else timeout or 0.0)
        return ready

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, in real time, for what is on its way; nothing if nothing is."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (ends := self._loop.on_its_way()) or self._loop.is_busy:
            if ready := super().select(LOOK_SECONDS):
                return ready
            if time.monotonic() > until:
                for end in ends:
                    end.given_up = True
                return []
        return []


def run_wire(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time, beside sockets."""
    return run_virtual(work, make_loop=WireLoop)
