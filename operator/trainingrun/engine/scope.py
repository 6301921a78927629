"""What this process serves: the whole cluster or named namespaces, each with a Lease of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.api.names import CLUSTER_LEASE, LEASE
from trainingrun.api.settings import Settings
from trainingrun.engine import metrics
from trainingrun.engine.claims import Claims
from trainingrun.engine.cluster_place import ClusterPlace
from trainingrun.engine.lease import Lease
from trainingrun.engine.lister import Lister
from trainingrun.engine.place import Place, State
from trainingrun.kube.client import Api


class Scope:
    """The places of one operator; `changed` gets the namespace (None: all) that begins or ends to be served."""

    def __init__(
        self,
        api: Api,
        *,
        settings: Settings,
        lister: Lister,
        changed: Callable[[str | None], None],
        clock: Clock = SYSTEM,
    ) -> None:
        self._places: dict[str | None, Place] = {}
        for namespace in settings.namespaces:
            lease = Lease(api, namespace=namespace, name=LEASE, settings=settings, clock=clock)
            self._places[namespace] = Place(namespace, lease=lease, lister=lister, changed=changed, clock=clock)
        if not self._places:
            lease = Lease(api, namespace=settings.lease_namespace, name=CLUSTER_LEASE, settings=settings, clock=clock)
            claims = Claims(api, clock=clock)
            self._places[None] = ClusterPlace(lease=lease, lister=lister, claims=claims, changed=changed, clock=clock)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    @property
    def ready(self) -> bool:
        """Whether anything is served."""
        return any(place.state is State.SERVED for place in self)

    def serves(self, namespace: str) -> bool:
        """Whether this process decides about the runs of a namespace now."""
        return self._place(namespace).serves(namespace)

    def seconds_left(self, namespace: str) -> float:
        """Time within which writes to a namespace must end."""
        return self._place(namespace).seconds_left(namespace)

    def watch_listed_again(self, namespace: str) -> None:
        """List the place of a namespace soon, because a watch has lost what happened there for a while."""
        self._place(namespace).watch_listed_again()

    def unserved(self) -> list[str]:
        """One line for each place, or namespace of the cluster, that is not served, with the reason."""
        lines = [f"{place.name} is not served: {place.why}" for place in self if place.why]
        for place in self:
            if isinstance(place, ClusterPlace):
                lines += [
                    f"namespace {namespace} is left to operator {holder or '(stopped)'}"
                    for namespace, holder in place.left.items()
                ]
        return lines

    def measure(self) -> None:
        """Set the metric of namespaces by state."""
        states = Counter(place.state for place in self)
        states[State.HELD] += sum(len(place.left) for place in self if isinstance(place, ClusterPlace))
        for state in State:
            metrics.NAMESPACES.labels(str(state)).set(states[state])

    def _place(self, namespace: str) -> Place:
        return self._places.get(namespace) or self._places[None]
