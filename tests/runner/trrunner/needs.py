"""Prepare what tiers need beyond Python: binaries, container images, interpreters with TensorFlow."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from trcluster import Cluster, ClusterError
from trcluster.build import ensure
from trcluster.layout import Tier as ClusterTier
from trcluster.tiers import COMMANDS
from trimages.build import build
from trimages.paths import REPOSITORY, default_cache
from trimages.plan import PlannedImage
from trimages.spec import select
from trrunner import rootfs
from trservers import catalogue

Echo = Callable[[str], None]


def prepare(need: str, *, echo: Echo, server: str = "") -> None:
    """Prepare one need; paths that tests need are set as environment variables. `server` names the S3 server."""
    makers: dict[str, Callable[[Echo], None]] = {
        "binaries": _binaries,
        "SeaweedFS": _seaweedfs,
        "chart tools": _chart_tools,
        "images": _images,
        "tensorflow": _tensorflow,
        "tensorflow 2": _tensorflow2,
        "free node": _free_node,
        "S3 server": lambda echo: _s3_server(server, echo),
    }
    makers[need](echo)


def _binaries(echo: Echo) -> None:
    ensure({command for tier in ClusterTier for command in COMMANDS[tier]}, echo=echo)


def _seaweedfs(echo: Echo) -> None:
    ensure(("weed",), echo=echo)


def _chart_tools(echo: Echo) -> None:
    ensure(("helm", "helm-unittest", "kubeconform", "kubectl"), echo=echo)


def _images(echo: Echo) -> None:
    build(select([]), requested_base=None, repository=REPOSITORY, cache=default_cache(), echo=echo)


def _s3_server(name: str, echo: Echo) -> None:
    """Build or fetch a server, and see that it starts, before the workers do the same at once."""
    with tempfile.TemporaryDirectory() as folder, catalogue.running(name, Path(folder)) as server:
        echo(f"{server.name} {server.version} answers")


def _free_node(_echo: Echo) -> None:
    """Refuse to run while the demo's cluster is up, because a machine can hold only one node."""
    running = Cluster("default", tier="node")
    if running.state.exists() and any(each.pid is not None for each in running.status()):
        raise ClusterError("the demo's cluster is up, and a machine can hold only one node: run 'make demo-down' first")


def _tensorflow(echo: Echo) -> None:
    if os.environ.get("TRAININGRUN_TF_PYTHON"):
        return
    if platform.machine() != "x86_64":
        echo(f"TensorFlow 1.14 has no wheels for {platform.machine()}: its tier will be skipped")
        return
    planned: list[PlannedImage] = build(
        select(["trainer"]), requested_base="local", repository=REPOSITORY, cache=default_cache(), echo=echo
    )
    os.environ["TRAININGRUN_TF_PYTHON"] = str(rootfs.python_of(planned[0].archive, echo=echo))


def _tensorflow2(echo: Echo) -> None:
    """An environment with a current TensorFlow, 1.6 GB: made once per change of its requirements."""
    if os.environ.get("TRAININGRUN_TF2_PYTHON"):
        return
    pinned = REPOSITORY / "tests" / "requirements-tf2.txt"
    target = default_cache().root.parent / "tf2" / hashlib.sha256(pinned.read_bytes()).hexdigest()[:16]
    python, complete = target / "bin" / "python", target / ".complete"
    if not complete.exists():
        echo("installing a current TensorFlow (1.6 GB, once)")
        for command in (
            ("uv", "venv", "--clear", "--python", sys.executable, str(target)),
            ("uv", "pip", "install", "--python", str(python), "--require-hashes", "-r", str(pinned)),
        ):
            subprocess.run(command, check=True, timeout=3600)
        complete.touch()
    os.environ["TRAININGRUN_TF2_PYTHON"] = str(python)
