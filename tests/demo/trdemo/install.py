"""Install the operator with Helm, and give a namespace its S3 credentials, as a platform engineer does."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trcluster.command import CommandError, run
from trdemo.shell import DemoError
from trdemo.target import Target
from trimages.build import build
from trimages.paths import REPOSITORY, default_cache
from trimages.plan import PlannedImage
from trimages.spec import select

RELEASE: Final = "trainingrun-operator"
SYSTEM_NAMESPACE: Final = "trainingrun-system"
SECRET: Final = "trainingrun-s3"
CHART: Final = REPOSITORY / "charts" / "trainingrun-operator"


def build_images(*, echo: Any) -> dict[str, PlannedImage]:
    """Build the container images that the cache lacks; returns reference and archive of each, by image name."""
    planned = build(select([]), requested_base=None, repository=REPOSITORY, cache=default_cache(), echo=echo)
    return {item.image.name: item for item in planned}


def image_values(references: Mapping[str, str]) -> dict[str, Any]:
    """Helm values that select these image references."""
    values = {}
    for name, reference in references.items():
        repository, _, tag = reference.rpartition(":")
        values[name] = {"repository": repository, "tag": tag}
    return {"images": values}


def install_operator(target: Target, *, references: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Install or upgrade the chart and wait until the operator is ready.

    The policy names the S3 server, as a platform team would: transfer over plain http is then twice as fast.
    """
    policy = {"endpoints": ["*", target.storage.in_cluster], **values.get("policy", {})}
    merged = {**image_values(references), **values, "policy": policy}
    options = ("--install", "--create-namespace", "--wait", "--timeout", "3m", "--values", "-")
    try:
        helm(target, "upgrade", RELEASE, str(CHART), *options, stdin=json.dumps(merged))
    except CommandError as error:
        selector = "-l app.kubernetes.io/name=trainingrun-operator"
        logs = f"kubectl --kubeconfig {target.kubectl.kubeconfig} -n {SYSTEM_NAMESPACE} logs {selector}"
        raise DemoError(f"{error}\nThe operator's log: {logs}") from error


def helm(target: Target, *arguments: str, stdin: str | None = None) -> str:
    """Run helm for the operator's namespace; returns its standard output."""
    config = ("--kubeconfig", target.kubectl.kubeconfig, "--namespace", SYSTEM_NAMESPACE)
    return run([target.helm, *config, *arguments], stdin=stdin, timeout=240)


def uninstall(target: Target, *, run: str, namespace: str) -> None:
    """Remove the demo's run and Helm release; CRD and namespaces stay, because others may use them."""
    if target.kubectl("get", "crd", "trainingruns.trainingrun.dev", "--ignore-not-found", "--output=name"):
        target.kubectl("delete", "trainingrun", run, "-n", namespace, "--ignore-not-found", timeout=180)
    helm(target, "uninstall", RELEASE, "--ignore-not-found", "--wait")


def make_namespace(target: Target, name: str) -> None:
    """Create a namespace with Pod Security `restricted` and a Secret with the S3 credentials."""
    storage = target.storage
    data = {"AWS_ACCESS_KEY_ID": storage.access_key, "AWS_SECRET_ACCESS_KEY": storage.secret_key}
    target.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": name},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        },
    )


def sample(name: str) -> Path:
    """Path of a sample in manifests/samples."""
    return REPOSITORY / "manifests" / "samples" / name
