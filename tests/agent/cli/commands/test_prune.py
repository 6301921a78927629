"""`trainingrun prune` on a bucket of a real S3 server, and on folders whose age the test sets."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli_shell import Result, Shell
from prep_in_memory import BUCKET, Preparation
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import Source
from trainingrun_agent.errors import UserError
from trainingrun_agent.keys import BucketKeys, RunKeys
from trainingrun_agent.storage import epochs, manifest, results
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.folder_store import FolderStore
from trainingrun_agent.storage.manifest import Manifest, Producer
from trainingrun_agent.storage.s3 import S3Store
from voc_data import jpeg, voc

DAY = 86400
UID = "0123abcd"
CANARY_SECRET = "canary/Secret+0123456789abcdefghijklmnop"


class Tomorrow(Clock):
    """A clock that is a day ahead of the storage server."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=1)


@dataclass
class Team:
    """A bucket with prepared data sets, and runs that refer to them."""

    store: ObjectStore
    prep: Preparation

    def prepared(self, *images: str, run: str | None = None) -> str:
        """Prepare these images, for a run if it is named; returns the digest."""
        for info in list(self.store.list("train/")):
            self.store.delete(info.key)
        for name in images:
            self.store.put(f"train/{name}.jpg", jpeg(seed=name))
            self.store.put(f"train/{name}.xml", voc())
        made = self.prep.run()
        if run is not None:
            run_keys = RunKeys(f"ml/runs/vision/{run}-{UID}")
            epoch = epochs.claim(self.store, run_keys, "pod-1")
            key = made.manifest_key.removeprefix("ml/")
            producer = Producer("pod-1", epoch)
            results.write_result(self.store, run_keys, stage="prep", producer=producer, manifest_key=key, numbers={})
            self.store.put(f"{run_keys.folder}/train/0001-pod-1/last.json", b"{}")
        return made.digest

    def refused(self) -> str:
        """Prepare data that is refused; returns the digest of its report."""
        self.store.put("train/bad.jpg", b"")
        self.store.put("train/bad.xml", voc())
        with suppress(UserError):
            self.prep.run()
        return next(self.store.list("ml/datasets/failed/")).key.split("/")[3]

    @property
    def keys(self) -> list[str]:
        """Everything below the prefix."""
        return [info.key.removeprefix("ml/") for info in self.store.list("ml/")]


@pytest.fixture
def team(prep: Preparation) -> Callable[[ObjectStore], Team]:
    def make(store: ObjectStore) -> Team:
        prep.store, prep.eval, prep.train = store, None, Source(BUCKET, "train/")
        return Team(store, prep)

    return make


@pytest.fixture
def local(shell: Shell, team: Callable[[ObjectStore], Team]) -> Team:
    """A team whose bucket is the folder ./bucket."""
    (shell.root / "bucket").mkdir()
    return team(FolderStore(shell.root / "bucket"))


def aged(shell: Shell, days: float, pattern: str = "**/*") -> None:
    """Make files of ./bucket older."""
    then = time.time() - days * DAY
    for path in (shell.root / "bucket").glob(pattern):
        os.utime(path, (then, then))


def prune(shell: Shell, *words: str) -> Result:
    return shell.run("prune", "--folder", "bucket", "--prefix", "ml", *words)


def test_lists_first_and_deletes_what_it_listed(shell: Shell, local: Team) -> None:
    kept = local.prepared("a", "b", run="tire")
    gone = local.prepared("a", "b", "c")
    failed = local.refused()
    aged(shell, 40)
    local.prepared("z")  # the newest of a folder stays
    before = local.keys
    listed = prune(shell)
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.startswith("bucket/ml: 3 data sets, 2 of them needed\n")
    assert f"\n  datasets/failed/{failed}  2 objects, " in listed.out
    assert f"\n  datasets/{gone}  " in listed.out
    assert kept not in listed.out
    assert re.search(r"\nWould delete \d+ objects, .*\. Nothing was deleted: add --delete\.\n$", listed.out)
    assert local.keys == before
    deleted = prune(shell, "--delete")
    assert deleted.out.splitlines()[:-1] == listed.out.splitlines()[:-1]
    assert re.search(r"\nDeleted \d+ objects, .*\.\n$", deleted.out)
    left = set(local.keys)
    assert all("blobs/" in key or gone in key or failed in key for key in set(before) - left)
    assert not any(gone in key or failed in key for key in left)
    assert prune(shell, "--delete").out.endswith("\nNothing to delete.\n")
    folder, keys = f"ml/datasets/{kept}", BucketKeys("ml")
    named = manifest.read(local.store, f"{folder}/MANIFEST.json").objects
    assert all(local.store.head(keys.manifest_entry(entry.key, folder=folder)) for entry in named)


