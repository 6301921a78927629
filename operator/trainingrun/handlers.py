"""The only file with kopf decorators: what the watches show goes to the operator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast

import kopf

from trainingrun.api.names import GROUP, LABEL_STAGE, PLURAL, VERSION
from trainingrun.engine.operator import Operator
from trainingrun.kube.client import USER_AGENT


class NamedConnection(kopf.ConnectionInfo):
    """Credentials whose requests name this program; kopf's watches would otherwise name kopf."""

    def as_http_headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {**super().as_http_headers(), "User-Agent": USER_AGENT}


def make_registry(operator: Operator) -> kopf.OperatorRegistry:
    """Handlers of one operator; kopf only logs errors of event handlers, so these do nothing that can fail."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        found = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
        return None if found is None else NamedConnection(**{f.name: getattr(found, f.name) for f in fields(found)})

    # PERMANENT, so that an error ends the process: kopf would otherwise call `start` again after a minute.
    @kopf.on.startup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        try:
            await operator.start()
        except BaseException:  # also when stopped while it waits: kopf calls cleanup only after a complete startup
            await operator.stop()
            raise

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await operator.stop()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def on_run(event: kopf.RawEvent, **_: Any) -> None:
        operator.saw_run(event["type"], event["object"])

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def on_job(event: kopf.RawEvent, **_: Any) -> None:
        operator.saw_job(event["type"], event["object"])

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def on_pod(event: kopf.RawEvent, **_: Any) -> None:
        operator.saw_pod(event["type"], event["object"])

    return registry


class Backoffs:
    """Waits between the tries of a request, without end.

    When kopf gives up one watch it stops them all: a namespace that answers 403 would end the service of the others.
    """

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1.0, 2.0, 4.0, 8.0), itertools.repeat(15.0))


class NoEssence(kopf.AnnotationsDiffBaseStorage):
    """Nothing to compare: kopf copies each object for differences that event handlers never get."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return what would be compared with the next version."""
        return cast("kopf.BodyEssence", {})


def configure(settings: kopf.OperatorSettings) -> None:
    """Restrict kopf to watching: no peering, no posted Events, no finalizers, bounded waits."""
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = NoEssence(prefix=GROUP)
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = Backoffs()
    settings.watching.server_timeout = 600
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 70
    settings.watching.chunk_size = 500
    settings.watching.label_selectors["batch", "v1", "jobs"] = LABEL_STAGE
    settings.watching.label_selectors["", "v1", "pods"] = LABEL_STAGE
    settings.process.ultimate_exiting_timeout = 25
