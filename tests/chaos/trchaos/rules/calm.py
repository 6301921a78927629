"""Since when an operator can do its work in a namespace: it serves it, its calls and watches get through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trchaos.rules.rule import Rule
from trchaos.server import NAMESPACE_FORBIDDEN, Request
from trchaos.server import Rule as Answer

if TYPE_CHECKING:
    from trchaos.process import Process
    from trchaos.rules.rule import Scene

REFUSED: Final = {400, 403, 422}  # one kind of calls, by a policy: the operator has to show it, and can
LONGEST_PAUSE: Final = 450.0  # of a retry
GROWTH: Final = 3.0  # the next pause is at most so many times as long as failures have lasted until now
LEAST_SECONDS: Final = 12.0  # a key that has failed is held for ten
BURST_SECONDS: Final = 300.0  # failures that are further apart are not of one burst


def _troubles(rule: Answer) -> bool:
    return rule.status not in REFUSED or rule.kind == NAMESPACE_FORBIDDEN


class Calm(Rule):
    """Seconds of undisturbed service, by namespace."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._since: dict[str, float] = {}
        self._sees_since: dict[str, float] = {}
        self._first_failure = self._last_failure = self._retry_after = 0.0

    def called(self, request: Request) -> None:
        failed = request.status == 0 or request.status >= 400
        answered = (request.method == "GET" and request.status in {404, 410}) or (
            request.method == "POST" and request.status in REFUSED
        )
        if failed and not answered:
            self._fail(request.at)

    def _fail(self, at: float) -> None:
        if at - self._last_failure > BURST_SECONDS:
            self._first_failure = at
        self._last_failure = at

    def look(self) -> None:
        if any(process.alive and process.client.unreachable_until > self.scene.now for process in self._processes):
            self._fail(self.scene.now)  # its calls get no answer, and none of them is seen
        troubled = self._is_troubled()
        for namespace in {run.namespace for run in self.scene.truth.runs.values()}:
            served = any(self._serves(process, namespace) for process in self._processes)
            self._note(self._since, namespace, served and not troubled)
            self._note(self._sees_since, namespace, served and not self._hides(namespace))

    def _note(self, since: dict[str, float], namespace: str, holds: bool) -> None:
        if holds:
            since.setdefault(namespace, self.scene.now)
        else:
            since.pop(namespace, None)

    def _hides(self, namespace: str) -> bool:
        """Whether reads of runs fail or are late."""
        path, now = f"/apis/trainingrun.dev/v1alpha1/namespaces/{namespace}/trainingruns", self.scene.now
        return any(rule.matches("GET", path) and rule.until > now for rule in self.scene.world.server.rules)

    @property
    def _processes(self) -> list[Process]:
        return self.scene.world.processes

    def seconds(self, namespace: str) -> float:
        """For how long nothing has hindered an operator there."""
        since = self._since.get(namespace, self.scene.now)
        return self.scene.now - max(since, self._last_failure)

    def sees(self, namespace: str) -> float:
        """For how many seconds an operator's watches there have shown what happens."""
        return self.scene.now - self._sees_since[namespace] if namespace in self._sees_since else 0.0

    def _is_troubled(self) -> bool:
        now, server = self.scene.now, self.scene.world.server
        rules = [rule for rule in server.rules if rule.until > now and rule.times > 0 and _troubles(rule)]
        self._retry_after = max([self._retry_after, *(now + rule.retry_after for rule in rules if rule.retry_after)])
        lasted = self._last_failure - self._first_failure
        pause = min(LONGEST_PAUSE, max(LEAST_SECONDS, GROWTH * lasted))
        return bool(rules) or now < self._retry_after or (self._last_failure > 0 and now < self._last_failure + pause)

    def _serves(self, process: Process, namespace: str) -> bool:
        scope, watched = process.operator._scope, {watch._namespace for watch in process.watches}
        if not process.alive or scope is None or not watched & {None, namespace} or not scope.serves(namespace):
            return False
        now = self.scene.now
        if now < max(process.client.unreachable_until, process.client.frozen_until):
            return False
        return all(
            watch.blocked_until <= now and watch.stream is not None and not watch.stream.silent
            for watch in process.watches
            if watch._namespace in {None, namespace}
        )
