"""Read all runs, Jobs and Pods of a namespace, or of the whole cluster, into the cache."""

from __future__ import annotations

from collections.abc import Callable

from trainingrun.api.names import GROUP, PLURAL, VERSION
from trainingrun.api.run import Run
from trainingrun.domain.observe import JobView, PodView
from trainingrun.engine.cache import Cache
from trainingrun.kube.client import Api
from trainingrun.kube.errors import NotFoundError
from trainingrun.kube.objects import list_all, path


class Lister:
    """Lists for one cache; `gone` is called with the key of each run that was deleted unseen."""

    def __init__(self, api: Api, *, cache: Cache, gone: Callable[[str], object]) -> None:
        self._api, self._cache, self._gone = api, cache, gone

    async def check(self, namespace: str | None) -> None:
        """Raise KubeError if the runs cannot be listed."""
        await self._api.call("GET", path("TrainingRun", namespace), query={"limit": "1"})

    async def is_served(self) -> bool:
        """Whether the API server knows TrainingRuns."""
        try:
            found = await self._api.call("GET", f"/apis/{GROUP}/{VERSION}")
        except NotFoundError:
            return False
        return any(resource.get("name") == PLURAL for resource in found.get("resources") or ())

    async def list(self, namespace: str | None) -> None:
        """List everything; after an error, the cache is as it was."""
        known = self._cache.start_listing(namespace)
        runs = [Run.from_object(body) async for body in list_all(self._api, "TrainingRun", namespace=namespace)]
        jobs = [JobView.from_object(b) async for b in list_all(self._api, "Job", namespace=namespace, ours=True)]
        pods = [PodView.from_object(b) async for b in list_all(self._api, "Pod", namespace=namespace, ours=True)]
        gone = self._cache.finish_listing(
            known,
            runs=runs,
            jobs=[job for job in jobs if job is not None],
            pods=[pod for pod in pods if pod is not None],
        )
        for key in gone:
            self._gone(key)
