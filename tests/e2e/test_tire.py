"""The documented run from start to end: labelled photos in S3, one TrainingRun, a proven detector, TensorBoard."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from trcluster.command import run
from trcluster.waiting import patience, until
from trdemo import stored_run
from trdemo.bucket import split_uri
from trdemo.documented_commands import commands
from trdemo.follow import condition
from trdemo.installation import Installation, tire_run
from trdemo.watched_run import WatchedRun, curve_until
from trimages.paths import REPOSITORY

pytestmark = pytest.mark.node

PERCENT = re.compile(r"\((\d+)%\)")
GUIDE = REPOSITORY / "docs" / "user-guide.md"
TF_PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
LOAD = """
import sys
import numpy, tensorflow as tf
graph, saved = sys.argv[1:]
definition = tf.GraphDef.FromString(open(graph, "rb").read())
with tf.Graph().as_default() as one, tf.Session() as session:
    tf.import_graph_def(definition, name="")
    boxes = session.run("detection_boxes:0", {"image_tensor:0": numpy.zeros((1, 90, 120, 3), numpy.uint8)})
    assert boxes.shape[0] == 1 and boxes.shape[2] == 4, boxes.shape
with tf.Graph().as_default(), tf.Session() as session:
    loaded = tf.saved_model.loader.load(session, ["serve"], saved)
    signature = loaded.signature_def["serving_default"]
    assert "detection_scores" in signature.outputs, sorted(signature.outputs)
    image = {signature.inputs["inputs"].name: numpy.zeros((1, 90, 120, 3), numpy.uint8)}
    session.run(signature.outputs["detection_scores"].name, image)
