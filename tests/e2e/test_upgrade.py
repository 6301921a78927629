"""Runs that an earlier version left suspended or failed go on with real pods, from its ConfigMaps and its bucket.

The recorded objects are written into etcd, with their UIDs, as an upgraded cluster has them. Images of that version are
not built here: today's have its references.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trcluster import oci
from trdemo import install, trainer_stand_in
from trdemo.fault_scenario import entry_of, succeeded
from trdemo.installation import Installation, Object
from trdemo.target import OwnCluster
from trfakes.recording import NAMESPACE, RECORDINGS, Recording

pytestmark = pytest.mark.node
CONTINUED: dict[str, dict[str, Any]] = {
    "suspended": {"suspend": False},
    "failed": {"retry": 1},
    "no-data": {"retry": 1},
}
SECONDS = 240.0
PLAN = {**trainer_stand_in.PLAN, "seconds_per_step": 0.002, "save_every": 1000, "export_seconds": 0}


# The earliest one has the most to carry on. The later ones are shown without a cluster, which costs less time.
@pytest.fixture(scope="module", params=RECORDINGS[:1], ids=[recording.folder.name for recording in RECORDINGS[:1]])
def ended(
    request: pytest.FixtureRequest, installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Object]]:
    """Statuses of the recorded runs after each was asked to go on and has ended."""
    recording: Recording = request.param
    if not isinstance(installation.target, OwnCluster):
        pytest.skip("writes into etcd, so it needs the test's own cluster")
    install.make_namespace(installation.target, NAMESPACE)
    load_images(installation, recording, tmp_path_factory.mktemp("images"))
    for key, body in recording.bucket():
        if key.startswith("tire/images/train/"):  # where the run without data looked, and found nothing
            installation.bucket.client.put_object(
                Bucket="detectors", Key=key.replace("tire/images/train", "late"), Body=body
            )
        elif not key.startswith("tire/"):
            installation.bucket.client.put_object(Bucket="detectors", Key=key, Body=body)
    scale_operator(installation.target, 0)
    for name in (*CONTINUED, "succeeded"):
        store_run(installation.target, recording, name)
    scale_operator(installation.target, 1)
    for name, change in CONTINUED.items():
        spec = {"spec": {**change, "tensorboard": {"enabled": False}}}
        installation.target.kubectl(
            "patch", "trainingrun", name, "-n", NAMESPACE, "--type=merge", "-p", json.dumps(spec)
        )
    yield {
        name: installation.until(name, succeeded, namespace=NAMESPACE, seconds=SECONDS, what="success")
        for name in (*CONTINUED, "succeeded")
    }
    installation.target.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def load_images(installation: Installation, recording: Recording, folder: Path) -> None:
    """Give today's images the references that the recorded runs name."""
    named = {name: resolved(recording, name)["images"] for name in CONTINUED}
    agent = install.build_images(echo=print)["agent"]
    for number, reference in enumerate(sorted({images["agent"] for images in named.values()})):
        archive = folder / f"agent-{number}.tar"
        oci.write_extended(archive, base=agent.archive, reference=reference, files={"recorded": (b"", 0o644)})
        installation.target.load_images([archive])
    for reference in sorted({images["trainer"] for images in named.values()}):
        trainer_stand_in.load(installation.target, folder, reference=reference, plan=PLAN)


def scale_operator(target: OwnCluster, replicas: int) -> None:
    """Stop the operator, or start it: an upgraded one finds the objects when it starts."""
    deployment = ("deployment", install.RELEASE, "-n", install.SYSTEM_NAMESPACE)
    target.kubectl("scale", *deployment, f"--replicas={replicas}")
    target.kubectl("rollout", "status", *deployment, "--timeout=120s")
    if not replicas:
        selector = f"app.kubernetes.io/name={install.RELEASE}"
        target.kubectl.wait("--for=delete", "pod", "-n", install.SYSTEM_NAMESPACE, "-l", selector, seconds=120)


def resolved(recording: Recording, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(config_map(recording, name)["data"]["resolved.json"])
    return document


def config_map(recording: Recording, name: str) -> Object:
    bodies = recording.objects()["configmaps"]
    return next(body for body in bodies if body["metadata"]["name"].startswith(f"{name}-resolved-"))


def store_run(target: OwnCluster, recording: Recording, name: str) -> None:
    """Write a run and its ConfigMap into etcd, as the API server of that time did."""
    document = config_map(recording, name)
    put(target, f"trainingrun.dev/trainingruns/{NAMESPACE}/{name}", recording.get("trainingruns", name))
    put(target, f"configmaps/{NAMESPACE}/{document['metadata']['name']}", document)


def put(target: OwnCluster, key: str, body: Object) -> None:
    """Write one object into etcd."""
    kinds = {"configmaps": {"apiVersion": "v1", "kind": "ConfigMap"}}
    meta = {field: value for field, value in body["metadata"].items() if field != "resourceVersion"}
    stored = {**kinds.get(key.partition("/")[0], {}), **body, "metadata": meta}
    pair = {"key": f"/registry/{key}", "value": json.dumps(stored)}
    encoded = {field: base64.b64encode(text.encode()).decode() for field, text in pair.items()}
    # etcd listens inside the node only.
    client = "import sys, urllib.request as r; r.urlopen(sys.argv[1], sys.argv[2].encode(), 10)"
    address = f"http://127.0.0.1:{target.cluster.layout.ports.etcd}/v3/kv/put"
    target.cluster.exec([sys.executable, "-c", client, address, json.dumps(encoded)])


def test_each_recorded_run_reaches_its_end(ended: dict[str, Object]) -> None:
    assert {name: status["phase"] for name, status in ended.items()} == dict.fromkeys(ended, "Succeeded")


def test_training_resumed_from_the_recorded_checkpoint(ended: dict[str, Object]) -> None:
    for name in ("suspended", "failed"):
        assert ended[name]["training"]["resumedFromStep"] >= 40, name
        assert entry_of(ended[name], "prep")["number"] == 1, name
    assert entry_of(ended["suspended"], "train")["number"] == 2
    assert entry_of(ended["failed"], "train")["number"] == 5


def test_data_that_came_late_were_prepared(ended: dict[str, Object]) -> None:
    assert ended["no-data"]["dataset"]["trainImages"] == 12
