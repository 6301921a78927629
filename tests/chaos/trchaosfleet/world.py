"""Users, administrators and accidents: carry out what was drawn, and take everything back in the end."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from trainingrun.api.names import LABEL_STAGE
from trchaosfleet.events import Birth, Happening
from trchaosfleet.kube import Body, Kube
from trchaosfleet.kubelets import Kubelets
from trchaosfleet.ledger import Ledger
from trchaosfleet.operators import OperatorProcess
from trchaosfleet.weather import Weather
from trfakes.builders import a_run
from trfakes.cluster_rules import cost_center_rule

FINALIZER: Final = "chaos.trainingrun.dev/stuck"
QUOTA: Final = "chaos"
_POLICIES: Final = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")


class World:
    """Everything that an operator does not control."""

    def __init__(
        self,
        kube: Kube,
        ledger: Ledger,
        kubelets: Kubelets,
        operators: Sequence[OperatorProcess],
        namespaces: Sequence[str],
        weather: Weather,
    ) -> None:
        self._kube, self._ledger, self._kubelets = kube, ledger, kubelets
        self._operators, self.namespaces, self._weather = operators, namespaces, weather
        self.happened: Counter[str] = Counter()
        self._births: dict[str, Birth] = {}

    async def create(self, birth: Birth) -> None:
        """Create a run."""
        self._births[birth.name] = birth
        run = a_run(birth.name).spec(tensorboard={"enabled": birth.tensorboard}, suspend=birth.suspended)
        if birth.ttl is not None:
            run = run.spec(ttlSecondsAfterFinished=birth.ttl)
        await self._kube.create("trainingruns", run.body(), self.namespaces[birth.namespace])

    async def happen(self, event: Happening) -> None:
        """Carry out one event, also its end."""
        acts: dict[str, Callable[[Happening], Awaitable[bool]]] = {
            "delete Job": lambda e: self._delete("jobs", e),
            "delete pod": lambda e: self._delete("pods", e),
            "remove pod": lambda e: self._delete("pods", e, gracePeriodSeconds=0),
            "delete Job of an unseen pod": self._delete_job_unseen,
            "delete ConfigMap": lambda e: self._delete("configmaps", e),
            "pod stuck": self._stick,
            "delete run": self._delete_run,
            "delete run, create again": self._delete_run,
            "suspend Job": self._suspend_job,
            "suspend": self._suspend,
            "retry": self._retry,
            "finish": lambda e: self._set(e, finish=e.pick < 0.7),
            "ttl": lambda e: self._set(e, ttlSecondsAfterFinished=int(e.seconds)),
            "quota on Jobs": lambda e: self._quota(e, "count/jobs.batch"),
            "quota on pods": lambda e: self._quota(e, "pods"),
            "policy on Jobs": lambda e: self._policy(e, "jobs"),
            "policy on pods": lambda e: self._policy(e, "pods"),
            "node cut off": self._cut_off_node,
            "operator killed": self._kill,
            "operator stopped": self._stop,
            "operator paused": self._pause,
            "operator cut off": self._cut_off_operator,
        }
        self._ledger.trace("begins", event)
        did = await acts[event.kind](event)
        self._ledger.trace("ended", event, did)
        if did:
            self.happened[event.kind] += 1

    async def heal(self) -> None:
        """Take back every fault that lasts."""
        self._kubelets.reconnect()
        for operator in self._operators:
            operator.proxy.reconnect()
            operator.resume()
        if not any(operator.running for operator in self._operators):
            await self._operators[0].start()
        for namespace in self.namespaces:
            await self._kube.delete("resourcequotas", QUOTA, namespace)
            await self._remove_policies(namespace)
            for pod in await self._kube.list("pods", namespace):
                await self._release(pod)
            for job in await self._kube.list("jobs", namespace):
                if job["spec"].get("suspend"):
                    await self._kube.patch("jobs", job["metadata"]["name"], {"spec": {"suspend": False}}, namespace)
            for run in await self._kube.list("trainingruns", namespace):
                if run["spec"].get("suspend"):
                    await self._patch_run(run, suspend=False)

    async def _found(self, plural: str, event: Happening) -> Body | None:
        """Choose one object of a kind that belongs to a run and is not being deleted."""
        found = [
            body
            for namespace in self.namespaces
            for body in await self._kube.list(plural, namespace)
            if "deletionTimestamp" not in body["metadata"] and _is_of_run(plural, body)
        ]
        found.sort(key=lambda body: (body["metadata"]["namespace"], body["metadata"]["name"]))
        return found[int(event.pick * len(found))] if found else None

    async def _delete(self, plural: str, event: Happening, **options: Any) -> bool:
        body = await self._found(plural, event)
        if body is None:
            return False
        meta = body["metadata"]
        return await self._kube.delete(plural, meta["name"], meta["namespace"], **options)

    async def _delete_job_unseen(self, event: Happening) -> bool:
        """Let the watch of pods hang, and delete the Job of a pod that has started since."""
        before = set(self._ledger.pods)
        self._weather.hang("pods", event.seconds)
        for _ in range(int(event.seconds / 0.1)):
            await asyncio.sleep(0.1)
            for pod in self._ledger.pods.values():
                if pod.uid not in before and pod.started and not pod.ended:
                    return await self._kube.delete("jobs", pod.name.rpartition("-")[0], pod.namespace)
        return False

    async def _stick(self, event: Happening) -> bool:
        """Delete a pod whose finalizer keeps it for a while."""
        pod = await self._found("pods", event)
        if pod is None:
            return False
        meta = pod["metadata"]
        finalizers = [*(meta.get("finalizers") or ()), FINALIZER]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": finalizers}}
        stuck = await self._kube.patch("pods", meta["name"], patch, meta["namespace"])
        if stuck is None or not await self._kube.delete("pods", meta["name"], meta["namespace"]):
            return False
        await asyncio.sleep(event.seconds)
        await self._release(stuck)
        return True

    async def _release(self, pod: Body) -> None:
        """Remove our finalizer from a pod; tried again when something else has changed the pod meanwhile."""
        meta = pod["metadata"]
        for _ in range(20):
            found = [
                body
                for body in await self._kube.list("pods", meta["namespace"])
                if body["metadata"]["uid"] == meta["uid"] and FINALIZER in (body["metadata"].get("finalizers") or ())
            ]
            if not found:
                return
            now = found[0]["metadata"]
            left = [name for name in now["finalizers"] if name != FINALIZER]
            patch = {"metadata": {"resourceVersion": now["resourceVersion"], "finalizers": left}}
            await self._kube.patch("pods", meta["name"], patch, meta["namespace"])

    async def _delete_run(self, event: Happening) -> bool:
        run = await self._found("trainingruns", event)
        if run is None:
            return False
        meta = run["metadata"]
        self._ledger.runs[meta["uid"]].deleted_by_user = True
        deleted = await self._kube.delete("trainingruns", meta["name"], meta["namespace"])
        if deleted and event.kind != "delete run":
            await self.create(self._births[meta["name"]])
        return deleted

    async def _suspend_job(self, event: Happening) -> bool:
        job = await self._found("jobs", event)
        if job is None or job["spec"].get("suspend") or (job.get("status") or {}).get("conditions"):
            return False
        meta = job["metadata"]
        for value, seconds in ((True, event.seconds), (False, 0.0)):
            patch = {"metadata": {"uid": meta["uid"]}, "spec": {"suspend": value}}
            if await self._kube.patch("jobs", meta["name"], patch, meta["namespace"]) is None:
                return False
            await asyncio.sleep(seconds)
        return True

    async def _suspend(self, event: Happening) -> bool:
        run = await self._found("trainingruns", event)
        if run is None or not await self._patch_run(run, suspend=True):
            return False
        await asyncio.sleep(event.seconds)
        await self._patch_run(run, suspend=False)
        return True

    async def _retry(self, event: Happening) -> bool:
        run = await self._found("trainingruns", event)
        return run is not None and await self._patch_run(run, retry=run["spec"].get("retry", 0) + 1)

    async def _set(self, event: Happening, **spec: Any) -> bool:
        run = await self._found("trainingruns", event)
        return run is not None and await self._patch_run(run, **spec)

    async def _patch_run(self, run: Body, **spec: Any) -> bool:
        meta = run["metadata"]
        return await self._kube.patch("trainingruns", meta["name"], {"spec": spec}, meta["namespace"]) is not None

    async def _quota(self, event: Happening, what: str) -> bool:
        namespace = self._namespace(event)
        body = {"metadata": {"name": QUOTA}, "spec": {"hard": {what: "0"}}}
        if await self._kube.create("resourcequotas", body, namespace) is None:
            return False
        await asyncio.sleep(event.seconds)
        return await self._kube.delete("resourcequotas", QUOTA, namespace)

    async def _policy(self, event: Happening, plural: str) -> bool:
        namespace = self._namespace(event)
        rule, binding = cost_center_rule(namespace, kinds=(plural,))
        if await self._kube.create(_POLICIES[0], rule) is None:
            return False
        await self._kube.create(_POLICIES[1], binding)
        await asyncio.sleep(event.seconds)
        await self._remove_policies(namespace)
        return True

    async def _remove_policies(self, namespace: str) -> None:
        rule, _ = cost_center_rule(namespace)
        for plural in reversed(_POLICIES):
            await self._kube.delete(plural, rule["metadata"]["name"])

    async def _cut_off_node(self, event: Happening) -> bool:
        nodes = await self._kube.list("nodes")
        node = nodes[int(event.pick * len(nodes))]["metadata"]["name"]
        self._kubelets.cut_off(node)
        await asyncio.sleep(2 * event.seconds)
        self._kubelets.reconnect(node)
        return True

    def _namespace(self, event: Happening) -> str:
        return self.namespaces[int(event.pick * len(self.namespaces))]

    def _operator(self, event: Happening) -> OperatorProcess | None:
        running = [operator for operator in self._operators if operator.running]
        return running[int(event.pick * len(running))] if running else None

    async def _kill(self, event: Happening) -> bool:
        operator = self._operator(event)
        if operator is None:
            return False
        await operator.kill_at_write(within=event.seconds)
        another = any(other.running for other in self._operators)
        await asyncio.sleep(event.seconds * 2 if another else event.seconds / 2)  # another one can take over
        await operator.start()
        return True

    async def _stop(self, event: Happening) -> bool:
        operator = self._operator(event)
        if operator is None:
            return False
        code = await operator.stop()
        if code and not (code == -signal.SIGTERM and operator.is_new):
            self._ledger.violate(f"{operator.name} ends with exit code {code} at SIGTERM")
        await asyncio.sleep(event.seconds / 2)
        await operator.start()
        return True

    async def _pause(self, event: Happening) -> bool:
        operator = self._operator(event)
        if operator is None:
            return False
        operator.pause()
        await asyncio.sleep(2 * event.seconds)
        operator.resume()
        return True

    async def _cut_off_operator(self, event: Happening) -> bool:
        operator = self._operator(event)
        if operator is None:
            return False
        operator.proxy.cut_off()
        await asyncio.sleep(2 * event.seconds)
        operator.proxy.reconnect()
        return True


def _is_of_run(plural: str, body: Body) -> bool:
    labels = body["metadata"].get("labels") or {}
    if plural == "configmaps":
        return "-resolved-" in body["metadata"]["name"]
    return plural == "trainingruns" or LABEL_STAGE in labels
