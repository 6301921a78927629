"""Bring about each situation of docs/situations.md in a namespace of a real API server.

Operator and agents are the real programs; nodes and trainers are fakes (manual_node.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainingrun.api.settings import Policy
from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.bucket import Bucket
from trdemo.installation import tire_run
from trdemo.shell import Kubectl
from trdemo.tires import draw_set
from trdemo.trainer_stand_in import EXPORTED
from trfakes.live_operator import LiveOperator
from trfakes.manual_node import NODE, ManualNode, Object

NAMESPACE: Final = "vision"
SECRET: Final = "trainingrun-s3"
ROBOTS: Final = "trainingrun-robots"  # does not exist
SECONDS: Final = 180  # on a busy machine; on an idle one nothing takes ten
UNSCHEDULABLE: Final = (
    "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: "
    "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
EXPORT: Final = (*EXPORTED, "pictures/0.png")


@dataclass
class Environment:
    """A namespace that the operator serves, a bucket, and a node that tests control."""

    kubectl: Kubectl
    node: ManualNode
    bucket: Bucket
    endpoint: str
    operator: LiveOperator

    def serve(self, **policy: tuple[str, ...]) -> None:
        """Start the operator, or restart it with this policy."""
        # The policy names the endpoint, because a wildcard never allows a loopback address.
        accounts = {"service_accounts": ("trainingrun-*",), "sts_endpoints": (self.endpoint,)}
        self.operator.start(Policy(endpoints=(self.endpoint,), **accounts, **policy))

    def prepare(self) -> None:
        """Upload the data, and create the Secrets and the service account."""
        self.bucket.create()
        self.bucket.put_tires("tire/")
        self._damage("tire/images/train/train_0003", jpeg=lambda data: data[:-500])
        self._damage("tire/images/train/train_0005", xml=lambda data: data.replace(b"<xmax>", b"<xmax>9"))
        self._put_small_set("dented/")
        keys = {"AWS_ACCESS_KEY_ID": "tires", "AWS_SECRET_ACCESS_KEY": "rolling"}
        self.secret(SECRET, keys)
        self.secret("trainingrun-half", {"AWS_ACCESS_KEY_ID": "tires"})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self.kubectl.apply({**account, "metadata": {"name": "default", "namespace": NAMESPACE}})
        self._put_node()

    def secret(self, name: str, keys: Mapping[str, str]) -> None:
        """Create a Secret with credentials."""
        meta = {"name": name, "namespace": NAMESPACE}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": dict(keys)})

    def apply(self, name: str, **changes: Any) -> None:
        """Apply the sample tire.yaml under this name."""
        storage = {"endpoint": self.endpoint, **changes.pop("storage", {})}
        body = tire_run(name, storage=storage, **changes)
        body["metadata"]["namespace"] = NAMESPACE
        self.kubectl.apply(body)

    def patch(self, name: str, **spec: Any) -> None:
        """Change the spec of a run."""
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", "trainingrun", name, "-n", NAMESPACE, "--type=merge", "-p", patch)

    def until(self, name: str, wanted: Callable[[Object], Any]) -> None:
        """Wait until a run's status satisfies a predicate."""
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

    def until_event(self, name: str, reason: str) -> None:
        """Wait for an Event about a run."""
        about = f"involvedObject.name={name},reason={reason}"
        asked = ("get", "events", "-n", NAMESPACE, "--field-selector", about, "-o", "name")
        until(lambda: self.kubectl(*asked), what=f"Event {reason} of run {name}", seconds=SECONDS)

    def until_step(self, name: str, step: int) -> None:
        """Wait until training shows this step."""
        self.until(name, lambda status: status.get("training", {}).get("step") == step)

    def _put_node(self) -> None:
        """Create a node without a GPU."""
        self.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        has = {"cpu": "8", "memory": "32Gi", "pods": "110"}
        status = json.dumps({"status": {"capacity": has, "allocatable": has}})
        self.kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", "-p", status)

    def _damage(
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
        self._damage(f"{prefix}images/train/train_0003", jpeg=lambda data: data[:-500])
        self._damage(f"{prefix}images/train/train_0017", xml=lambda data: data[:-40])


def training(environment: Environment) -> None:
    environment.apply("tire")
    environment.node.run_through("tire-prep-1")
    start = {"loaded": 0, "total": 143}
    environment.node.start("tire-train-1", save_every=50, seconds_per_step=0.03, hang_at=75, restored=start)
    environment.until_step("tire", 75)


def pod_deleted(environment: Environment) -> None:
    environment.node.delete_pod("tire-train-1")
    environment.node.start("tire-train-2", save_every=50, seconds_per_step=0.05, hang_at=120)
    environment.until_step("tire", 120)


def suspended(environment: Environment) -> None:
    environment.patch("tire", suspend=True)
    environment.until_reason("tire", "Suspending")
    environment.node.delete_pod("tire-train-2")
    environment.until_reason("tire", "Suspended")


def succeeded(environment: Environment) -> None:
    environment.patch("tire", suspend=False)
    environment.node.run_through("tire-train-3", save_every=50, scores={"150": 0.6})
    environment.node.run_through("tire-export-1", export=EXPORT)
    environment.until_reason("tire", "Succeeded")


def finished_early(environment: Environment) -> None:
    environment.apply("enough", train={"steps": 20000}, export={"gate": {"minAP50": 0.9}})
    environment.node.run_through("enough-prep-1")
    scores = {"50": 0.6, "75": 0.55}
    environment.node.start("enough-train-1", save_every=25, hang_at=75, seconds_per_step=0.03, scores=scores)
    environment.until_step("enough", 75)
    environment.patch("enough", finish=True)
    environment.until_reason("enough", "Finishing")
    environment.node.delete_pod("enough-train-1")
    environment.node.run_through("enough-train-2")
    environment.node.run_through("enough-export-1", export=EXPORT)
    environment.until_event("enough", "Succeeded")


def no_gpu(environment: Environment) -> None:
    environment.apply("large", train={"gpus": 1})
    environment.node.run_through("large-prep-1")
    environment.node.make_pod("large-train-1", node="", reason="Unschedulable", message=UNSCHEDULABLE)
    environment.until_event("large", "PodUnschedulable")


def no_secret(environment: Environment) -> None:
    environment.apply("keyless", storage={"credentials": {"secretName": ROBOTS}})
    pod = environment.node.make_pod("keyless-prep-1")
    message = f'MountVolume.SetUp failed for volume "credentials" : secret "{ROBOTS}" not found'
    environment.node.warn(pod, reason="FailedMount", message=message, component="kubelet")
    environment.until_event("keyless", "SecretMissing")


def no_account(environment: Environment) -> None:
    """The API server itself refuses the pod; the words are passed on as the Job controller does it."""
    environment.apply("assumed", storage={"credentials": {"serviceAccountName": ROBOTS}})
    job = environment.node.job("assumed-prep-1")
    try:
        environment.node.make_pod("assumed-prep-1")
    except CommandError as refused:
        words = "".join(refused.stderr.partition('pods "')[1:]).strip()
        environment.node.warn(
            job, reason="FailedCreate", message=f"Error creating: {words}", component="job-controller"
        )
    environment.until_event("assumed", "ServiceAccountMissing")


def no_bucket(environment: Environment) -> None:
    environment.apply("lost", storage={"bucket": "detektors"})
    environment.node.run_through("lost-prep-1")
    environment.until_reason("lost", "Failed")


def bad_data(environment: Environment) -> None:
    data = {"train": {"uri": "dented/images/train/"}, "eval": {"uri": "dented/images/test/"}}
    environment.apply("dented", dataset=data)
    environment.node.run_through("dented-prep-1")
    environment.until_reason("dented", "Failed")


def out_of_memory(environment: Environment) -> None:
    limit = {"resources": {"limits": {"memory": "1Gi"}}}
    environment.apply("greedy", train={"batchSize": 512, "pod": limit})
    environment.node.run_through("greedy-prep-1")
    for attempt in (1, 2):
        environment.node.kill_for_memory(f"greedy-train-{attempt}", "trainer")
    environment.until_reason("greedy", "Failed")


def retried(environment: Environment) -> None:
    environment.apply("half", storage={"credentials": {"secretName": "trainingrun-half"}})
    environment.node.run_through("half-prep-1")
    environment.until_reason("half", "Failed")
    environment.patch("half", retry=1)
    environment.node.make_pod("half-prep-2")
    environment.until_reason("half", "ContainerCreating")


def waits_for_a_run(environment: Environment) -> None:
    environment.apply("tuned", model={"pretrained": {"run": "large"}})
    environment.until_reason("tuned", "PretrainedRunNotReady")


def expired(environment: Environment) -> None:
    forbidden = {"credentials": {"secretName": "not-of-training"}}  # ends without a pod
    environment.apply("brief", ttlSecondsAfterFinished=0, storage=forbidden)
    environment.kubectl.wait("trainingrun/brief", "-n", NAMESPACE, "--for=delete", seconds=SECONDS)


SITUATIONS: Final[Mapping[str, Callable[[Environment], None]]] = {
    "It trains": training,
    "A pod was lost": pod_deleted,
    "It is suspended": suspended,
    "It succeeded, with findings": succeeded,
    "It was told to finish, and misses its gate": finished_early,
    "It waits for a GPU": no_gpu,
    "It waits for another run": waits_for_a_run,
    "The Secret is missing": no_secret,
    "The ServiceAccount is missing": no_account,
    "The bucket does not exist": no_bucket,
    "The data is not good enough": bad_data,
    "Training needs more memory": out_of_memory,
    "It failed and was opened again": retried,
    "It has expired": expired,
}
