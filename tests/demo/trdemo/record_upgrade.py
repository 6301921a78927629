"""Record what this version writes, in runs of every state: objects of the cluster and the bucket, for tests/upgrade.

Run it once on the last commit of a version, before the next one changes anything:

    python -m trdemo.record_upgrade tests/upgrade/0.1.0

Later versions are tested with the recording: tests/upgrade/README.md. The operator is real, and so are its pods; the
trainer is the stand-in (docs/decisions/0014), so that checkpoints are small.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trcluster.waiting import until
from trdemo import install, trainer_stand_in
from trdemo.bucket import Bucket
from trdemo.fault_scenario import entry_of
from trdemo.follow import condition
from trdemo.installation import SMALL_PREP, Installation, Object, tire_run
from trdemo.target import choose
from trdemo.tires import draw_set
from trimages.paths import REPOSITORY

NAMESPACE: Final = "upgrade"
KINDS: Final = ("trainingruns", "configmaps", "jobs", "pods", "deployments", "services")
SECONDS: Final = 300.0
IMAGES: Final = {"train": 12, "test": 4}
CRASHES: Final = {"steps": 60, "done": None}  # each attempt ends there without a result
_SMALL: Final = {"requests": {"cpu": "50m", "memory": "64Mi"}}


def main() -> None:
    """Run the states and write the recording."""
    folder = Path(sys.argv[1])
    planned = install.build_images(echo=print)
    target = choose(name="default", echo=print)
    target.load_images([item.archive for item in planned.values()])
    references = {name: item.reference for name, item in planned.items()}
    values = {"policy": {"images": ["trainingrun.dev/*"]}}
    install.install_operator(target, references=references, values=values)
    bucket = Bucket(target.storage, "detectors")
    bucket.create()
    for name, count in IMAGES.items():
        photos = draw_set(count, seed=7, prefix=name)
        base = f"tire/images/{name}/"
        bucket.put_all((base + photo.name, photo.jpeg) for photo in photos)
        photos = draw_set(count, seed=7, prefix=name)
        bucket.put_all((base + photo.name.replace(".jpg", ".xml"), photo.xml) for photo in photos)
    installation = Installation(target, references, bucket)
    install.make_namespace(target, NAMESPACE)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trainingrun-images-") as images:
        _bring_into_states(installation, Path(images))
    kubectl = target.kubectl
    kubectl("scale", "deployment", "-n", install.SYSTEM_NAMESPACE, install.RELEASE, "--replicas=0")
    until(
        lambda: not kubectl.get("pods", namespace=install.SYSTEM_NAMESPACE)["items"],
        what="the operator to end",
        seconds=SECONDS,
    )
    _write_objects(installation, folder)
    _write_bucket(bucket, folder)


def _bring_into_states(installation: Installation, folder: Path) -> None:
    target = installation.target
    slow = trainer_stand_in.load(target, folder)
    crashing = _crashing(installation, folder)
    for name, image, changes in (
        ("succeeded", slow, {}),
        ("failed", crashing, {}),
        ("suspended", slow, {}),
        ("training", slow, {}),
        ("waiting", slow, {"train": {"pod": {"nodeSelector": {"gpu": "none"}, "resources": _SMALL}}}),
        ("preparing", slow, {"prep": {"pod": {"nodeSelector": {"gpu": "none"}}}}),
        ("no-data", slow, {"dataset": {"train": {"uri": "late/"}}}),
        ("follower", slow, {"model": {"network": "ssd_mobilenet_v1_0.25_128", "pretrained": {"run": "leader"}}}),
        ("retrying", crashing, {}),
    ):
        steps = 40 if name == "succeeded" else 4000
        if name == "retrying":
            _until(installation, "failed", lambda s: condition(s, "Finished") == "True", "its failure")
        installation.apply(_run(name, image=image, steps=steps, changes=changes), namespace=NAMESPACE)
    for name in ("training", "suspended"):
        _until(installation, name, lambda s: s.get("training", {}).get("checkpointStep", 0) >= 40, "a checkpoint")
    target.kubectl(
        "patch", "trainingrun", "suspended", "-n", NAMESPACE, "--type=merge", "-p", '{"spec":{"suspend":true}}'
    )
    _until(installation, "suspended", lambda s: s.get("phase") == "Suspended", "its suspension")
    _until(installation, "succeeded", lambda s: condition(s, "Succeeded") == "True", "its success")
    _until(installation, "no-data", lambda s: condition(s, "Finished") == "True", "its failure")
    for name, stage in (("waiting", "train"), ("preparing", "prep")):
        _until(installation, name, lambda s, stage=stage: entry_of(s, stage).get("number") == 1, "its attempt")
    _until(installation, "follower", lambda s: condition(s, "Accepted") == "False", "its wait")
    _until(installation, "retrying", lambda s: entry_of(s, "train").get("number", 0) >= 3, "its third attempt")
    _until(installation, "retrying", lambda s: "nextRetryAt" in entry_of(s, "train"), "its back-off")


def _run(name: str, *, image: str, steps: int, changes: Mapping[str, Any]) -> Object:
    train = {"steps": steps, "image": image, "saveEverySteps": 100, "evalEverySteps": 100, "pod": {"resources": _SMALL}}
    wanted: dict[str, Any] = {"prep": SMALL_PREP, "train": train, "export": {"pod": {"resources": _SMALL}}}
    for part, change in changes.items():
        wanted[part] = {**wanted.get(part, {}), **change}
    return tire_run(name, **wanted)


def _crashing(installation: Installation, folder: Path) -> str:
    reference = installation.images["agent"].replace("/agent:", "/crashing:")
    plan = {**trainer_stand_in.PLAN, **CRASHES}
    return trainer_stand_in.load(installation.target, folder, reference=reference, plan=plan)


def _until(installation: Installation, name: str, wanted: Any, what: str) -> None:
    installation.until(name, wanted, namespace=NAMESPACE, seconds=SECONDS, what=what)
    print(f"{name}: {what}", flush=True)


def _write_objects(installation: Installation, folder: Path) -> None:
    kubectl = installation.target.kubectl
    found = {kind: kubectl.get(kind, namespace=NAMESPACE)["items"] for kind in KINDS}
    found["configmaps"] = [item for item in found["configmaps"] if item["metadata"]["name"] != "kube-root-ca.crt"]
    found["pods"] = [item for item in found["pods"] if "tensorboard" not in item["metadata"]["name"]]
    lines = []
    for kind, items in found.items():
        for item in items:
            item["metadata"].pop("managedFields", None)
        objects = ",\n".join(json.dumps(item, sort_keys=True, separators=(",", ":")) for item in items)
        lines.append(f"{json.dumps(kind)}: [\n{objects}\n]")
    (folder / "objects.json").write_text("{" + ",\n".join(lines) + "}\n")
    crd = REPOSITORY / "manifests/crd/trainingruns.trainingrun.dev.yaml"
    (folder / "crd.yaml").write_bytes(crd.read_bytes())


def _write_bucket(bucket: Bucket, folder: Path) -> None:
    """One archive of all objects; without times, so that the same content is the same bytes."""
    with (
        gzip.GzipFile(folder / "bucket.tar.gz", "wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for key in sorted(bucket.keys("")):
            body = bucket.read(key)
            entry = tarfile.TarInfo(key)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))


if __name__ == "__main__":
    main()
