"""Runs with bad input on a real node, all at the same time: the exact messages in `kubectl get` and in the status.

Each case starts at most one pod, that of prep. tests/operator/test_bad_input.py tests the messages of all other cases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import archive_bombs
import image_bombs
import zoo
from trdemo import next_step
from trdemo.bucket import SEED, TRAIN
from trdemo.follow import condition
from trdemo.installation import SMALL_PREP, Installation, Object, tire_run
from trdemo.tires import Photo, draw_set
from voc_data import voc

pytestmark = pytest.mark.node

SECONDS = 120  # for all runs together: each needs a pod for some seconds, and they share two cores
FEW, ALLOWED = 12, "(spec.dataset.maxBadFiles 1% allows {})"
REPORT = "Report: s3://detectors/datasets/failed/<digest>/report.html."
CORRECT = (
    "Correct the files that the report names, then raise spec.retry; or create a new TrainingRun with a higher "
    "spec.dataset.maxBadFiles."
)
NAMES = "Class names are case-sensitive: create a new TrainingRun with {}; or correct the labels and raise spec.retry."
USE = (
    "Create a new TrainingRun with another spec.model.pretrained.uri: a .tar.gz of the TensorFlow 1 detection model "
    "zoo, or the export folder of a run. If only the upload was broken, upload it again and raise spec.retry."
)
LOCAL = (
    "spec.storage.endpoint: 'http://169.254.169.254' is the pod itself, its node or the metadata service of its cloud"
)
RETRY = 'kubectl -n {namespace} patch trainingrun {name} --type merge -p \'{{"spec":{{"retry":1}}}}\''
COPY = "kubectl -n {namespace} get trainingrun {name} -o yaml | grep -v resourceVersion: > new.yaml"
CREATE = f"To create the new run: (1) {COPY} (2) edit metadata.name and the fields there (3) kubectl create -f new.yaml"
ENDINGS = {"TooManyBadFiles": f"To try again: {RETRY}", "ForbiddenByPolicy": f"After that, try again: {RETRY}"}
WAITS = "late"  # name of the run that waits for a GPU


@dataclass(frozen=True)
class Case:
    """Changes to the demo's run, and the expected reason, message and next step."""

    changes: Mapping[str, Any]
    reason: str
    what: str
    hint: str


def train_on(folder: str) -> dict[str, Any]:
    return {"dataset": {"train": {"uri": f"bad/{folder}/"}}}


def truncated(number: int) -> str:
    lost = "ImageTruncated: image file is truncated ({} bytes not processed)"
    return f"train train_{number:04d}.jpg: {lost}"