def test_records_that_data_sets_share_stay(shell: Shell, local: Team) -> None:
    local.prepared("a", "b", run="tire")
    shared = {key for key in local.keys if "blobs/" in key}
    local.prep.network = "faster_rcnn_resnet50"  # another data set with the same records
    gone = local.prepared("a", "b")
    local.prep.network = "ssd_inception_v2"
    aged(shell, 40)
    local.prepared("z")
    assert f"datasets/{gone}" in prune(shell, "--delete").out
    assert shared <= set(local.keys)


def test_runs_are_found_in_every_namespace_and_left_alone(shell: Shell, local: Team) -> None:
    digests = [local.prepared(name, run=name) for name in ("a", "b")]
    store, first = local.store, f"ml/runs/vision/a-{UID}"
    for info in list(store.list(first)):
        store.put(info.key.replace("/vision/", "/a/"), store.get(info.key, max_bytes=1 << 20))
        store.delete(info.key)
    store.put("ml/runs/readme.txt", b"")
    aged(shell, 40)
    local.prepared("z")
    runs = [key for key in local.keys if key.startswith("runs/")]
    assert prune(shell, "--delete").out == "bucket/ml: 3 data sets, 3 of them needed\nNothing to delete.\n"
    assert [key for key in local.keys if key.startswith("runs/")] == runs
    assert all(f"datasets/{digest}/MANIFEST.json" in local.keys for digest in digests)


def test_a_run_that_began_a_while_ago_and_is_not_prepared_keeps_everything(shell: Shell, local: Team) -> None:
    local.prepared("a")
    aged(shell, 40)
    local.prepared("z")
    epochs.claim(local.store, RunKeys(f"ml/runs/vision/tire-{UID}"), "pod-1")
    aged(shell, 0.5, "ml/runs/**/*")
    before = local.keys
    ended = prune(shell, "--delete")
    assert ended.out == (
        "bucket/ml: 2 data sets, 1 of them needed\n"
        f"Data sets and records are not deleted now: run vision/tire-{UID}, which began 12 hours ago, may be preparing"
        " a data set from what is there. Try again later, or use a shorter --grace.\n"
        "Nothing to delete.\n"
    )
    assert local.keys == before
    assert "Deleted" in prune(shell, "--delete", "--grace", "11h").out


UNREADABLE: dict[str, tuple[str, bytes]] = {
    "a manifest that is no JSON": ("ml/datasets/*/MANIFEST.json", b"{"),
    "a manifest of a later version": ("ml/datasets/*/MANIFEST.json", b'{"formatVersion": 2}'),
    "a result that is no JSON": ("ml/runs/*/*/prepared.json", b"nothing"),
    "a result of something else": ("ml/runs/*/*/prepared.json", b"{}"),
}


@pytest.mark.parametrize(("pattern", "data"), UNREADABLE.values(), ids=UNREADABLE)
def test_nothing_is_deleted_while_something_cannot_be_read(
    shell: Shell, local: Team, pattern: str, data: bytes
) -> None:
    local.prepared("a", run="tire")
    local.prepared("b")
    path = min((shell.root / "bucket").glob(pattern))
    path.write_bytes(data)
    aged(shell, 40)
    before = local.keys
    ended = prune(shell, "--delete")
    assert (ended.code, ended.out) == (2, "")
    assert str(path.relative_to(shell.root)) in ended.err
    assert "look at the object, delete it if it is not needed, then run the command again." in ended.err
    assert local.keys == before


def test_a_result_that_refers_to_no_data_set_stops_prune(shell: Shell, local: Team) -> None:
    epoch = epochs.claim(local.store, RunKeys("ml/runs/vision/tire"), "pod-1")
    results.write_result(
        local.store,
        RunKeys("ml/runs/vision/tire"),
        stage="prep",
        producer=Producer("p", epoch),
        manifest_key="x/y",
        numbers={},
    )
    ended = prune(shell)
    assert ended.code == 2
    assert "bucket/ml/runs/vision/tire/prepared.json points to 'x/y', which is not a data set" in ended.err