print("both load", tf.__version__)
"""


@pytest.fixture(scope="module")
def namespace(vision: str) -> str:
    return vision


def test_ends_succeeded_with_every_stage_done(watched_run: WatchedRun) -> None:
    done = {kind: condition(watched_run.status, kind) for kind in ("Prepared", "Trained", "Exported", "Succeeded")}
    assert set(done.values()) == {"True"}, watched_run.status.get("message")


def test_detector_reaches_ap_by_the_exporters_own_inference(watched_run: WatchedRun) -> None:
    export = watched_run.status["export"]
    assert float(export["ap50"]) >= 0.5
    assert export["evalImages"] == 20


def test_a_run_that_succeeds_makes_no_warning(
    installation: Installation, watched_run: WatchedRun, namespace: str
) -> None:
    """Neither on the run nor on a pod, a Job or TensorBoard: of the operator, the scheduler and the kubelet."""
    events = installation.target.kubectl.get("events", namespace=namespace)["items"]
    about = [event for event in events if event["involvedObject"]["name"].partition("-")[0] == "tire"]
    assert about
    warnings = [event for event in about if event["type"] == "Warning"]
    assert [f"{e['involvedObject']['name']}: {e['reason']}: {e['message']}" for e in warnings] == []


def test_negatives_and_counts_are_told(watched_run: WatchedRun) -> None:
    dataset = watched_run.status["dataset"]
    assert (dataset["trainImages"], dataset["evalImages"], dataset["errors"]) == (120, 20, 0)


def test_progress_moves_in_kubectl_get(watched_run: WatchedRun) -> None:
    steps = {int(found[1]) for text in watched_run.columns if (found := re.match(r"Training (\d+)/150 ", text))}
    assert len(steps) >= 3, watched_run.columns
    assert any(text.startswith("Preparing") for text in watched_run.columns), watched_run.columns
    assert any(text.startswith("Exporting") for text in watched_run.columns), watched_run.columns


def test_the_percentage_never_falls_and_the_column_shows_it(watched_run: WatchedRun) -> None:
    for stage in ("prep", "train", "export"):
        seen = [shown for _, shown in watched_run.progress_of(stage)]
        percentages = [shown["percent"] for shown in seen if "percent" in shown]
        assert percentages == sorted(percentages), (stage, seen)
        in_column = {
            (shown.get("percent"), int(found[1])) for shown in seen if (found := PERCENT.search(shown["text"]))
        }
        assert all(percent == column for percent, column in in_column), (stage, in_column)


def test_the_time_left_is_that_of_the_stage_with_its_evaluations(watched_run: WatchedRun) -> None:
    seen = [(left, shown) for left, shown in watched_run.progress_of("train") if "etaSeconds" in shown]
    assert seen, watched_run.progress_of("train")
    # How long an evaluation takes is not known before the first one; the status is written every five seconds.
    wrong = [(left, shown) for left, shown in seen if not left / 4 - 20 <= shown["etaSeconds"] <= left * 4 + 20]
    assert wrong == []


def test_the_guide_shows_how_progress_really_moves(watched_run: WatchedRun) -> None:
    (shown,) = (command.shown for command in commands(GUIDE) if command.text.endswith("--watch"))
    guide = {without_numbers(re.split(r"\s{2,}", line)[2]) for line in shown.splitlines()[1:]}
    seen = {without_numbers(text) for text in watched_run.columns}
    assert len(guide - seen) <= 2, watched_run.columns  # a short phase can pass between two polls


def without_numbers(text: str) -> str:
    return re.sub(r"[0-9]+", "#", text)


def test_tensorboard_serves_the_loss_while_training_runs(watched_run: WatchedRun) -> None:
    assert watched_run.curve_in_training, "no loss curve was served during training"


def test_tensorboard_serves_the_whole_loss_afterwards(
    installation: Installation, watched_run: WatchedRun, namespace: str
) -> None:
    assert max(p[1] for p in curve_until(installation, "tire", namespace=namespace, step=149, seconds=30)) >= 149


def test_finished_stage_jobs_are_gone(installation: Installation, watched_run: WatchedRun, namespace: str) -> None:
    assert (
        installation.target.kubectl.get("jobs", namespace=namespace, selector="trainingrun.dev/run=tire")["items"] == []
    )


def test_bucket_holds_exactly_the_documented_layout(installation: Installation, watched_run: WatchedRun) -> None:
    attempt = r"\d{4}-[0-9a-f]{8}"
    allowed = [
        r"run\.json|pipeline\.config|prepared\.json|trained\.json|exported\.json",
        r"epochs/\d{4}\.json",
        rf"train/{attempt}/(last|evaluations)\.json",
        rf"train/{attempt}/checkpoints/\d{{8}}/(MANIFEST\.json|model\.ckpt-\d+\.(index|data-00000-of-00001))",
        rf"train/{attempt}/events/(train|eval_0)/events\.out\.tfevents\.[^/]+/\d{{20}}",
        rf"export/{attempt}/(MANIFEST\.json|frozen_inference_graph\.pb|saved_model/1/saved_model\.pb|metrics\.json)",
        rf"export/{attempt}/(label_map\.pbtxt|pipeline\.config|README\.md|pictures/\d{{3}}-[\w.-]+\.png)",
        rf"logs/(prep|train|export)-{attempt}/(agent|trainer|exporter)\.log",
        rf"export/{attempt}/checkpoint/model\.ckpt\.(index|data-00000-of-00001)",
    ]
    keys = [key.removeprefix(watched_run.prefix) for key in installation.bucket.keys(watched_run.prefix)]
    strange = [key for key in keys if not any(re.fullmatch(pattern, key) for pattern in allowed)]
    assert strange == []
    assert {"run.json", "pipeline.config", "prepared.json", "trained.json", "exported.json"} <= set(keys)
    digest = watched_run.status["dataset"]["digest"]
    names = {key.rpartition("/")[2] for key in installation.bucket.keys(f"datasets/{digest}/")}
    assert names == {
        "MANIFEST.json",
        "label_map.pbtxt",
        "report.json",
        "report.html",
        "train_labels.csv",
        "eval_labels.csv",
    }


def test_every_manifest_verifies(installation: Installation, watched_run: WatchedRun) -> None:
    digest = watched_run.status["dataset"]["digest"]
    for prefix in (f"datasets/{digest}/", f"{watched_run.prefix}train/", f"{watched_run.prefix}export/"):
        assert stored_run.wrong_objects(installation.bucket, prefix) == []


@pytest.mark.skipif(not TF_PYTHON, reason="set TRAININGRUN_TF_PYTHON to an interpreter with TensorFlow 1.14")
def test_graph_and_saved_model_from_s3_load_in_tensorflow_1_14(
    installation: Installation, watched_run: WatchedRun, tmp_path: Path
) -> None:
    _, prefix = split_uri(watched_run.status["export"]["uri"])
    installation.bucket.download(prefix, tmp_path)
    argv = [TF_PYTHON, "-W", "ignore", "-c", LOAD]
    argv += [str(tmp_path / "frozen_inference_graph.pb"), str(tmp_path / "saved_model" / "1")]
    assert "both load 1.14" in run(argv, timeout=400)


def test_no_credential_is_in_a_log_or_status(
    installation: Installation, watched_run: WatchedRun, namespace: str
) -> None:
    secret = installation.target.storage.secret_key
    shown = json.dumps(installation.target.kubectl.get("trainingruns,events,pods,configmaps", namespace=namespace))
    logs = installation.target.kubectl(
        "logs", "-n", "trainingrun-system", "-l", "app.kubernetes.io/name=trainingrun-operator"
    )
    mirror = installation.target.kubectl("logs", "-n", namespace, "deployment/tire-tensorboard", "--all-containers")
    assert secret not in shown + logs + mirror


def test_second_run_reuses_the_prepared_data(
    installation: Installation, watched_run: WatchedRun, namespace: str
) -> None:
    installation.apply(tire_run("again", suspend=False), namespace=namespace)
    status = installation.until(
        "again",
        lambda s: condition(s, "Prepared") == "True",
        namespace=namespace,
        seconds=60,
        what="Prepared",
    )
    installation.target.kubectl("delete", "trainingrun", "again", "-n", namespace)
    assert status["dataset"]["reused"] is True
    assert status["dataset"]["digest"] == watched_run.status["dataset"]["digest"]


def test_tensorboard_goes_with_its_time_and_comes_back_when_asked_for(
    installation: Installation, watched_run: WatchedRun, namespace: str
) -> None:
    def there() -> bool:
        names = [
            d["metadata"]["name"] for d in installation.target.kubectl.get("deployments", namespace=namespace)["items"]
        ]
        return "tire-tensorboard" in names

    for seconds, wanted in ((0, False), (3600, True)):
        patch = json.dumps({"spec": {"tensorboard": {"ttlSecondsAfterFinished": seconds}}})
        installation.target.kubectl("patch", "trainingrun", "tire", "-n", namespace, "--type=merge", "-p", patch)
        what = f"TensorBoard to be {'there' if wanted else 'gone'}"
        until(lambda wanted=wanted: there() is wanted, what=what, seconds=patience(20))
    # The new pod starts with an empty folder, so what it serves comes from the bucket.
    assert max(p[1] for p in curve_until(installation, "tire", namespace=namespace, step=149, seconds=60)) >= 149


def test_deleting_the_run_removes_its_children_and_keeps_the_bucket(
    installation: Installation, watched_run: WatchedRun, namespace: str
) -> None:
    before = installation.bucket.keys(watched_run.prefix)
    installation.target.kubectl("delete", "trainingrun", "tire", "-n", namespace, "--wait")
    selector = f"trainingrun.dev/run-uid={watched_run.uid}"

    def left() -> list[str]:
        kinds = "jobs,pods,configmaps,services,deployments"
        return [
            i["kind"] for i in installation.target.kubectl.get(kinds, namespace=namespace, selector=selector)["items"]
        ]

    until(lambda: not left(), what="the children of the deleted run to go", seconds=120, seen=left)
    assert installation.bucket.keys(watched_run.prefix) == before


def test_a_run_created_again_under_its_name_trains_anew(
    installation: Installation, watched_run: WatchedRun, namespace: str
) -> None:
    installation.apply(tire_run("tire"), namespace=namespace)  # pods of the deleted run may still be terminating
    status = installation.until(
        "tire",
        lambda s: condition(s, "Trained") == "True" or s.get("training", {}).get("step", 0) > 0,
        namespace=namespace,
        seconds=120,
        what="the first step",
    )
    installation.target.kubectl("delete", "trainingrun", "tire", "-n", namespace, "--wait=false")
    assert condition(status, "Trained") == "False"
    assert watched_run.uid[:8] not in status["storageURI"]
