"""Calls: no patch that changes nothing or names no version, no storm, never two operators in one namespace."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from trainingrun.api.names import CLUSTER_LEASE, LEASE
from trchaos.rules.calm import Calm
from trchaos.rules.rule import Rule
from trchaos.server import Request
from trfakes.answers import PATH

if TYPE_CHECKING:
    from trchaos.rules.rule import Scene

CALM_SECONDS: Final = 20.0
WINDOW_SECONDS: Final = 60.0
# Within a minute, by one operator. Most that was measured: 25 patches of a run, 28 writes and 11 reads for each run.
PATCHES_OF_A_RUN: Final = 40
PATCHES_OF_AN_ATTEMPT: Final = 6  # that was begun within the minute
WRITES: Final = 20  # of one operator, and besides
WRITES_OF_A_RUN: Final = 40
READS: Final = 40
READS_OF_A_RUN: Final = 40
READS_OF_A_NAMESPACE: Final = 30  # that is watched for itself: three watches, each tried again at first
STALE_SECONDS: Final = 8.0  # since the last change of a run, which its watch has shown long ago
AGAIN_SECONDS: Final = 0.45  # half of the shortest pause, for its jitter, less what a call takes
_NEEDED: Final = {"jobs", "configmaps"}
_REFUSED: Final = {400, 403, 422, 500}
_UNCOUNTED: Final = {"leases", "events", ""}


class Calls(Rule):
    """What operators ask of the API server."""

    def __init__(self, scene: Scene, calm: Calm) -> None:
        super().__init__(scene)
        self._calm = calm
        self.writes: list[str] = []  # besides Leases and Events
        self._not_stored: set[tuple[str, str]] = set()  # operator and path of each status that was not stored last
        self._writers: dict[str, str] = {}  # the operator that has changed each status last
        self._refused: dict[tuple[str, str, str], float] = {}  # when a creation was refused last
        self._window = 0
        self._count: Counter[tuple[str, str]] = Counter()

    def called(self, request: Request) -> None:
        found = PATH.match(request.path)
        plural = found["plural"] if found is not None else ""
        namespace = (found["namespace"] or "") if found is not None else ""
        if request.method == "GET" and request.outdated:
            text = f"{request.client} asks for {plural} {request.name}, and has seen its deletion"
            self.scene.broken("what was seen is used", "", text)
        if request.blind:
            self.scene.broken("no patch without a version", "", f"{request.client} patches {request.path}")
        if request.method == "PATCH" and plural == "trainingruns":
            self._changes(request, namespace)
        if request.method != "GET" and plural not in _UNCOUNTED:
            self.writes.append(f"{request.client}: {request.method} {request.path} ({request.status})")
            if request.changed:
                self._has_lease(request, namespace)
        if request.method == "POST" and plural in _NEEDED:
            self._pauses(request)
        if plural not in _UNCOUNTED:
            self._bound(request, namespace, found["name"] if found is not None else None)

    def _changes(self, request: Request, namespace: str) -> None:
        """After a status that was not stored, an empty patch may ask whether the next one will be."""
        if request.status == HTTPStatus.CONFLICT and not request.injected:
            self._is_stale(request, namespace)
        if request.changed:
            self._writers[request.path] = request.client
        if request.status != HTTPStatus.OK:
            self._not_stored.add((request.client, request.path))
        elif request.changed:
            return
        elif (request.client, request.path) in self._not_stored:
            self._not_stored.discard((request.client, request.path))
        elif self._calm.seconds(namespace) >= CALM_SECONDS and self._is_its_writer(request):
            # Otherwise one may have been given up before it was sent.
            self.scene.broken("no patch without a change", "", f"{request.client}: {request.path}")

    def _is_its_writer(self, request: Request) -> bool:
        """Whether no other operator has changed this status since."""
        return self._writers.get(request.path, request.client) == request.client

    def _is_stale(self, request: Request, namespace: str) -> None:
        """A conflict is only with what an operator could not have seen yet."""
        name = request.path.split("/")[-2]
        for run in self.scene.truth.runs.values():
            if run.key == f"{namespace}/{name}" and run.gone is None:
                old = min(self.scene.now - run.changed, self._calm.sees(namespace))
                if old >= STALE_SECONDS:
                    text = f"{request.client} writes a version that another has replaced {old:.0f} s ago"
                    self.scene.broken("what was seen is used", run.key, text)

    def _pauses(self, request: Request) -> None:
        """What was refused is tried again after a pause that grows, whatever that has changed."""
        what = request.client, request.path, request.name
        before = self._refused.get(what)
        if before is not None and request.at - before < AGAIN_SECONDS:
            text = f"{request.client} creates {request.name} {request.at - before:.2f} s after that was refused"
            self.scene.broken("a pause after a refusal", "", text)
        self._refused.pop(what, None)
        if request.status in _REFUSED:
            self._refused[what] = request.at

    def _bound(self, request: Request, namespace: str, name: str | None) -> None:
        window = int(request.at / WINDOW_SECONDS)
        if window != self._window:
            self._window = window
            self._count.clear()
        runs = len(self.scene.truth.runs)
        if request.method == "POST" and request.path.endswith("/jobs"):
            self._count[request.client, "writes of Jobs"] += 1
        if request.method == "PATCH":
            begun = self._count[request.client, "writes of Jobs"]
            self._add(request, f"patches of {namespace}/{name}", PATCHES_OF_A_RUN + PATCHES_OF_AN_ATTEMPT * begun)
        if request.method == "GET":
            namespaces = len(self.scene.world.settings.namespaces)
            self._add(request, "reads", READS + READS_OF_A_RUN * runs + READS_OF_A_NAMESPACE * namespaces)
        else:
            self._add(request, "writes", WRITES + WRITES_OF_A_RUN * runs)

    def _add(self, request: Request, what: str, most: int) -> None:
        self._count[request.client, what] += 1
        if self._count[request.client, what] == most + 1:
            text = f"{request.client}: more than {most} {what} in a minute, the last {request.method} {request.path}"
            self.scene.broken("no storm of requests", "", text)

    def _has_lease(self, request: Request, namespace: str) -> None:
        """A write takes effect only while no other operator holds a Lease for its namespace."""
        leases = [
            body
            for body in self.scene.world.store.select("leases")
            if body["metadata"]["name"] == CLUSTER_LEASE
            or (body["metadata"]["name"] == LEASE and body["metadata"]["namespace"] == namespace)
        ]
        holders = {str((body.get("spec") or {}).get("holderIdentity") or "").rpartition("/")[2] for body in leases}
        if request.client not in holders:
            text = f"{request.client} wrote {request.path}, and the Leases are held by {sorted(holders)}"
            self.scene.broken("no write without a Lease", "", text)
