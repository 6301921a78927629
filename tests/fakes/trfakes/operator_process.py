"""The operator of a Helm release as a process here, with its account's token and its Deployment's settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from trcluster.build import ensure
from trcluster.command import run
from trdemo.shell import Kubectl
from trfakes.harness import free_port

CHART = Path(__file__).resolve().parents[3] / "charts" / "trainingrun-operator"
PATIENCE = 180  # seconds on a busy machine; on an idle one nothing takes ten
START = "import sys; from trainingrun.__main__ import main; sys.exit(main())"


class OperatorProcess:
    """One operator; `settings` is Python that runs before its main function, to shorten its waits."""

    def __init__(self, kubectl: Kubectl, folder: Path, *, release: str, namespace: str, settings: str = "") -> None:
        self._program = f"{settings}\n{START}"
        self.kubeconfig, self.log = folder / f"{release}-kubeconfig", folder / f"{release}-log"
        self.account = f"system:serviceaccount:{namespace}:{release}"
        admin = yaml.safe_load(Path(kubectl.kubeconfig).read_text())
        token = kubectl("create", "token", release, "-n", namespace).strip()
        own = {**admin, "users": [{**admin["users"][0], "user": {"token": token}}]}
        self.kubeconfig.write_text(yaml.safe_dump(own))
        deployment = kubectl.get("deployment", release, namespace=namespace)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH")},
            **{entry["name"]: entry["value"] for entry in container["env"] if entry.get("value")},
            "TRAININGRUN_POD_NAMESPACE": namespace,
            "TRAININGRUN_POD_NAME": f"{release}-1",
            "TRAININGRUN_RELEASE": release,
            "KUBECONFIG": str(self.kubeconfig),
        }
        self._port = 0
        self.start()

    def start(self) -> None:
        """Start the process; its log goes on in the same file."""
        self._port = free_port()
        environment = {**self.environment, "TRAININGRUN_PORT": str(self._port)}
        argv = [sys.executable, "-c", self._program]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)

    def stop(self) -> None:
        """Stop it as the kubelet does; it must end without an error."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=PATIENCE) == 0, self.log.read_text()

    def kill(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()

    def readiness(self) -> str:
        """Status and text of /readyz."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=10) as answer:
                return f"{answer.status} {answer.read().decode()}"
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"
        except OSError as error:
            return str(error)


def helm(kubectl: Kubectl, *arguments: str) -> None:
    """Run Helm, with the kubeconfig of kubectl."""
    run([str(ensure(("helm",), echo=print)["helm"]), "--kubeconfig", kubectl.kubeconfig, *arguments], timeout=240)
