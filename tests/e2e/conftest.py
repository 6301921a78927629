"""Fixtures: the operator installed once on a real node, for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from trcluster import current
from trdemo import install, trainer_stand_in
from trdemo.bucket import Bucket
from trdemo.faults import Faults
from trdemo.installation import Installation, tire_run
from trdemo.target import OwnCluster, choose
from trdemo.watched_run import WatchedRun, watch

BUCKET = "detectors"
CPU_LIMIT = {
    "resources": {"limits": {"cpu": "2"}}
}  # test_cluster_rules.py has a quota that wants one; slows down nothing
VALUES = {
    "policy": {
        "images": ["trainingrun.dev/*"],
        "serviceAccounts": ["trainer-*"],  # of test_keyless.py, as the STS is
        "stsEndpoints": ["http://seaweedfs.storage:8333"],
    },
    "lostPodSeconds": 10,
    # There is one node: when it is lost for a while, no other one takes the operator.
    "tolerations": [
        {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute"}
        for state in ("not-ready", "unreachable")
    ],
    "runs": {"agent": CPU_LIMIT},
    "tensorboard": {**CPU_LIMIT, "mirror": CPU_LIMIT},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run test_tire.py, which deletes the documented run, and test_install.py, which uninstalls the operator, last."""
    late = ("test_tire.py", "test_install.py")
    items.sort(key=lambda item: late.index(item.path.name) + 1 if item.path.name in late else 0)


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """Start cluster and S3 server, install the operator, upload the tire data set; remove the cluster afterwards."""
    planned = install.build_images(echo=print)
    target = choose(name="default", echo=print)
    try:
        target.load_images([item.archive for item in planned.values()])
        references = {name: item.reference for name, item in planned.items()}
        install.install_operator(target, references=references, values=VALUES)
        bucket = Bucket(target.storage, BUCKET)
        bucket.create()
        bucket.put_tires("tire/")
        yield Installation(target, references, bucket)
    finally:
        if not current.wanted() and not os.environ.get("KEEP_CLUSTER"):
            target.cluster.down()


@pytest.fixture(scope="session")
def stand_in(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of the stand-in for the trainer, loaded into the cluster once."""
    return trainer_stand_in.load(installation.target, tmp_path_factory.mktemp("stand-in"))


@pytest.fixture(scope="module")
def namespace(installation: Installation, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the tests of one module, with Pod Security `restricted`; deleted afterwards."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    install.make_namespace(installation.target, name)
    yield name
    installation.target.kubectl("delete", "namespace", name, "--wait=false", timeout=120)


@pytest.fixture(scope="module")
def faults(installation: Installation, namespace: str) -> Faults:
    """Faults for the runs of one module."""
    if not isinstance(installation.target, OwnCluster):
        pytest.skip("faults in processes and the network need the test cluster, not CLUSTER=current")
    return Faults(installation, installation.target.cluster, namespace)


@pytest.fixture(scope="session")
def vision(installation: Installation) -> Iterator[str]:
    """The namespace `vision`, which the documentation uses, for its run `tire` and runs that tests add."""
    install.make_namespace(installation.target, "vision")
    yield "vision"
    installation.target.kubectl("delete", "namespace", "vision", "--wait=false", timeout=120)


@pytest.fixture(scope="session")
def watched_run(installation: Installation, vision: str) -> WatchedRun:
    """The sample `tire.yaml`, run to its end; the last tests of test_tire.py delete it."""
    return watch(installation, tire_run("tire"), namespace=vision, seconds=600)
