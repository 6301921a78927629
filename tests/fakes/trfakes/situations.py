"""The situations of docs/situations.md, each brought about in a namespace of a real API server.

The operator and the agents are the real ones; nodes and trainers are played (handnode.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.bucket import Bucket
from trdemo.scene import tire_run
from trdemo.shell import Kubectl
from trdemo.stand_in import EXPORTED
from trdemo.tires import draw_set
from trfakes.handnode import HandNode, Object

NAMESPACE: Final = "vision"
SECRET: Final = "trainingrun-s3"
SECONDS: Final = 180  # on a busy machine; alone nothing takes ten
UNSCHEDULABLE: Final = (
    "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: "
    "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
EXPORT: Final = (*EXPORTED, "pictures/0.png")


@dataclass
class Theatre:
    """A namespace with an operator that serves it, a bucket and a node to move."""

    kubectl: Kubectl
    node: HandNode
    bucket: Bucket
    endpoint: str

    def prepare(self) -> None:
        """Data, Secrets, and the runs that only wait, so that they have waited when it is their turn."""
        self.bucket.create()
        self.bucket.put_tires("tire/")
        self._spoil("tire/images/train/train_0003", jpeg=lambda data: data[:-500])
        self._spoil("tire/images/train/train_0005", xml=lambda data: data.replace(b"<xmax>", b"<xmax>9"))
        self._put_small_set("dented/")
        keys = {"AWS_ACCESS_KEY_ID": "tires", "AWS_SECRET_ACCESS_KEY": "rolling"}
        self.secret(SECRET, keys)
        self.secret("trainingrun-half", {"AWS_ACCESS_KEY_ID": "tires"})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self.kubectl.apply({**account, "metadata": {"name": "default", "namespace": NAMESPACE}})

    def secret(self, name: str, keys: Mapping[str, str]) -> None:
        """A Secret with credentials."""
        meta = {"name": name, "namespace": NAMESPACE}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": dict(keys)})

    def apply(self, name: str, **changes: Any) -> None:
        """Apply the sample tire.yaml under this name."""
        storage = {"endpoint": self.endpoint, **changes.pop("storage", {})}
        body = tire_run(name, storage=storage, **changes)
        body["metadata"]["namespace"] = NAMESPACE
        self.kubectl.apply(body)

    def patch(self, name: str, **spec: Any) -> None:
        """Change the spec."""
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", "trainingrun", name, "-n", NAMESPACE, "--type=merge", "-p", patch)

    def until(self, name: str, wanted: Callable[[Object], Any]) -> None:
        """Wait for a status."""
        status: Object = {}

        def reached() -> bool:
            nonlocal status
            status = self.kubectl.get("trainingrun", name, namespace=NAMESPACE).get("status", {})
            return bool(wanted(status))

        until(
            reached,
            what=f"run {name} to come that far",
            seconds=SECONDS,
            not_yet=(CommandError,),
            seen=lambda: json.dumps(status, indent=1),
        )

    def until_reason(self, name: str, reason: str) -> None:
        """Wait for a condition with this reason."""
        self.until(name, lambda status: any(c["reason"] == reason for c in status.get("conditions", ())))

    def until_step(self, name: str, step: int) -> None:
        """Wait until training shows this step."""
        self.until(name, lambda status: status.get("training", {}).get("step") == step)

    def _spoil(
        self,
        stem: str,
        *,
        jpeg: Callable[[bytes], bytes] = lambda data: data,
        xml: Callable[[bytes], bytes] = lambda data: data,
    ) -> None:
        self.bucket.put_all(
            (f"{stem}.{kind}", do(self.bucket.read(f"{stem}.{kind}"))) for kind, do in (("jpg", jpeg), ("xml", xml))
        )

    def _put_small_set(self, prefix: str) -> None:
        for folder, count in (("train", 40), ("test", 10)):
            photos = draw_set(count, seed=3, prefix=folder)
            keys = [(f"{prefix}images/{folder}/{photo.name.removesuffix('.jpg')}", photo) for photo in photos]
            self.bucket.put_all(
                (f"{key}.{kind}", data) for key, p in keys for kind, data in (("jpg", p.jpeg), ("xml", p.xml))
            )
        self._spoil(f"{prefix}images/train/train_0003", jpeg=lambda data: data[:-500])
        self._spoil(f"{prefix}images/train/train_0017", xml=lambda data: data[:-40])


def training(theatre: Theatre) -> None:
    theatre.apply("tire")
    theatre.node.run_through("tire-prep-1")
    theatre.node.start("tire-train-1", save_every=50, seconds_per_step=0.01, hang_at=75)
    theatre.until_step("tire", 75)


def pod_deleted(theatre: Theatre) -> None:
    theatre.node.delete_pod("tire-train-1")
    theatre.node.start("tire-train-2", save_every=50, seconds_per_step=0.01, hang_at=120)
    theatre.until_step("tire", 120)


def suspended(theatre: Theatre) -> None:
    theatre.patch("tire", suspend=True)
    theatre.until_reason("tire", "Suspended")
    theatre.node.delete_pod("tire-train-2")


def succeeded(theatre: Theatre) -> None:
    theatre.patch("tire", suspend=False)
    theatre.node.run_through("tire-train-3", save_every=50)
    theatre.node.run_through("tire-export-1", export=EXPORT)
    theatre.until_reason("tire", "Succeeded")


def no_gpu(theatre: Theatre) -> None:
    theatre.apply("large", train={"gpus": 1})
    theatre.node.run_through("large-prep-1")
    theatre.node.make_pod("large-train-1", node="", reason="Unschedulable", message=UNSCHEDULABLE)
    theatre.until_reason("large", "PodUnschedulable")


def no_secret(theatre: Theatre) -> None:
    theatre.apply("keyless", storage={"credentials": {"secretName": "trainingrun-robots"}})
    pod = theatre.node.make_pod("keyless-prep-1")
    message = 'MountVolume.SetUp failed for volume "credentials" : secret "trainingrun-robots" not found'
    theatre.node.warn(pod, reason="FailedMount", message=message, component="kubelet")
    theatre.until_reason("keyless", "SecretMissing")


def no_bucket(theatre: Theatre) -> None:
    theatre.apply("lost", storage={"bucket": "detektors"})
    theatre.node.run_through("lost-prep-1")
    theatre.until_reason("lost", "Failed")


def bad_data(theatre: Theatre) -> None:
    data = {"train": {"uri": "dented/images/train/"}, "eval": {"uri": "dented/images/test/"}}
    theatre.apply("dented", dataset=data)
    theatre.node.run_through("dented-prep-1")
    theatre.until_reason("dented", "Failed")


def retried(theatre: Theatre) -> None:
    theatre.apply("half", storage={"credentials": {"secretName": "trainingrun-half"}})
    theatre.node.run_through("half-prep-1")
    theatre.until_reason("half", "Failed")
    theatre.patch("half", retry=1)
    theatre.node.make_pod("half-prep-2")
    theatre.until_reason("half", "ContainerCreating")


def waits_for_a_run(theatre: Theatre) -> None:
    theatre.apply("tuned", model={"pretrained": {"run": "large"}})
    theatre.until_reason("tuned", "PretrainedRunNotReady")


def expired(theatre: Theatre) -> None:
    forbidden = {"credentials": {"secretName": "not-of-training"}}  # so it ends at once, without a pod
    theatre.apply("brief", ttlSecondsAfterFinished=0, storage=forbidden)
    theatre.kubectl.wait("trainingrun/brief", "-n", NAMESPACE, "--for=delete", seconds=SECONDS)


SITUATIONS: Final[Mapping[str, Callable[[Theatre], None]]] = {
    "It trains": training,
    "A pod was lost": pod_deleted,
    "It is suspended": suspended,
    "It succeeded, with findings": succeeded,
    "It waits for a GPU": no_gpu,
    "It waits for another run": waits_for_a_run,
    "The Secret is missing": no_secret,
    "The bucket does not exist": no_bucket,
    "The data is not good enough": bad_data,
    "It failed and was opened again": retried,
    "It has expired": expired,
}
