"""docs/situations.md shows what kubectl really prints: bring about each situation and run its commands."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import kopf
import pytest
from moto.server import ThreadedMotoServer

from trainingrun.api.settings import Policy, Settings
from trainingrun.engine.operator import Operator
from trainingrun.handlers import make_registry
from trdemo.bucket import Bucket
from trdemo.documented_commands import commands, difference
from trdemo.shell import Kubectl
from trdemo.target import Storage
from trfakes.builders import SETTINGS
from trfakes.harness import free_port
from trfakes.manual_node import ManualNode
from trfakes.situations import NAMESPACE, SITUATIONS, Environment

pytestmark = pytest.mark.api
PAGE = Path(__file__).resolve().parents[2] / "docs" / "situations.md"
COMMANDS = commands(PAGE)


@pytest.fixture(scope="module")
def user(kubeconfig: Path, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl with its own kubeconfig, whose namespace is set as the page requires."""
    for name in (NAMESPACE, SETTINGS.pod_namespace):
        kubectl("apply", "-f", "-", stdin=kubectl("create", "namespace", name, "--dry-run=client", "-o", "yaml"))
    copy = tmp_path_factory.mktemp("user") / "kubeconfig"
    copy.write_text(kubeconfig.read_text())
    user = Kubectl(kubectl.binary, kubeconfig=str(copy))
    assert "modified" in shell(user, COMMANDS[0].text)
    return user


def shell(user: Kubectl, text: str) -> str:
    """Run a command; returns output and errors, because some commands of the page are meant to fail."""
    path = f"{Path(user.binary).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "KUBECONFIG": user.kubeconfig, "PATH": path}
    done = subprocess.run(["bash", "-uc", text], env=env, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(user: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    endpoint = "http://{}:{}".format(*s3.get_host_and_port())
    bucket = Bucket(Storage(endpoint, endpoint, "tires", "rolling"), "detectors")
    node = ManualNode(user, NAMESPACE, tmp_path_factory.mktemp("node"), free_port())
    environment = Environment(user, node, bucket, endpoint)
    environment.prepare()
    stop = threading.Event()
    # The policy names the endpoint, because a wildcard never allows a loopback address.
    settings = replace(SETTINGS, port=free_port(), policy=Policy(endpoints=(endpoint,)))
    serving = threading.Thread(target=serve, args=(user.kubeconfig, settings, node.agent_port, stop))
    serving.start()
    yield environment
    stop.set()
    node.kill_all()
    serving.join(30)
    s3.stop()


def serve(kubeconfig: str, settings: Settings, agent_port: int, stop: threading.Event) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", kubeconfig)  # kopf's
        patch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", kubeconfig)
        operator = Operator(settings, agent_port=agent_port)
        registry = make_registry(operator)
        asyncio.run(kopf.operator(registry=registry, standalone=True, clusterwide=True, stop_flag=stop))


def test_every_situation_is_on_the_page() -> None:
    assert list(dict.fromkeys(command.heading for command in COMMANDS[1:])) == list(SITUATIONS)


@pytest.mark.parametrize("heading", SITUATIONS)
def test_kubectl_shows_what_the_page_shows(environment: Environment, user: Kubectl, heading: str) -> None:
    SITUATIONS[heading](environment)
    wrong = []
    for command in COMMANDS:
        if command.heading != heading:
            continue
        differs = difference(command.shown, shell(user, command.text))
        wrong += [f"{command.location}: {command.text}\n{differs}"] if differs else []
    assert not wrong, "\n\n".join(wrong)
