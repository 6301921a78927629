"""Each rule of the CRD on a real API server: what it accepts, what it refuses, and the exact message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import crd_option_cases
import crd_storage_cases
import crd_weight_cases
from crd_configuration import PASSES as CONFIGURATION_PASSES
from crd_configuration import REFUSED as CONFIGURATION_REFUSED
from crd_configuration import REFUSED_FOR_FASTER_RCNN
from crd_weight_cases import PRETRAINED, RESUME, RESUME_ALONE

pytestmark = pytest.mark.api

Body = dict[str, Any]
Sample = Callable[..., Body]

NAME = (
    'metadata.name must be at most 40 characters of a-z, 0-9 and "-", start with a letter and end with a '
    "letter or digit"
)
ENDPOINT = (
    "storage.endpoint must be http://host[:port] or https://host[:port], without user, path, query or trailing slash"
)
IPV4 = "storage.endpoint must have an IPv4 address as four decimal numbers, such as http://10.0.0.1:9000"
REGION = 'storage.region must be letters, digits, "-" and "_", for example eu-central-1'
BUCKET = 'storage.bucket must be a bucket name (3 to 63 characters of a-z, 0-9, "." and "-"), not an address'
PREFIX = (
    'storage.prefix must be a folder such as team/vision, without "/" at either end, "..", spaces or '
    "other special characters"
)
CA_NAME = "storage.caBundle.configMapName must be the name of a ConfigMap in this namespace"
CA_KEY = 'storage.caBundle.key must be letters, digits, "-", "_" and "."'
CA_HTTP = "storage.caBundle has no effect with an http:// endpoint; remove it or use https://"
SECRET = "storage.credentials.secretName must be the name of a Secret in this namespace"
FOLDER = "dataset uri must be a key prefix in storage.bucket or s3://bucket/prefix/"
FOLDER_PATH = 'dataset uri must not start with "/" or contain ".." or control characters'
SET_FORMAT = "dataset imageSet names a list in a PascalVOC tree, so format must be auto or pascalVOC"
SET_LABELS = (
    "dataset imageSet names a list in a PascalVOC tree, which has its labels in Annotations; remove labels or imageSet"
)
IMAGE_SET = "dataset imageSet must be the name of a list in ImageSets/Main without .txt, for example trainval"
CLASS = "a class name must not start or end with spaces or contain control characters"
INTENSITIES = "dataset.intensityRange must be two values of which the first is lower, such as [0, 16383]"
BAD_FILES = "dataset.maxBadFiles must be a count such as 5 or a percentage such as 1%"
SAME_DATA = (
    "dataset.eval has the images and labels of dataset.train, so scores would say nothing about other images; name "
    "other images, or remove eval and set evalFraction, such as 0.15"
)
EVAL_OR_SHARE = (
    "dataset needs exactly one of eval (a folder with images to evaluate on) and evalFraction (the share of the images "
    "of train to evaluate on, such as 0.15)"
)
SHARE_PATTERN = r"'^0?\.([1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9])$|$ "
SHARE = (
    f"spec.dataset.evalFraction in body should match {SHARE_PATTERN}"
    "(a number above 0 and below 1 with at most 4 decimals, such as 0.15)'"
)
FRACTION = "spec.dataset.evalFraction in body"
NO_SEED = "dataset.splitSeed has no effect without dataset.evalFraction; remove it"
NO_GROUP = "dataset.splitGroup has no effect without dataset.evalFraction; remove it"
RATE = "(a number above 0 and at most 10, such as 0.004 or 4e-3)"
RATE_PATTERN = r"'^0*(10(\.0+)?|([1-9](\.[0-9]+)?|\.0*[1-9][0-9]*)([eE]-0?[1-9])?)$|$ "
NOT_A_NUMBER = "must not validate the schema (not)"
IMAGE = "train.image must be an image reference such as registry.example.com/trainer:1.15"
CPU = "cpu must be a number of cores such as 2 or 500m"
MEMORY = "memory must be a quantity of bytes such as 4Gi"
SCRATCH = "scratch must be a quantity of bytes such as 20Gi"
REQUESTS = "pod.resources.requests must not be higher than pod.resources.limits"
NO_KEY = "a toleration without key needs operator Exists"
NO_VALUE = "a toleration with operator Exists must not have a value"
NO_SECONDS = "a toleration with tolerationSeconds needs effect NoExecute"

LABEL_KEY = "a key in pod.labels must be a name such as cost-center or example.com/team"
LABEL_VALUE = (
    'a value in pod.labels must be letters, digits, "-", "_" and ".", and start and end with a letter or digit'
)
LABEL_RESERVED = (
    "pod.labels must not have keys that Kubernetes or the operator writes, such as job-name and keys of kubernetes.io, "
    "k8s.io and trainingrun.dev"
)
ANNOTATION_KEY = "a key in pod.annotations must be a name such as example.com/contact"
ANNOTATION_RESERVED = (
    "pod.annotations must not have keys that Kubernetes or the operator writes, such as keys of kubernetes.io (except "
    "cluster-autoscaler.kubernetes.io/safe-to-evict), k8s.io and trainingrun.dev"
)
PRIORITY = "pod.priorityClassName must be the name of a PriorityClass"

FORMATS = (
    '"auto", "pascalVOC", "tutorialCSV", "coco", "yolo", "cvat", "labelMe", "via", "labelStudio", "openImages", '
    '"createML", "csv"'
)
GROUPS = '"sequence", "folder", "image"'
NETWORKS = (
    '"ssd_inception_v2", "ssd_mobilenet_v1", "ssd_mobilenet_v2", "ssdlite_mobilenet_v2", "ssd_mobilenet_v1_quantized", '
    '"ssd_mobilenet_v2_quantized", "ssd_mobilenet_v1_fpn", "ssd_resnet50_fpn", "faster_rcnn_inception_v2", '
    '"faster_rcnn_resnet50", "faster_rcnn_resnet101", "faster_rcnn_inception_resnet_v2", "rfcn_resnet101", '
    '"ssd_mobilenet_v1_0.25_128"'
)

ENDPOINT_AT = "spec.storage.endpoint"
PREFIX_AT = "spec.storage.prefix"
TRAIN_URI = "spec.dataset.train.uri"
DATASET = "spec.dataset"
ONE_FOLDER = {"train": {"uri": "a/"}, "classes": ["tire"]}
LABELS_APART = {
    **ONE_FOLDER,
    **{name: {"uri": "a/", "labels": {"uri": f"labels/{name}/"}} for name in ("train", "eval")},
}
GRACE = "spec.train.terminationGracePeriodSeconds"
RESOURCES = "spec.train.pod.resources"
TOLERATIONS = "spec.train.pod.tolerations"
LABELS = "spec.train.pod.labels"
ANNOTATIONS = "spec.tensorboard.pod.annotations"
RESERVED = (
    "trainingrun.dev/run",
    "x.trainingrun.dev/run",
    "app.kubernetes.io/component",
    "app.kubernetes.io/managed-by",
    "batch.kubernetes.io/job-name",
    "kubernetes.io/arch",
    "k8s.io/a",
    "eks.amazonaws.com/skip-containers",
    "kueue.x-k8s.io/queue-name",
    "job-name",
    "controller-uid",
    "pod-template-hash",
)
DIGEST = "sha256:" + "0" * 64

PASSES: list[tuple[str, Any]] = [
    ("metadata.name", "a"),
    ("metadata.name", "a" * 40),
    ("metadata.name", "tire-2"),
    (ENDPOINT_AT, None),
    (ENDPOINT_AT, "https://s3.example.com"),
    (ENDPOINT_AT, "http://10.0.0.1:9000"),
    (ENDPOINT_AT, "https://S3-1.example.com:65535"),
    (ENDPOINT_AT, "http://1s3"),
    (ENDPOINT_AT, "http://255.1.20.0"),
    (ENDPOINT_AT, "http://[fd00::1]:9000"),
    ("spec.storage.region", "eu-central-1"),
    ("spec.storage.bucket", "abc"),
    ("spec.storage.bucket", "my.bucket-1"),
    ("spec.storage.bucket", "b" * 63),
    (PREFIX_AT, ""),
    (PREFIX_AT, "team"),
    (PREFIX_AT, "team/vision_1/a.b"),
    ("spec.storage.addressing", "virtual"),
    ("spec.storage.outageToleranceSeconds", 0),
    ("spec.storage.credentials.secretName", "a.b-c"),
    (TRAIN_URI, "a/"),
    (TRAIN_URI, "s3://photos/"),
    (TRAIN_URI, "s3://photos/a b/ü/"),
    (TRAIN_URI, "a..b/"),
    ("spec.dataset.train.imageSet", "trainval_2"),
    ("spec.dataset.train.format", "coco"),
    ("spec.dataset.eval", {"uri": "a/", "imageSet": "val", "format": "pascalVOC"}),
    ("spec.dataset.train.labels", {"uri": "tire/labels/"}),
    ("spec.dataset.eval", {"uri": "a/", "labels": {"uri": "s3://labels/a/"}, "format": "yolo"}),
    ("spec.dataset.eval", {"uri": "a/", "labels": {"uri": "a/"}}),
    *((DATASET, {"evalFraction": value, **ONE_FOLDER}) for value in ("0.15", ".5", "0.1000", 0.15, 0.3, 1e-4, 0.99999)),
    ("spec.dataset.intensityRange", [0, 16383]),
    ("spec.dataset.intensityRange", [-1000, 3000]),
    (DATASET, {"evalFraction": "0.0001", "splitSeed": 0, "splitGroup": "sequence", **ONE_FOLDER}),
    (DATASET, {"evalFraction": "0.9999", "splitSeed": 2147483647, "splitGroup": "folder", **ONE_FOLDER}),
    (DATASET, {**ONE_FOLDER, "train": {"uri": "a/", "imageSet": "trainval"}, "evalFraction": "0.5"}),
    (DATASET, {**ONE_FOLDER, "train": {"uri": "a/", "imageSet": "train"}, "eval": {"uri": "a/", "imageSet": "val"}}),
    (DATASET, {**ONE_FOLDER, "train": {"uri": "a/"}, "eval": {"uri": "a/val/"}}),
    (DATASET, LABELS_APART),
    ("spec.dataset.classes", ["traffic light", "Ü", "tire", "Tire"]),
    ("spec.dataset.classes", ["می\u200cروم", "צמיג", "タイヤ", "🛞"]),
    ("spec.dataset.maxBadFiles", "0"),
    ("spec.dataset.maxBadFiles", "0.5%"),
    ("spec.dataset.maxBadFiles", 5),
    *crd_storage_cases.PASSES,
    *crd_weight_cases.PASSES,
    *(("spec.train.learningRate", text) for text in ("0.004", ".01", "1", "1e-3", "2.5E-05", "10", "10.00", "09.9")),
    *(("spec.train.learningRate", number) for number in (0.001, 1e-3, 2.5e-7, 1, 10, 1e-9)),
    ("spec.train.image", "trainer"),
    ("spec.train.image", "trainer:1.15"),
    ("spec.train.image", "registry.example.com:5000/team/trainer:1.15"),
    ("spec.train.image", f"registry.example.com/team/trainer@{DIGEST}"),
    ("spec.train.scratch", "1.5Ti"),
    ("spec.prep.scratch", "500M"),
    (RESOURCES, {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"cpu": "2000m", "memory": "1024Mi"}}),
    (RESOURCES, {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}),
    ("spec.train.pod.nodeSelector", {"nvidia.com/gpu.product": "NVIDIA-T4"}),
    (TOLERATIONS, [{"operator": "Exists"}]),
    (TOLERATIONS, [{"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 5}]),
    (LABELS, {"cost-center": "42", "app.kubernetes.io/name": "tire", "Example.Team_1": ""}),
    (LABELS, {"a.example.com/" + "n" * 63: "v" * 63}),
    (LABELS, {"notk8s.io/a": "b", "kubernetes.io.example.com/a": "b"}),
    ("spec.prep.pod.labels", {f"key-{n}": "v" for n in range(20)}),
    (ANNOTATIONS, {"sidecar.istio.io/inject": "false", "karpenter.sh/do-not-disrupt": "true"}),
    (ANNOTATIONS, {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "note": "any text\n" * 100}),
    ("spec.train.pod.priorityClassName", "batch.low-1"),
    ("spec.tensorboard.pod", {"resources": {"limits": {"cpu": "1"}}, "labels": {"team": "vision"}}),
    ("spec.startDeadlineSeconds", 1),
    ("spec.retry", 3),
    *CONFIGURATION_PASSES,
    *crd_option_cases.PASSES,
]

REFUSED: list[tuple[str, Any, str]] = [
    ("metadata.name", "a" * 41, NAME),
    ("metadata.name", "1tire", NAME),
    ("metadata.name", "a.b", NAME),
    (ENDPOINT_AT, "s3.storage:7070", ENDPOINT),
    (ENDPOINT_AT, "http://s3.storage:7070/", ENDPOINT),
    (ENDPOINT_AT, "http://user:word@s3", ENDPOINT),
    (ENDPOINT_AT, "ftp://s3", ENDPOINT),
    (ENDPOINT_AT, "http://s3?a=b", ENDPOINT),
    (ENDPOINT_AT, "http://s3#a", ENDPOINT),
    (ENDPOINT_AT, "http://s3@evil", ENDPOINT),
    (ENDPOINT_AT, "http://s3%40evil", ENDPOINT),
    (ENDPOINT_AT, "http://s3\\\\@evil", ENDPOINT),
    (ENDPOINT_AT, "HTTP://s3", ENDPOINT),
    (ENDPOINT_AT, "http://s3.", ENDPOINT),
    (ENDPOINT_AT, "http://s3..good", ENDPOINT),
    (ENDPOINT_AT, "http://s3:0", ENDPOINT),
    (ENDPOINT_AT, "http://[::ffff:169.254.169.254]", ENDPOINT),
    (ENDPOINT_AT, "http://[fe80::1%25eth0]", ENDPOINT),
    (ENDPOINT_AT, "http://2852039166", IPV4),
    (ENDPOINT_AT, "http://0xa9fea9fe:80", IPV4),
    (ENDPOINT_AT, "http://0251.0376.0251.0376", IPV4),
    (ENDPOINT_AT, "http://169.254.43518", IPV4),
    (ENDPOINT_AT, "http://169.254.169.0XFE", IPV4),
    (ENDPOINT_AT, "http://256.1.1.1", IPV4),
    (ENDPOINT_AT, "http://1.2.3.4.5", IPV4),
    (ENDPOINT_AT, "http://s3.1", IPV4),
    ("spec.storage.region", "eu central", REGION),
    ("spec.storage.bucket", "ab", BUCKET),
    ("spec.storage.bucket", "s3://detectors", BUCKET),
    ("spec.storage.bucket", "Detectors", BUCKET),
    (PREFIX_AT, "/a", PREFIX),
    (PREFIX_AT, "a/", PREFIX),
    (PREFIX_AT, "a//b", PREFIX),
    (PREFIX_AT, "a/../b", PREFIX),
    (PREFIX_AT, "a b", PREFIX),
    ("spec.storage.addressing", "dns", '"dns": supported values: "path", "virtual"'),
    ("spec.storage.caBundle", {"configMapName": "Company"}, CA_NAME),
    ("spec.storage.caBundle", {"configMapName": "company", "key": "a/b"}, CA_KEY),
    ("spec.storage.caBundle", {"configMapName": "company"}, CA_HTTP),
    ("spec.storage.credentials.secretName", "trainingrun_s3", SECRET),
    ("spec.storage.credentials.secretName", "", SECRET),
    (TRAIN_URI, "tire/train", "dataset uri must name a folder, so end it with a slash: tire/train/"),
    (TRAIN_URI, "https://s3/photos/", FOLDER),
    (TRAIN_URI, "s3://Photos/a/", FOLDER),
    (TRAIN_URI, "/tire/", FOLDER_PATH),
    (TRAIN_URI, "tire/../other/", FOLDER_PATH),
    (TRAIN_URI, "tire\n/", FOLDER_PATH),
    (TRAIN_URI, "tire\x9b2J/", FOLDER_PATH),
    (TRAIN_URI, "\u202egpj/", FOLDER_PATH),
    ("spec.dataset.eval.uri", "tire/test", "dataset uri must name a folder, so end it with a slash: tire/test/"),
    ("spec.dataset.train.imageSet", "../train", IMAGE_SET),
    ("spec.dataset.train.format", "coco.json", f'"coco.json": supported values: {FORMATS}'),
    ("spec.dataset.train", {"uri": "a/", "imageSet": "val", "format": "yolo"}, SET_FORMAT),
    ("spec.dataset.eval", {"uri": "a/", "imageSet": "val", "format": "coco"}, SET_FORMAT),
    ("spec.dataset.train", {"uri": "a/", "imageSet": "val", "labels": {"uri": "b/"}}, SET_LABELS),
    ("spec.dataset.train.labels", {"uri": "tire"}, "dataset uri must name a folder, so end it with a slash: tire/"),
    ("spec.dataset.eval.labels", {"uri": "http://host/a/"}, FOLDER),
    ("spec.dataset.train.labels", {"uri": "../a/"}, FOLDER_PATH),
    *((DATASET, {**ONE_FOLDER, "eval": {"uri": uri}}, SAME_DATA) for uri in ("a/", "a//")),
    (DATASET, {**ONE_FOLDER, "eval": {"uri": "a/", "format": "coco"}}, SAME_DATA),
    *(
        (DATASET, {**ONE_FOLDER, "train": {"uri": "a/", **more}, "eval": {"uri": "a/", **more}}, SAME_DATA)
        for more in ({"imageSet": "val"}, {"labels": {"uri": "b/"}})
    ),
    (DATASET, ONE_FOLDER, EVAL_OR_SHARE),
    (DATASET, {"eval": {"uri": "b/"}, "evalFraction": "0.15", **ONE_FOLDER}, EVAL_OR_SHARE),
    (DATASET, {"splitSeed": 1, **ONE_FOLDER}, EVAL_OR_SHARE),
    *((DATASET, {"evalFraction": text, **ONE_FOLDER}, SHARE) for text in ("0", "0.0", "1", "1.5", "-0.1", "15%")),
    *((DATASET, {"evalFraction": text, **ONE_FOLDER}, SHARE) for text in ("0.00001", "1e-1", "0,15", "", "0.15\n")),
    (DATASET, {"evalFraction": 0, **ONE_FOLDER}, f"{FRACTION} should be greater than 0"),
    (DATASET, {"evalFraction": 1, **ONE_FOLDER}, f"{FRACTION} should be less than 1"),
    (DATASET, {"evalFraction": True, **ONE_FOLDER}, f'"spec.dataset.evalFraction" {NOT_A_NUMBER}'),
    ("spec.dataset.splitSeed", 1, NO_SEED),
    ("spec.dataset.splitGroup", "image", NO_GROUP),
    (
        DATASET,
        {"evalFraction": "0.1", "splitSeed": -1, **ONE_FOLDER},
        "spec.dataset.splitSeed in body should be greater than or equal to 0",
    ),
    (DATASET, {"evalFraction": "0.1", "splitGroup": "site", **ONE_FOLDER}, f'"site": supported values: {GROUPS}'),
    ("spec.dataset.classes", ["tire", " hub"], CLASS),
    ("spec.dataset.classes", ["a\tb"], CLASS),
    ("spec.dataset.classes", ["\x9b2Jtire"], CLASS),
    ("spec.dataset.classes", ["\u202eerit"], CLASS),
    ("spec.dataset.classes", ["a\u2028b"], CLASS),
    ("spec.dataset.classes", ["tire", "tire"], 'Duplicate value: "tire"'),
    ("spec.dataset.classes", [""], "spec.dataset.classes[0] in body should be at least 1 chars long"),
    ("spec.dataset.classes", [], "spec.dataset.classes in body should have at least 1 items"),
    ("spec.dataset.maxBadFiles", "some", BAD_FILES),
    ("spec.dataset.maxBadFiles", "-1", BAD_FILES),
    ("spec.dataset.maxBadFiles", -1, "spec.dataset.maxBadFiles in body should be greater than or equal to 0"),
    ("spec.dataset.intensityRange", [16383, 0], INTENSITIES),
    ("spec.dataset.intensityRange", [7, 7], INTENSITIES),
    ("spec.dataset.intensityRange", [7], "spec.dataset.intensityRange in body should have at least 2 items"),
    ("spec.dataset.maxImageSide", 63, "spec.dataset.maxImageSide in body should be greater than or equal to 64"),
    ("spec.model.network", "yolo", f'"yolo": supported values: {NETWORKS}'),
    *crd_storage_cases.REFUSED,
    *crd_weight_cases.REFUSED,
    *(
        (
            "spec.train.learningRate",
            text,
            f"spec.train.learningRate in body should match {RATE_PATTERN}{RATE}'",
        )
        for text in ("0", "0.000", "-1", "fast", "100", "10.1", "1e3", "0e-1", "", "0.1\n")
    ),
    ("spec.train.learningRate", 0, "spec.train.learningRate in body should be greater than 0"),
    ("spec.train.learningRate", 1e-10, "spec.train.learningRate in body should be greater than 1e-10"),
    ("spec.train.learningRate", 100, "spec.train.learningRate in body should be less than or equal to 10"),
    *(("spec.train.learningRate", value, f'"spec.train.learningRate" {NOT_A_NUMBER}') for value in (True, {}, [])),
    ("spec.train.learningRate", [0.1], "must have at most 0 items"),
    ("spec.train.learningRate", {"max": 0.1}, "must have at most 0 items"),
    ("spec.train.gpus", 2, "spec.train.gpus in body should be less than or equal to 1"),
    ("spec.train.image", "a b", IMAGE),
    ("spec.train.image", "http://a/b", IMAGE),
    ("spec.train.stallSeconds", 29, "spec.train.stallSeconds in body should be greater than or equal to 30"),
    (GRACE, 29, f"{GRACE} in body should be greater than or equal to 30"),
    (GRACE, 3601, f"{GRACE} in body should be less than or equal to 3600"),
    ("spec.train.scratch", "big", SCRATCH),
    ("spec.train.scratch", "0", SCRATCH),
    ("spec.export.scratch", "-1Gi", SCRATCH),
    ("spec.export.evalImages", 501, "spec.export.evalImages in body should be less than or equal to 500"),
    (RESOURCES, {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}, REQUESTS),
    (RESOURCES, {"requests": {"memory": "2Gi"}, "limits": {"memory": "2000Mi"}}, REQUESTS),
    (RESOURCES, {"requests": {"memory": "lots"}}, MEMORY),
    (RESOURCES, {"limits": {"memory": -1}}, MEMORY),
    (RESOURCES, {"requests": {"cpu": "two"}}, CPU),
    (
        RESOURCES,
        {"requests": {"nvidia.com/gpu": 1}},
        'strict decoding error: unknown field "spec.train.pod.resources.requests.nvidia.com/gpu"',
    ),
    (TOLERATIONS, [{}], NO_KEY),
    (TOLERATIONS, [{"operator": "Equal", "value": "a"}], NO_KEY),
    (TOLERATIONS, [{"key": "a", "operator": "Exists", "value": "b"}], NO_VALUE),
    (TOLERATIONS, [{"key": "a", "tolerationSeconds": 5}], NO_SECONDS),
    *((LABELS, {key: "a"}, LABEL_RESERVED) for key in RESERVED),
    *((ANNOTATIONS, {key: "a"}, ANNOTATION_RESERVED) for key in RESERVED),
    (LABELS, {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}, LABEL_RESERVED),
    *((LABELS, {key: "a"}, LABEL_KEY) for key in ("", "a b", "/a", "a/", "Example.com/a", "a/b/c", "n" * 64, "a.b-/c")),
    (LABELS, {"a" * 254 + "/" + "n" * 63: "a"}, LABEL_KEY),
    (ANNOTATIONS, {"a b": "a"}, ANNOTATION_KEY),
    (LABELS, {"a": "b c"}, LABEL_VALUE),
    (LABELS, {"a": "-b"}, LABEL_VALUE),
    (LABELS, {"a": "v" * 64}, "Too long: may not be more than 63 bytes"),
    (LABELS, {f"key-{n}": "v" for n in range(21)}, "Too many: 21: must have at most 20 items"),
    ("spec.train.pod.priorityClassName", "High", PRIORITY),
    ("spec.train.pod.priorityClassName", "", PRIORITY),
    *crd_option_cases.REFUSED,
    ("spec.startDeadlineSeconds", 0, "spec.startDeadlineSeconds in body should be greater than or equal to 1"),
    ("spec.retry", 1001, "spec.retry in body should be less than or equal to 1000"),
    ("spec.optimizer", "adam", 'strict decoding error: unknown field "spec.optimizer"'),
    ("spec.storage", None, "Required value"),
    ("spec.storage.bucket", None, "Required value"),
    ("spec.storage.credentials", None, "Required value"),
    ("spec.dataset.classes", None, "Required value"),
    ("spec", None, "Required value"),
    *CONFIGURATION_REFUSED,
]


def _ids(cases: list[Any]) -> list[str]:
    return [f"{path}={str(value)[:40]!r}" for path, value, *_ in cases]


@pytest.mark.parametrize(("path", "value"), PASSES, ids=_ids(PASSES))
def test_value_passes(
    path: str, value: Any, sample: Sample, refusals: Callable[[Mapping[str, Any]], list[str]]
) -> None:
    """The rules accept specs that are meant to work."""
    assert refusals(sample("minimal", {path: value})) == []


@pytest.mark.parametrize(("path", "value", "message"), REFUSED, ids=_ids(REFUSED))
def test_value_is_refused_with_its_message(
    path: str, value: Any, message: str, sample: Sample, refusals: Callable[[Mapping[str, Any]], list[str]]
) -> None:
    """A wrong value is refused with exactly this message, which names the field and what is right."""
    found = refusals(sample("minimal", {path: value}))
    # The server names no path where it says which fields are unknown, or that a value has a kind that is ruled out.
    pathless = message.startswith("strict decoding error") or NOT_A_NUMBER in message
    assert any(each.startswith("" if pathless else path) and each.endswith(f": {message}") for each in found), found


def test_the_focal_loss_is_for_ssd(sample: Sample, refusals: Callable[[Mapping[str, Any]], list[str]]) -> None:
    path, value, message = REFUSED_FOR_FASTER_RCNN
    found = refusals(sample("minimal", {path: value, "spec.model": {"network": "faster_rcnn_resnet50"}}))
    assert [each.startswith(path) and each.endswith(f": {message}") for each in found] == [True], found


def test_a_run_that_continues_another_takes_no_other_weights(
    sample: Sample, refusals: Callable[[Mapping[str, Any]], list[str]]
) -> None:
    found = refusals(sample("minimal", {RESUME: {"run": "a"}, PRETRAINED: {"run": "a"}}))
    assert [each.partition(": Invalid value: ")[0] for each in found] == [PRETRAINED]
    assert found[0].endswith(f": {RESUME_ALONE}")


def test_every_message_of_the_schema_is_asserted(schema: Body) -> None:
    """Each rule has a case above; test_crd_changes.py tests the rules on changes."""
    asserted = [RESUME_ALONE, *(message for *_, message in (*REFUSED, REFUSED_FOR_FASTER_RCNN))]
    unproven = [
        message
        for message in _messages(schema)
        if "after creation" not in message and "only be raised" not in message and message not in asserted
    ]
    assert unproven == []


def _messages(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for rule in schema.get("x-kubernetes-validations", ()):
            if "message" in rule:
                yield rule["message"]
        for value in schema.values():
            yield from _messages(value)


def test_largest_object_stays_within_the_rules_budget(
    sample: Sample, refusals: Callable[[Mapping[str, Any]], list[str]]
) -> None:
    """The API server limits the cost of rules; with the bounds of the schema they must stay below it."""
    pod = {
        "nodeSelector": {f"key-{n}": "v" * 63 for n in range(20)},
        "tolerations": [{"key": f"key-{n}", "value": "v" * 63} for n in range(20)],
        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "2Gi"}},
        "labels": {f"{n:02d}{'a.' * 125}b/{'n' * 63}": "v" * 63 for n in range(20)},
        "annotations": {f"{n:02d}{'a.' * 125}b/{'n' * 63}": "v" * 1024 for n in range(20)},
        "priorityClassName": "p" * 253,
    }
    largest = {
        "spec.dataset.classes": [f"{n:04d}" + "x" * 96 for n in range(500)],
        "spec.dataset.train.uri": "a/" * 512,
        "spec.dataset.eval.uri": "b/" * 512,
        "spec.dataset.train.labels": {"uri": "c/" * 512},
        "spec.storage.prefix": "c/" * 255 + "cc",
        "spec.export.gate": {"perClass": [{"class": f"{n:04d}" + "x" * 96, "minMAP": 0.5} for n in range(100)]},
        PRETRAINED: {"uri": "https://h" + "/a" * 500 + ".tar", "sha256": "0a" * 32},
        **{f"spec.{stage}.pod": pod for stage in ("prep", "train", "export", "tensorboard")},
    }
    assert refusals(sample("minimal", largest)) == []