CASES = {
    "absent": Case(
        {"dataset": {"classes": ["tire", "zebra"]}},
        "ClassNotFound",
        "spec.dataset.classes: no object of class 'zebra' in spec.dataset.train; class names there: 'tire' (<n>).",
        f"{NAMES.format('spec.dataset.classes: [tire]')} {REPORT}",
    ),
    "case": Case(
        {"dataset": {"classes": ["Tire"]}},
        "ClassNotFound",
        "spec.dataset.classes: no object of class 'Tire' (did you mean 'tire'?) in spec.dataset.train; class names "
        "there: 'tire' (<n>).",
        f"{NAMES.format('spec.dataset.classes: [tire]')} {REPORT}",
    ),
    "image": Case(
        train_on("image"),
        "TooManyBadFiles",
        f"1 bad file among <n> images {ALLOWED.format(0)}: train train_0003.xml: AnnotationWithoutImage: no image has "
        "this name or the name in <filename>, or the name is not unique.",
        f"{CORRECT} {REPORT}",
    ),
    "xml": Case(
        train_on("xml"),
        "TooManyBadFiles",
        f"1 bad file among <n> images {ALLOWED.format(0)}: train train_0003.xml: AnnotationMalformed: not well-formed "
        "XML: expected '>', line <n>, column <n>.",
        f"{CORRECT} {REPORT}",
    ),
    "five": Case(
        train_on("five"),
        "TooManyBadFiles",
        f"<n> bad files among <n> images {ALLOWED.format(1)}: {truncated(0)}; {truncated(1)}; {truncated(2)}.",
        f"{CORRECT} {REPORT}",
    ),
    "archive": Case(
        {"model": {"pretrained": {"uri": "bad/none.tar.gz"}}},
        "PretrainedUnusable",
        "spec.model.pretrained: s3://detectors/bad/none.tar.gz is not a complete .tar.gz or .tar archive: "
        "truncated header.",
        USE,
    ),
    "unfolding": Case(
        {"model": {"pretrained": {"uri": "bad/unfolding.tar.gz"}}},
        "PretrainedUnusable",
        "spec.model.pretrained: s3://detectors/bad/unfolding.tar.gz has a name or header of more than 65536 bytes.",
        USE,
    ),
    "wide": Case(
        train_on("wide"),
        "TooManyBadFiles",
        f"1 bad file among <n> images {ALLOWED.format(0)}: train train_0003.jpg: ImageTooLarge: 19999999 x 1 pixels; "
        "a side may have at most 65535.",
        f"{CORRECT} {REPORT}",
    ),
    "greedy": Case(
        train_on("greedy") | {"prep": {"pod": {"resources": {"limits": {"memory": "200Mi"}}}}},
        "OOMKilled",
        "Container agent of pod greedy-prep-2-<pod> was killed because it ran out of memory while it read "
        "train_0003.jpg.",
        "Look at what it read first: if that is damaged or far too large, replace it and raise spec.retry. If it is "
        "right, create a new TrainingRun with spec.prep.pod.resources.limits.memory: 400Mi (now 200Mi).",
    ),
    "weights": Case(
        {"model": {"pretrained": {"uri": "bad/inception.tar.gz"}}},
        "PretrainedMismatch",
        "spec.model.pretrained: the weights in s3://detectors/bad/inception.tar.gz have no variable below "
        "FeatureExtractor/MobilenetV1/, where ssd_mobilenet_v1_0.25_128 has its own; they are of ssd_inception_v2.",
        "Create a new TrainingRun with spec.model.network: ssd_inception_v2 (now ssd_mobilenet_v1_0.25_128); or, to "
        "keep the network, create a new TrainingRun with another spec.model.pretrained.uri.",
    ),
    "trainer": Case(
        {"train": {"image": "docker.io/me/trainer:1"}},
        "ForbiddenByPolicy",
        "spec.train.image: 'docker.io/me/trainer:1' is not allowed here; allowed: trainingrun.dev/*, <trainer>.",
        "Create a new TrainingRun with an allowed value, or ask your platform team to extend policy.images of the "
        "operator's Helm values.",
    ),
    "metadata": Case(
        {"storage": {"endpoint": "http://169.254.169.254"}},
        "ForbiddenByPolicy",
        f"{LOCAL}, not storage.",
        "Create a new TrainingRun with the address of your storage. If your storage really has this address, ask your "
        "platform team to allow it, without a wildcard in its host, in policy.endpoints of the operator's Helm values.",
    ),
}


GREEDY = {
    "train_0003.jpg": image_bombs.transparent_png(4400, 4400),
    "train_0003.xml": voc(size=(4400, 4400)),
}
"""An image that is decoded, as its labels fit, in more memory than the run allows."""


