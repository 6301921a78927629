"""The operator's processes of one release: started, killed, paused and cut off from the API server by the schedule."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from trchaosfleet.proxy import Chooser, FaultProxy, Observer
from trfakes.harness import free_port
from trfakes.operator_process import START

LOST_POD_SECONDS: Final = 4
STOP_SECONDS: Final = 60  # on a busy machine; kopf gives its tasks 25
# Waits of the image that would take minutes, in the same order. A resync stays as rare as it is: it would hide news
# that was lost.
QUICK: Final = """
from trainingrun import handlers
from trainingrun.builders import jobs
from trainingrun.domain import acceptance, assess, tensorboard, verdicts
from trainingrun.engine import lease, place, workqueue
from trainingrun.kube import client
lease.LEASE_SECONDS, lease.WRITE_SECONDS, lease.RENEW_SECONDS = 8, 6.5, 2.0
lease.RENEW_AGAIN_SECONDS, lease.CALL_SECONDS = 0.5, 2.5
place.TRY_AGAIN_SECONDS, place.SETTLE_SECONDS, place.LIST_AGAIN_SECONDS = 1.0, 2.0, 0.5
workqueue.MAX_SECONDS, workqueue.HOLD_SECONDS = 6.0, 2.0
verdicts.BACK_OFF_SECONDS = (0, 1, 1, 2, 2, 3)
assess.CAUSE_SECONDS = 2
acceptance.READ_AGAIN_SECONDS = (1, 4)
tensorboard.FIRST_ABSENCE_SECONDS, tensorboard.LONGEST_ABSENCE_SECONDS = 3, 5
client.TIMEOUT_SECONDS = 4.0
jobs._grace_seconds = lambda stage, resolved: 2
usual = handlers.configure
def configure(settings):
    usual(settings)
    settings.watching.inactivity_timeout = 6
    settings.networking.request_timeout, settings.watching.connect_timeout = 3, 3
handlers.configure = configure
"""


class OperatorProcess:
    """One process with its proxy; its log goes on in the same file when it is started again."""

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        environment: Mapping[str, str],
        token: str,
        server: str,
        tls: ssl.SSLContext,
        faults: Chooser,
        sees: Observer,
    ) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        self.proxy = FaultProxy(name, server, tls=tls, faults=faults, sees=sees)
        self._kubeconfig, self._token, self._environment = folder / f"{name}.kubeconfig", token, environment
        self._process: asyncio.subprocess.Process | None = None
        self._paused = False
        self._told = False  # to end, by us
        self._forwarded_before = 0
        self._ends: set[asyncio.Task[None]] = set()
        self.exits: list[int] = []  # codes of ends that nobody asked for

    @property
    def running(self) -> bool:
        """Whether the process exists."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process if it does not run."""
        if self.running:
            return
        self._kubeconfig.write_text(yaml.safe_dump(_kubeconfig(self.proxy.port, self._token)))
        environment = {
            **self._environment,
            "TRAININGRUN_POD_NAME": self.name,
            "TRAININGRUN_PORT": str(free_port()),
            "KUBECONFIG": str(self._kubeconfig),
        }
        self._told, self._forwarded_before = False, self.proxy.forwarded
        with self.log.open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", f"{QUICK}\n{START}", env=environment, stdout=log, stderr=log
            )
        task = asyncio.create_task(self._note_end(process))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _note_end(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if not self._told:
            self.exits.append(code)

    async def kill(self) -> None:
        """End it by SIGKILL."""
        self._told = True
        if self._process is not None and self.running:
            self._process.kill()
            await self._process.wait()

    @property
    def is_new(self) -> bool:
        """Whether it has asked the API server for nothing yet: it may not have a handler for signals."""
        return self.proxy.forwarded == self._forwarded_before

    async def kill_at_write(self, *, within: float) -> None:
        """End it by SIGKILL between a write and its answer, or after so many seconds without a write."""
        process = self._process
        if process is None or not self.running:
            return
        self._told = True
        self.proxy.at_next_write = process.kill
        try:
            async with asyncio.timeout(within):
                await process.wait()
        except TimeoutError:
            await self.kill()
        finally:
            self.proxy.at_next_write = None

    async def stop(self) -> int:
        """End it by SIGTERM, as the kubelet does; returns its exit code."""
        if self._process is None or not self.running:
            return 0
        process, told, self._told = self._process, self._told, True
        self.resume()
        if not told:  # a kubelet sends SIGTERM once
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await process.wait()
        except TimeoutError:
            await self.kill()
            return -signal.SIGKILL
        return 0 if code == -signal.SIGKILL else code  # the schedule has killed it meanwhile

    def pause(self) -> None:
        """Stop its clock of work, as a node does that hangs."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGSTOP)
            self._paused = True

    def resume(self) -> None:
        """Let it go on after a pause."""
        if self._process is not None and self.running and self._paused:
            self._process.send_signal(signal.SIGCONT)
        self._paused = False


def _kubeconfig(port: int, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "operator"}}],
    }
