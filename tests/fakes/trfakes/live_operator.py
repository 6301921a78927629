"""The operator in a thread of this process, for a real API server; it can be started again with other settings."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import kopf
import pytest

from trainingrun.api.settings import Policy, Settings
from trainingrun.engine.operator import Operator
from trainingrun.handlers import make_registry
from trfakes.builders import SETTINGS
from trfakes.harness import free_port

STOP_SECONDS = 30
CLOSE_SECONDS = 0.25
LASTS_SECONDS = 6  # instead of 15, until a wait has its Event; nodes are read after two to five seconds


class LiveOperator:
    """One operator at a time; the agents of its pods are at `agent_port` of this machine."""

    def __init__(self, kubeconfig: str, *, agent_port: int) -> None:
        self._kubeconfig, self._agent_port = kubeconfig, agent_port
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, policy: Policy) -> None:
        """Serve with this policy; an operator that serves is stopped first."""
        self.stop()
        self._stop = threading.Event()
        settings = replace(SETTINGS, port=free_port(), policy=policy)
        self._thread = threading.Thread(target=self._serve, args=(settings, self._stop))
        self._thread.start()

    def stop(self) -> None:
        """End the operator."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _serve(self, settings: Settings, stop: threading.Event) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("trainingrun.domain.lasting.LASTS_SECONDS", LASTS_SECONDS)
            patch.setenv("KUBECONFIG", self._kubeconfig)  # kopf's
            patch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", self._kubeconfig)
            operator = Operator(settings, agent_port=self._agent_port)
            registry = make_registry(operator)
            asyncio.run(_serve_until(stop, registry))


async def _serve_until(stop: threading.Event, registry: kopf.OperatorRegistry) -> None:
    await kopf.operator(registry=registry, standalone=True, clusterwide=True, stop_flag=stop)
    await asyncio.sleep(CLOSE_SECONDS)  # aiohttp closes its connections in later turns of the loop
