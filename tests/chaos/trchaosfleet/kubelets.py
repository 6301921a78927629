"""The kubelets of the fake nodes: they start pods, end them as their scripts say, and report it to the API server.

Invariant: the ledger knows that containers have started or ended before the API server does.
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any, Final

from trainingrun.api.names import AGENT
from trchaosfleet.kube import ApiError, Body, Kube
from trchaosfleet.ledger import Ledger, PodLife
from trchaosfleet.script import SUCCEEDED

NOBODY: Final = "127.66.6.6"  # an address where no agent listens
KILLED: Final = 137


class Handle:
    """One pod: its newest object, and whether it was told to end."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.scheduled, self.told = asyncio.Event(), asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Kubelets:
    """All nodes; a node that is cut off reports nothing and hears nothing, while its containers go on."""

    def __init__(self, kube: Kube, ledger: Ledger, rng: random.Random) -> None:
        self._kube, self._ledger, self._rng = kube, ledger, rng
        self._handles: dict[str, Handle] = {}
        self._cut_off: dict[str, asyncio.Event] = {}  # set once the node is connected again
        self.failures: list[BaseException] = []

    async def follow(self, namespace: str) -> None:
        """Serve the pods of a namespace without end."""
        async for kind, body in self._kube.watch("pods", namespace):
            self.see(kind, body)

    def see(self, kind: str, body: Body) -> None:
        """Take a change of a pod."""
        uid = body["metadata"]["uid"]
        life = self._ledger.see_pod(kind, body)
        handle = self._handles.get(uid)
        if kind == "DELETED":
            if handle is not None:
                handle.told.set()
            if life is not None and life.started and not life.ended:
                self._ledger.end(life, "", disturbed=True)  # its object was removed by force: the kubelet ends it
            return
        if handle is None:
            handle = self._handles[uid] = Handle(body)
            handle.task = asyncio.create_task(self._serve(handle, life))
            handle.task.add_done_callback(self._note_failure)
        handle.body = body
        if body["spec"].get("nodeName"):
            handle.scheduled.set()
        if "deletionTimestamp" in body["metadata"]:
            handle.told.set()

    def cut_off(self, node: str) -> None:
        """Cut a node off from the API server."""
        self._cut_off.setdefault(node, asyncio.Event())

    def reconnect(self, *nodes: str) -> None:
        """Reconnect these nodes, or all."""
        for node in nodes or tuple(self._cut_off):
            if (connected := self._cut_off.pop(node, None)) is not None:
                connected.set()

    async def close(self) -> None:
        """Stop all kubelets."""
        tasks = [handle.task for handle in self._handles.values() if handle.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append(error)

    async def _serve(self, handle: Handle, life: PodLife | None) -> None:
        await _first(handle.scheduled, handle.told)
        await self._reach(handle)
        if not await _is_set_within(handle.told, self._rng.uniform(0.02, 0.6)):
            await self._reach(handle)
            if life is not None:
                self._ledger.start(life)
            await self._report(handle, "Running", {"running": {"startedAt": _now()}})
            if life is None:
                await handle.told.wait()
            else:
                await self._run(handle, life)
        await handle.told.wait()
        await self._reach(handle)
        await self._kube.delete(
            "pods", handle.body["metadata"]["name"], handle.body["metadata"]["namespace"], gracePeriodSeconds=0
        )

    async def _run(self, handle: Handle, life: PodLife) -> None:
        script = self._ledger.script_of(life)
        disturbed = await _is_set_within(handle.told, self._rng.uniform(0.2, 3.0)) or script is None
        outcome = ""
        if disturbed:
            await self._reach(handle)
            await asyncio.sleep(self._rng.uniform(0.05, 1.5))
            outcome = script.disturbed_end() if script is not None else ""
        elif script is not None:
            outcome = script.next_end(life.stage)
        message = script.message(life.stage, outcome) if script is not None else ""
        if not life.ended:
            self._ledger.end(life, outcome, disturbed=disturbed)
        await self._reach(handle)
        failed = outcome != SUCCEEDED
        ended: Body = {
            "exitCode": (int(failed) if outcome else KILLED),
            "reason": "Error" if failed else "Completed",
            "startedAt": _now(),
            "finishedAt": _now(),
        }
        await self._report(handle, "Failed" if failed else "Succeeded", {"terminated": ended}, message=message)

    async def _report(self, handle: Handle, phase: str, state: Body, *, message: str = "") -> None:
        meta = handle.body["metadata"]
        states: list[Body] = []
        for container in handle.body["spec"]["containers"]:
            own: dict[str, Any] = {kind: dict(fields) for kind, fields in state.items()}
            if message and container["name"] == AGENT:
                own["terminated"]["message"] = message
            ready = phase == "Running"
            states.append(
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready,
                    "restartCount": 0,
                    "state": own,
                }
            )
        conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": _now()}]
        conditions.append({"type": "Ready", "status": str(phase == "Running"), "lastTransitionTime": _now()})
        status = {"phase": phase, "containerStatuses": states, "conditions": conditions}
        if phase == "Running":
            status |= {"podIP": NOBODY, "podIPs": [{"ip": NOBODY}], "startTime": _now()}
        try:
            body = {"metadata": {"uid": meta["uid"]}, "status": status}
            await self._kube.patch("pods", meta["name"], body, meta["namespace"], sub="status")
        except ApiError as error:
            if error.status != 422:  # the name belongs to another pod now
                raise

    async def _reach(self, handle: Handle) -> None:
        connected = self._cut_off.get(handle.body["spec"].get("nodeName", ""))
        if connected is not None:
            await connected.wait()


async def keep_nodes_alive(kube: Kube) -> None:
    """Renew the Leases of all nodes, as their kubelets do; without end."""
    while True:
        for node in await kube.list("nodes"):
            renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            await kube.patch("leases", node["metadata"]["name"], {"spec": {"renewTime": renewed}}, "kube-node-lease")
        await asyncio.sleep(10)


async def _first(*events: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
