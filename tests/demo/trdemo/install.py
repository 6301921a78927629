"""Install the operator as a platform engineer would: Helm, a namespace, a Secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trcluster.command import CommandError, run
from trdemo.place import CurrentCluster, OwnCluster
from trdemo.shell import DemoError
from trimages.build import build
from trimages.paths import REPOSITORY, default_cache
from trimages.plan import PlannedImage
from trimages.spec import select

RELEASE: Final = "trainingrun-operator"
SYSTEM_NAMESPACE: Final = "trainingrun-system"
SECRET: Final = "trainingrun-s3"
CHART: Final = REPOSITORY / "charts" / "trainingrun-operator"


def build_images(*, echo: Any) -> dict[str, PlannedImage]:
    """Build what is not in the cache; returns image name -> reference and archive."""
    planned = build(select([]), requested_base=None, repository=REPOSITORY, cache=default_cache(), echo=echo)
    return {item.image.name: item for item in planned}


def image_values(references: Mapping[str, str]) -> dict[str, Any]:
    """Helm values for these image references."""
    values = {}
    for name, reference in references.items():
        repository, _, tag = reference.rpartition(":")
        values[name] = {"repository": repository, "tag": tag}
    return {"images": values}


def install_operator(
    place: OwnCluster | CurrentCluster, *, references: Mapping[str, str], values: Mapping[str, Any]
) -> None:
    """`helm upgrade --install` the chart and wait until the operator is ready.

    The storage of the place is named in the policy, as a platform team would: transfer over plain http is then fast.
    """
    policy = {"endpoints": ["*", place.storage.in_cluster], **values.get("policy", {})}
    merged = {**image_values(references), **values, "policy": policy}
    options = ("--install", "--create-namespace", "--wait", "--timeout", "3m", "--values", "-")
    try:
        helm(place, "upgrade", RELEASE, str(CHART), *options, stdin=json.dumps(merged))
    except CommandError as error:
        selector = "-l app.kubernetes.io/name=trainingrun-operator"
        logs = f"kubectl --kubeconfig {place.kubectl.kubeconfig} -n {SYSTEM_NAMESPACE} logs {selector}"
        raise DemoError(f"{error}\nlog of the operator: {logs}") from error


def helm(place: OwnCluster | CurrentCluster, *arguments: str, stdin: str | None = None) -> str:
    """Run helm in the operator's namespace; returns its standard output."""
    config = ("--kubeconfig", place.kubectl.kubeconfig, "--namespace", SYSTEM_NAMESPACE)
    return run([place.helm, *config, *arguments], stdin=stdin, timeout=240)


def uninstall(place: OwnCluster | CurrentCluster, *, namespaces: tuple[str, ...]) -> None:
    """Remove runs, release and namespaces of the demo; the CRD stays, as the chart promises."""
    for namespace in namespaces:
        place.kubectl("delete", "namespace", namespace, "--ignore-not-found", timeout=180)
    helm(place, "uninstall", RELEASE, "--ignore-not-found", "--wait")
    place.kubectl("delete", "namespace", SYSTEM_NAMESPACE, "--ignore-not-found", timeout=180)


def make_namespace(place: OwnCluster | CurrentCluster, name: str) -> None:
    """A namespace under Pod Security `restricted`, with the storage credentials."""
    storage = place.storage
    data = {"AWS_ACCESS_KEY_ID": storage.access_key, "AWS_SECRET_ACCESS_KEY": storage.secret_key}
    place.kubectl.apply(
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