def test_unknown_objects_stay(shell: Shell, local: Team) -> None:
    for key in ("datasets/notes.txt", "datasets/old/x", "datasets/failed/x", "datasets/latest/x.txt", "other"):
        local.store.put(f"ml/{key}", b"x")
    local.store.put("ml/datasets/latest/broken.json", b"{")
    aged(shell, 400)
    before = local.keys
    assert prune(shell, "--delete").out.endswith("Nothing to delete.\n")
    assert local.keys == before


def test_an_empty_storage_is_no_problem(shell: Shell, local: Team) -> None:
    assert prune(shell).out == "bucket/ml: 0 data sets, 0 of them needed\nNothing to delete.\n"


AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in AWS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_works_on_a_bucket(
    shell: Shell,
    s3_store: S3Store,
    team: Callable[[ObjectStore], Team],
    moto_endpoint: str,
    no_credentials: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = team(s3_store)
    kept, gone = made.prepared("a", run="tire"), made.prepared("b")
    monkeypatch.setenv(AWS[0], "test")
    monkeypatch.setenv(AWS[1], "test-secret")
    # The server's clock has whole seconds.
    monkeypatch.setattr("trainingrun_agent.cli.commands.prune.current_time", lambda: Tomorrow().now())
    place = ("prune", "--bucket", s3_store.bucket, "--prefix", "/ml/", "--endpoint", moto_endpoint)
    ended = shell.run(*place, "--older-than", "12h", "--grace", "12h", "--delete")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{s3_store.bucket}/ml: 2 data sets, 1 of them needed\n  datasets/{gone}  ")
    assert f"datasets/{kept}/MANIFEST.json" in made.keys
    assert not any(gone in key for key in made.keys)
    assert made.prepared("a") == kept


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--endpoint", "http://127.0.0.1:9"), "ListObjectsV2 on s3://nobody/datasets/ at http://127.0.0.1:9 failed"),
        (("--endpoint", "nonsense"), "correct --endpoint, --region or your AWS configuration"),
    ],
    ids=["nobody answers", "no address"],
)
def test_a_bucket_that_does_not_answer_is_reported(
    shell: Shell, no_credentials: None, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv(AWS[0], "test")
    monkeypatch.setenv(AWS[1], CANARY_SECRET)
    ended = shell.run("prune", "--bucket", "nobody", *words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert "spec." not in ended.err
    assert CANARY_SECRET not in ended.err


def test_without_credentials_the_error_names_the_variables(shell: Shell, no_credentials: None) -> None:
    ended = shell.run("prune", "--bucket", "detectors")
    assert (ended.code, ended.out) == (2, "")
    assert "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" in ended.err


def store_run(local: Team, name: str, *, exported: bool = True) -> str:
    """A trained run with one checkpoint; returns its folder."""
    local.prepared(name, run=name)
    keys = RunKeys(f"ml/runs/vision/{name}-{UID}")
    checkpoint = keys.attempt("train", epoch=1, pod_uid="pod-1").checkpoint(10)
    export = keys.attempt("export", epoch=1, pod_uid="pod-1").folder
    local.store.put(f"{checkpoint}/model.ckpt-10.index", b"x")
    made = Manifest("checkpoint", Producer("pod-1", 1), "2026-01-01T00:00:00Z", (), step=10)
    manifest.write(local.store, checkpoint, made)
    local.store.put(keys.description, b"{}")
    if exported:
        local.store.put(f"{export}/MANIFEST.json", b"{}")
        finish(local, keys, "train", checkpoint)
        finish(local, keys, "export", export)
    return keys.folder.removeprefix("ml/")


def finish(local: Team, keys: RunKeys, stage: Any, folder: str) -> None:
    results.write_result(
        local.store,
        keys,
        stage=stage,
        producer=Producer("pod-1", 1),
        manifest_key=f"{folder.removeprefix('ml/')}/MANIFEST.json",
        numbers={"checkpointStep": 10},
    )


def training_run(name: str, **spec: Any) -> dict[str, Any]:
    """A TrainingRun as kubectl prints it."""
    metadata = {"namespace": "vision", "name": name, "uid": f"{UID}-0000-4000-8000-000000000000"}
    return {"kind": "TrainingRun", "metadata": metadata, "spec": spec}


def of(local: Team, folder: str) -> list[str]:
    return [key.removeprefix(f"{folder}/") for key in local.keys if key.startswith(f"{folder}/")]


def test_of_finished_runs_the_export_and_what_describes_it_stay(shell: Shell, local: Team) -> None:
    finished, going_on = store_run(local, "a"), store_run(local, "b", exported=False)
    aged(shell, 40)
    before = local.keys
    listed = prune(shell, "--runs")
    assert re.search(
        rf"\n2 runs, 1 of them with something to delete\n  {finished}  3 objects, .*: it has finished, 40 days old\n"
        r"1 old run without a model may still go on: --living says whether the TrainingRun exists\.\n",
        listed.out,
    ), listed.out
    assert local.keys == before
    assert "Deleted 3 objects" in prune(shell, "--runs", "--delete").out
    names = ["epochs/0001.json", "export/0001-pod-1/MANIFEST.json", "exported.json", "prepared.json", "run.json"]
    assert of(local, finished) == [*names, "trained.json"]
    assert "train/0001-pod-1/checkpoints/00000010/MANIFEST.json" in of(local, going_on)


def test_runs_that_kubectl_does_not_list_are_deleted_and_their_data_sets_the_next_time(
    shell: Shell, local: Team
) -> None:
    folders = {name: store_run(local, name, exported=name == "a") for name in ("a", "b", "c", "d", "e")}
    aged(shell, 40)
    local.prepared("z")
    others = [key for key in local.keys if key.startswith(tuple(folders[name] for name in ("c", "d", "e")))]
    start = {"pretrained": {"uri": f"s3://bucket/ml/{folders['d']}"}}
    living = [training_run("c", model=start, resumeFrom={"run": "e"})]
    shell.write("living.json", json.dumps({"kind": "List", "items": living}).encode())
    out = prune(shell, "--runs", "--living", "living.json", "--delete").out
    assert out.startswith("bucket/ml: 6 data sets, 6 of them needed\n")
    assert re.search(f"  {folders['b']}  .*: its TrainingRun does not exist, 40 days old", out)
    assert of(local, folders["a"]) == ["export/0001-pod-1/MANIFEST.json", "exported.json", "run.json"]
    assert of(local, folders["b"]) == []
    assert [key for key in local.keys if key.startswith("runs/") and "/a-" not in key] == others
    assert prune(shell, "--delete").out.startswith("bucket/ml: 6 data sets, 4 of them needed\n")
    assert prune(shell).out.startswith("bucket/ml: 4 data sets, 4 of them needed\n")


def test_exports_and_checkpoints_go_as_asked(shell: Shell, local: Team) -> None:
    folder = store_run(local, "a")
    older = RunKeys(f"ml/{folder}").attempt("train", epoch=1, pod_uid="pod-1").checkpoint(5)
    local.store.put(f"{older}/MANIFEST.json", b"{}")
    assert "Deleted 1 object" in prune(shell, "--runs", "--keep-checkpoints", "1", "--delete").out
    aged(shell, 40)
    prune(shell, "--runs", "--exports", "--delete")
    assert of(local, folder) == ["epochs/0001.json", "prepared.json", "run.json", "trained.json"]


NO_LIST = "not a list of TrainingRuns, as `kubectl get trainingruns --all-namespaces -o json` prints it"
MISTAKES: dict[str, tuple[list[str], str, str]] = {
    "no runs": (["--exports"], "", "--exports needs --runs"),
    "living without runs": (["--living", "x"], "", "--living needs --runs"),
    "no checkpoint": (["--runs", "--keep-checkpoints", "0"], "", "--keep-checkpoints must be at least 1"),
    "missing": (["--runs", "--living", "no.json"], "", "--living no.json: No such file or directory"),
    "not JSON": (["--runs", "--living", "living.json"], "NAME AGE", NO_LIST),
    "other objects": (["--runs", "--living", "living.json"], '{"items": [{"kind": "Pod", "metadata": {}}]}', NO_LIST),
    "texts": (["--runs", "--living", "living.json"], '{"items": ["a"]}', NO_LIST),
    "nothing": (["--runs", "--living", "living.json"], '{"items": []}', "no TrainingRun in the list"),
    "no uid": (
        ["--runs", "--living", "living.json"],
        '{"items": [{"kind": "TrainingRun", "metadata": {"namespace": "a", "name": "b"}}]}',
        NO_LIST,
    ),
}


@pytest.mark.parametrize(("words", "text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_deletes_nothing(shell: Shell, local: Team, words: list[str], text: str, problem: str) -> None:
    store_run(local, "a")
    aged(shell, 40)
    before = local.keys
    shell.write("living.json", text.encode())
    ended = prune(shell, *words, "--delete")
    assert ended.code == 2
    assert problem in ended.err
    assert local.keys == before
