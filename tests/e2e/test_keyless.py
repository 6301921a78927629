"""A run without keys: SeaweedFS's STS trusts the cluster's own tokens, the agents get one, the trainer none.

SeaweedFS runs on this machine and reads the cluster's signing keys from the API server. Pods reach it as a Service. A
stand-in replaces TensorFlow, which knows nothing of storage: the run is over in a third of the time.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from trcluster.layout import HOST_IP
from trcluster.waiting import patience, until
from trdemo import stored_run
from trdemo.bucket import Bucket
from trdemo.documented_commands import commands
from trdemo.follow import condition
from trdemo.installation import SMALL_PREP, Installation, Object, tire_run
from trdemo.target import OwnCluster, Storage
from trimages.paths import REPOSITORY
from trservers import seaweedfs
from trservers.seaweedfs_identity import Role, Trusted, configuration

pytestmark = pytest.mark.node

OPERATIONS = REPOSITORY / "docs" / "operations.md"
IN_CLUSTER = "http://seaweedfs.storage:8333"  # policy.stsEndpoints of conftest.py allows it
ISSUER, AUDIENCE = "https://kubernetes.default.svc.cluster.local", "sts.amazonaws.com"
TRUSTED, STRANGER, MISSING = "trainer-storage", "trainer-stranger", "trainer-missing"
ROLE = Role("training", ISSUER, f"system:serviceaccount:keyless:{TRUSTED}", "detectors")
TOKEN_FOLDER = "/var/run/secrets/trainingrun/s3"
STEPS = 100  # at ten a second: time to look into the trainer
SECONDS = 20
# Prints what a container can reach: environment, mounts, and the token if it has one.
LOOK = f"""
import json, os, pathlib
token = pathlib.Path("{TOKEN_FOLDER}/token")
print(json.dumps({{
    "environment": sorted(os.environ),
    "mounts": [line.split()[4] for line in open("/proc/self/mountinfo")],
    "token": token.read_text() if token.exists() else None,
}}))
"""


@dataclass
class Observed:
    """The run of the trusted ServiceAccount while it trains: what its containers reach, and all pods that it had."""

    inside: dict[str, Object] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)


@pytest.fixture(scope="module")
def store(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """SeaweedFS as pods reach it, and its bucket as its administrator does."""
    if not isinstance(installation.target, OwnCluster):
        pytest.skip("the server of the role is started beside the test cluster")
    kubectl, layout = installation.target.kubectl, installation.target.cluster.layout
    kubectl(*command_for_signing_keys())
    trusted = Trusted(ISSUER, AUDIENCE, f"{layout.server}/openid/v1/jwks", layout.pki / "ca.crt")
    identity = configuration([trusted], [ROLE])
    with seaweedfs.running(tmp_path_factory.mktemp("seaweedfs"), address=HOST_IP, identity=identity) as server:
        kubectl.apply(*service(int(server.endpoint.rpartition(":")[2])))
        bucket = Bucket(Storage(server.endpoint, IN_CLUSTER, server.access_key, server.secret_key), "detectors")
        bucket.create()
        bucket.put_tires("tire/")
        yield bucket
    kubectl("delete", "service", "seaweedfs", "-n", "storage")
    kubectl("delete", "clusterrolebinding", "issuer-discovery")


def command_for_signing_keys() -> list[str]:
    """Arguments of the documented kubectl command that lets an STS, which has no token, read the signing keys."""
    (found,) = (each.text for each in commands(OPERATIONS) if "clusterrolebinding" in each.text)
    return shlex.split(found)[1:]


def service(port: int) -> tuple[Object, Object]:
    """The name of a server on this machine for pods."""
    meta = {"name": "seaweedfs", "namespace": "storage"}
    name = {"kubernetes.io/service-name": "seaweedfs", "endpointslice.kubernetes.io/managed-by": "test-keyless"}
    return (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"ports": [{"name": "s3", "port": 8333, "targetPort": port}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": name},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [HOST_IP], "conditions": {"ready": True}}],
            "ports": [{"name": "s3", "port": port, "protocol": "TCP"}],
        },
    )


def keyless_run(name: str, account: str, **changes: Any) -> Object:
    credentials = {"serviceAccountName": account, "roleARN": ROLE.arn}
    return tire_run(name, storage={"endpoint": IN_CLUSTER, "credentials": credentials}, **changes)


@pytest.fixture(scope="module")
def accounts(installation: Installation, namespace: str, store: Bucket) -> None:
    for name in (TRUSTED, STRANGER):
        installation.target.kubectl("create", "serviceaccount", name, "-n", namespace)


@pytest.fixture(scope="module")
def observed(installation: Installation, namespace: str, accounts: None, stand_in: str) -> Observed:
    """The run of the trusted ServiceAccount, as soon as it trains."""
    found = Observed()
    train = {"steps": STEPS, "image": stand_in, **SMALL_PREP}
    export = {**SMALL_PREP, "evalImages": 5}
    run = keyless_run("keyless", TRUSTED, prep=SMALL_PREP, train=train, export=export)
    installation.apply(run, namespace=namespace)

    def training() -> Object | None:
        found.pods |= pods_of("keyless", installation, namespace)
        return next((pod for pod in found.pods.values() if is_running(pod, "trainer")), None)

    pod = until(training, what="the trainer to run", seconds=patience(120), every=0.5)
    assert pod is not None
    for container in ("agent", "trainer"):
        look = ("exec", pod["metadata"]["name"], "-n", namespace, "-c", container, "--", "python3", "-c", LOOK)
        found.inside[container] = json.loads(installation.target.kubectl(*look))
    return found


@pytest.fixture(scope="module")
def status(installation: Installation, namespace: str, observed: Observed) -> Object:
    """The end of that run."""
    status = installation.finished("keyless", namespace=namespace, seconds=300)
    observed.pods |= pods_of("keyless", installation, namespace)
    return status


def pods_of(run: str, installation: Installation, namespace: str) -> dict[str, Object]:
    pods = installation.target.kubectl.get("pods", namespace=namespace, selector=f"trainingrun.dev/run={run}")
    return {pod["metadata"]["name"]: pod for pod in pods["items"]}


def is_running(pod: Object, container: str) -> bool:
    statuses = pod["status"].get("containerStatuses", ())
    return any(status["name"] == container and "running" in status["state"] for status in statuses)


def test_a_service_account_that_the_role_does_not_trust_is_refused_at_once(
    installation: Installation, namespace: str, observed: Observed
) -> None:
    installation.apply(keyless_run("stranger", STRANGER, prep=SMALL_PREP), namespace=namespace)
    status = installation.until(
        "stranger", storage_not_ready, namespace=namespace, seconds=patience(SECONDS), what="StorageReady=False"
    )
    installation.target.kubectl("delete", "trainingrun", "stranger", "-n", namespace, "--wait=false")
    ready = next(c for c in status["conditions"] if c["type"] == "StorageReady")
    assert ready["reason"] == "WebIdentityRefused", ready
    assert f"AssumeRoleWithWebIdentity at {IN_CLUSTER} for role {ROLE.arn} failed: 403 AccessDenied" in ready["message"]
    assert "Let the role trust the ServiceAccount of spec.storage.credentials.serviceAccountName" in ready["message"]


def test_a_service_account_that_does_not_exist_is_named_with_the_command_that_makes_it(
    installation: Installation, namespace: str, observed: Observed
) -> None:
    installation.apply(keyless_run("missing", MISSING, prep=SMALL_PREP), namespace=namespace)

    def waits(status: Object) -> bool:
        return any(c["reason"] == "ServiceAccountMissing" for c in status.get("conditions", ()))

    status = installation.until(
        "missing", waits, namespace=namespace, seconds=patience(SECONDS), what="ServiceAccountMissing"
    )
    installation.target.kubectl("delete", "trainingrun", "missing", "-n", namespace, "--wait=false")
    (message,) = {c["message"] for c in status["conditions"] if c["reason"] == "ServiceAccountMissing"}
    assert f"kubectl create serviceaccount {MISSING}" in message


def test_a_run_without_keys_succeeds(status: Object) -> None:
    assert condition(status, "Succeeded") == "True", status.get("message")


def test_what_it_exported_is_in_the_bucket_of_the_role(
    store: Bucket, status: Object, installation: Installation, namespace: str
) -> None:
    uid = installation.target.kubectl.get("trainingrun", "keyless", namespace=namespace)["metadata"]["uid"]
    prefix = f"runs/{namespace}/keyless-{uid[:8]}/"
    assert stored_run.wrong_objects(store, f"{prefix}export/") == []
    assert any(key.endswith("frozen_inference_graph.pb") for key in store.keys(prefix))


def test_the_trainer_reaches_no_token_and_no_keys(observed: Observed) -> None:
    trainer = observed.inside["trainer"]
    assert trainer["token"] is None
    assert [name for name in trainer["environment"] if name.startswith("AWS_")] == []
    assert [mount for mount in trainer["mounts"] if "secrets" in mount] == []


def test_the_agent_has_a_token_for_the_sts_and_none_for_the_api_server(observed: Observed) -> None:
    agent = observed.inside["agent"]
    mounted = [mount for mount in agent["mounts"] if "secrets" in mount]
    assert [TOKEN_FOLDER.endswith(mount) for mount in mounted] == [True]  # /var/run is a link to /run there
    assert [mount for mount in agent["mounts"] if "kubernetes.io/serviceaccount" in mount] == []
    claims = claims_of(agent["token"])
    assert (claims["aud"], claims["iss"]) == ([AUDIENCE], ISSUER)


def claims_of(token: str) -> Object:
    payload = token.split(".")[1]
    claims: Object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def test_only_agents_mount_the_token_in_any_pod(observed: Observed, status: Object) -> None:
    assert {name.removeprefix("keyless-").partition("-")[0] for name in observed.pods} >= {"train", "tensorboard"}
    for pod in observed.pods.values():
        spec = pod["spec"]
        tokens = {v["name"] for v in spec["volumes"] if any("serviceAccountToken" in s for s in sources(v))}
        every = [*spec.get("initContainers", ()), *spec["containers"]]
        holders = {c["name"] for c in every if tokens & {mount["name"] for mount in c.get("volumeMounts", ())}}
        assert holders in ({"agent"}, {"mirror"}), pod["metadata"]["name"]
        assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == (TRUSTED, False)
        skipped = pod["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"].split(",")
        assert {name.strip() for name in skipped} == {c["name"] for c in every}


def sources(volume: Object) -> list[Object]:
    found: list[Object] = volume.get("projected", {}).get("sources", [])
    return found


def test_the_token_is_in_no_log_and_no_object(
    installation: Installation, namespace: str, store: Bucket, observed: Observed, status: Object
) -> None:
    kubectl = installation.target.kubectl
    shown = json.dumps(kubectl.get("trainingruns,events,pods,configmaps", namespace=namespace))
    logs = kubectl("logs", "-n", "trainingrun-system", "-l", "app.kubernetes.io/name=trainingrun-operator")
    mirror = kubectl("logs", "-n", namespace, "deployment/keyless-tensorboard", "--all-containers")
    kept = b"".join(store.read(key) for key in store.keys("runs/") if key.endswith((".log", ".json")))
    signature = observed.inside["agent"]["token"].rpartition(".")[2]
    assert signature not in shown + logs + mirror + kept.decode()


def storage_not_ready(status: Object) -> bool:
    return any(c["type"] == "StorageReady" and c["status"] == "False" for c in status.get("conditions", ()))