@pytest.fixture(scope="module")
def applied(installation: Installation, namespace: str) -> None:
    """Upload the data, then apply all runs at once."""
    photos = list(draw_set(TRAIN, seed=SEED, prefix="train"))
    few = photos[:FEW]
    installation.bucket.put_all(
        [
            *files("image", few, lost={"train_0003.jpg"}),
            *files("xml", few, cut={"train_0003.xml": 20}),
            *files("wide", few, replaced={"train_0003.jpg": image_bombs.png(19_999_999, 1)}),
            *files("greedy", few, replaced=GREEDY),
            *files("one", photos, cut={"train_0000.jpg": 9}),
            *files("five", photos, cut={f"train_{number:04d}.jpg": 9 for number in range(TRAIN * 5 // 100)}),
            ("bad/none.tar.gz", b"<!DOCTYPE html><title>404 Not Found</title>"),
            ("bad/inception.tar.gz", zoo.zoo_archive()),
            ("bad/unfolding.tar.gz", archive_bombs.BOMBS["name of a member"][0]()),
        ]
    )
    for name, case in CASES.items():
        installation.apply(tire_run(name, **{"prep": SMALL_PREP, **case.changes}), namespace=namespace)
    late = tire_run(WAITS, prep=SMALL_PREP, **train_on("one"), startDeadlineSeconds=30)
    late["spec"]["train"]["gpus"] = 1
    installation.apply(late, namespace=namespace)


def files(
    folder: str,
    photos: list[Photo],
    *,
    cut: Mapping[str, int] | None = None,
    lost: set[str] | None = None,
    replaced: Mapping[str, bytes] | None = None,
) -> list[tuple[str, bytes]]:
    """Keys and bodies of a training folder without the files in `lost`; `cut` is how many bytes a file lacks."""
    pairs = [(photo.name, photo.jpeg) for photo in photos]
    pairs += [(photo.name.replace(".jpg", ".xml"), photo.xml) for photo in photos]
    cut, replaced = cut or {}, replaced or {}
    return [
        (f"bad/{folder}/{name}", replaced.get(name) or data[: len(data) - cut.get(name, 0)])
        for name, data in pairs
        if name not in (lost or set())
    ]


@pytest.mark.parametrize("name", CASES)
def test_the_user_is_told_what_is_wrong_and_what_to_do(
    installation: Installation, namespace: str, applied: None, name: str
) -> None:
    case = CASES[name]
    status = installation.finished(name, namespace=namespace, seconds=SECONDS)
    end = ENDINGS.get(case.reason, CREATE).format(namespace=namespace, name=name)
    what = case.what.replace("<trainer>", installation.images["trainer"])
    assert masked(status["message"], like=case) == masked(f"{what} {case.hint} {end}", like=case)
    assert reason_of(status, "Succeeded") == case.reason
    row = installation.target.kubectl("get", "trainingruns", name, "-n", namespace)
    assert (case.reason if case.reason == "ForbiddenByPolicy" else f"Preparing: {case.reason}") in row
    assert condition(status, "Trained") == ""  # no pod of train was created


def test_the_new_run_that_the_message_asks_for_is_prepared(
    installation: Installation, namespace: str, applied: None, tmp_path: Path
) -> None:
    message = installation.finished("case", namespace=namespace, seconds=SECONDS)["message"]
    next_step.create(installation.target.kubectl, message, name="spelled", folder=tmp_path)
    installation.until(
        "spelled",
        lambda status: condition(status, "Prepared") == "True",
        namespace=namespace,
        seconds=SECONDS,
        what="Prepared with the class as it is in the labels",
    )
    installation.target.kubectl("delete", "trainingrun", "spelled", "-n", namespace, "--wait=false")


def test_one_truncated_image_is_skipped_and_a_gpu_that_nobody_has_is_waited_for(
    installation: Installation, namespace: str, applied: None
) -> None:
    waiting = installation.until(
        WAITS,
        lambda status: "no node has any" in str(status.get("message")),
        namespace=namespace,
        seconds=SECONDS,
        what="a pod that no node can run",
    )
    dataset = waiting["dataset"]
    assert (dataset["trainImages"], dataset["errors"]) == (TRAIN - 1, 1)
    assert [masked(finding) for finding in dataset["topFindings"]] == [
        masked(truncated(0).replace("train ", "train: "))
    ]
    # While other pods of this module run, the node has no processor to spare either.
    pod = rf"No node can run pod {WAITS}-train-1-[a-z0-9]{{5}}"
    what = rf"{pod}: 0/1 nodes are available: .*1 Insufficient nvidia.com/gpu\. It asks for 1 nvidia.com/gpu, and"
    message = waiting["message"]
    assert re.match(what, message), message
    step = "Create a new TrainingRun with spec.train.gpus: 0, which trains on the CPU, or free or add such a node."
    assert reason_of(waiting, "Trained") == "PodUnschedulable"
    assert message.endswith(f"{step} The pod then starts by itself.")
    row = installation.target.kubectl("get", "trainingruns", WAITS, "-n", namespace)
    assert "Training: waiting (PodUnschedulable)" in row


def test_a_gpu_that_does_not_come_by_the_deadline_ends_the_run(
    installation: Installation, namespace: str, applied: None
) -> None:
    status = installation.finished(WAITS, namespace=namespace, seconds=SECONDS)
    assert reason_of(status, "Succeeded") == "StartDeadlineExceeded"
    what = "The pod of late-train-1 did not start within spec.startDeadlineSeconds (30 s): No node can run pod "
    assert status["message"].startswith(f"{what}late-train-1-")
    assert "1 Insufficient nvidia.com/gpu." in status["message"]
    assert f"To try again: kubectl -n {namespace} patch trainingrun {WAITS} --type merge" in status["message"]
    assert (
        installation.target.kubectl.get("pods", namespace=namespace, selector="trainingrun.dev/stage=train")["items"]
        == []
    )


def reason_of(status: Object, kind: str) -> str:
    return next((str(c["reason"]) for c in status.get("conditions", ()) if c["type"] == kind), "")


def masked(text: str, *, like: Case | None = None) -> str:
    """Replace numbers and digests that depend on how the pictures were drawn and compressed."""
    text = re.sub("[0-9a-f]{64}", "<digest>", text)
    text = re.sub(r"(?<=-prep-2-)[a-z0-9]{5}", "<pod>", text)
    text = re.sub(r"\((?:\d+|\{\}) bytes not", "(<n> bytes not", text)
    if like is None or like.reason in {"ClassNotFound", "TooManyBadFiles"}:
        text = re.sub(r"(?<=\()\d+(?=\))|\d+(?= bad files?)|\d+(?= images)|(?<=line )\d+|(?<=column )\d+", "<n>", text)
    return text
