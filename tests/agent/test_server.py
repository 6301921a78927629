"""The agent's HTTP server answers whoever comes, however many connections somebody else holds open."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from trainingrun_agent import server
from trainingrun_agent.clock import Clock
from trainingrun_agent.kubelet_probes import KubeletProbes
from trainingrun_agent.progress import Progress
from trainingrun_agent.server import AgentServer
from trainingrun_agent.trainer_probe import TrainerProbe


@pytest.fixture
def served() -> Iterator[AgentServer]:
    trainer = TrainerProbe()
    progress = Progress(stage="prep", pod_uid="pod")
    made = AgentServer(progress, trainer, KubeletProbes(Clock(), trainer), host="127.0.0.1", port=0)
    made.start()
    yield made
    made.stop()


def test_connections_that_say_nothing_keep_no_probe_out(served: AgentServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 5)
    before = threading.active_count()
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", served.port))) for _ in range(40)]
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/healthz", timeout=60) as answer:
                assert answer.read() == b"ok\n"
        held[0].settimeout(60)
        assert held[0].recv(1) == b""  # the oldest was ended
        assert threading.active_count() <= before + 5 + 2  # one may be starting, one ending
