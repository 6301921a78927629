"""`trainingrun convert`: records with the names that the tools of the Object Detection API expect."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import struct
from collections.abc import Callable
from typing import Any

import pytest

from cli_shell import Shell
from trainingrun_agent.cli import preparation
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.stopping import raise_if_stopped
from voc_data import jpeg, labelled, voc

CONVERT = ("convert", "images", "--out", "records")
SHARD = "train-00000-of-00001.tfrecord"
NAMES = ["datasets", "label_map.pbtxt", "report.html", "report.json", SHARD, "train_labels.csv"]


def written(shell: Shell) -> list[str]:
    """Names of the files in ./records."""
    return shell.names("records")


def count(records: bytes) -> int:
    """Frames of a TFRecord file."""
    found = 0
    while records:
        records = records[16 + struct.unpack("<Q", records[:8])[0] :]
        found += 1
    return found


def manifest_of(shell: Shell) -> Any:
    [path] = (shell.root / "records" / "datasets").glob("*/MANIFEST.json")
    return json.loads(path.read_text())


def test_writes_records_under_the_names_that_stock_tools_expect(
    shell: Shell, contract: Callable[[str, Any], None]
) -> None:
    shell.add("test/e0", jpeg(seed=9))
    ended = shell.run(*CONVERT, "--eval", "test")
    assert (ended.code, ended.err) == (0, "")
    assert written(shell) == sorted([*NAMES, "eval-00000-of-00001.tfrecord", "eval_labels.csv"])
    records = shell.root / "records"
    assert count((records / "train-00000-of-00001.tfrecord").read_bytes()) == 3
    assert count((records / "eval-00000-of-00001.tfrecord").read_bytes()) == 1
    assert (records / "label_map.pbtxt").read_text().count("item {") == 1
    assert (records / "train_labels.csv").read_text().startswith("filename,width,height,class,xmin,ymin,xmax,ymax\n")
    contract("report", json.loads((records / "report.json").read_text()))


def test_keeps_the_layout_of_a_data_set(shell: Shell, contract: Callable[[str, Any], None]) -> None:
    shell.run(*CONVERT)
    manifest = manifest_of(shell)
    contract("manifest", manifest)
    [folder] = (path.parent for path in (shell.root / "records" / "datasets").glob("*/MANIFEST.json"))
    for entry in manifest["objects"]:
        base = shell.root / "records" if entry["key"].startswith("datasets/") else folder
        data = (base / entry["key"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size"], entry["sha256"])


def test_prints_what_to_write_into_a_pipeline_config(shell: Shell) -> None:
    shell.add("test/e0", jpeg(seed=9))
    ended = shell.run(*CONVERT, "--eval", "test")
    out = (shell.root / "records").resolve()
    assert "\nWritten to records:\n  train-?????-of-00001.tfrecord  3 images, " in ended.out
    assert ended.out.endswith(
        f"""
In pipeline.config of the Object Detection API:
  num_classes: 1
  train_input_reader {{
    label_map_path: "{out}/label_map.pbtxt"
    tf_record_input_reader {{ input_path: "{out}/train-?????-of-00001.tfrecord" }}
  }}
  eval_input_reader {{
    label_map_path: "{out}/label_map.pbtxt"
    tf_record_input_reader {{ input_path: "{out}/eval-?????-of-00001.tfrecord" }}
  }}
"""
    )


def test_records_are_hard_links_to_the_data_set(shell: Shell) -> None:
    shell.run(*CONVERT)
    shard = shell.root / "records" / "train-00000-of-00001.tfrecord"
    assert shard.stat().st_nlink == 2


def test_without_hard_links_records_are_copied(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert shell.run(*CONVERT).code == 0
    assert written(shell) == NAMES
    shard = shell.root / "records" / "train-00000-of-00001.tfrecord"
    assert (shard.stat().st_nlink, count(shard.read_bytes())) == (1, 3)


def test_converting_again_updates_the_folder(shell: Shell) -> None:
    shell.run(*CONVERT)
    before = manifest_of(shell)
    assert shell.run(*CONVERT).code == 0
    assert manifest_of(shell) == before
    shell.add("images/t9", jpeg(seed=9))
    assert shell.run(*CONVERT).code == 0
    assert written(shell) == NAMES
    assert count((shell.root / "records" / SHARD).read_bytes()) == 4


def test_files_of_the_previous_conversion_that_are_not_made_again_are_removed(shell: Shell) -> None:
    shell.add("test/e0", jpeg(seed=9))
    shell.run(*CONVERT, "--eval", "test")
    shell.run(*CONVERT)
    assert written(shell) == NAMES


def test_refused_data_leaves_no_records_and_a_report(shell: Shell) -> None:
    shell.add("images/t9", b"", voc([labelled()]))
    ended = shell.run(*CONVERT, "--fail-on", "never")
    assert ended.code == 1
    found = re.search(
        r"^No records were written\. Report: (records/datasets/failed/[0-9a-f]{64})$", ended.out, re.MULTILINE
    )
    assert found
    assert (shell.root / found[1] / "report.json").is_file()
    assert "This data cannot be used for training (TooManyBadFiles)" in ended.out
    assert not list((shell.root / "records").glob("*.tfrecord"))
    shell.add("images/t9", jpeg(seed=9))
    assert shell.run(*CONVERT).code == 0
    assert written(shell) == NAMES
    assert not (shell.root / "records" / "datasets" / "failed").exists()


@pytest.mark.parametrize(("limit", "code"), [("never", 0), ("warning", 1), ("error", 1)])
def test_records_with_allowed_errors_are_a_success_unless_fail_on_forbids_them(
    shell: Shell, limit: str, code: int
) -> None:
    shell.add("images/t9", b"")
    assert shell.run(*CONVERT, "--max-bad-files", "1", "--fail-on", limit).code == code
    assert written(shell) == NAMES


def test_scratch_is_removed_even_when_interrupted(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(request: PrepareRequest) -> None:
        (request.scratch / "large").write_bytes(b"x")
        os.kill(os.getpid(), signal.SIGINT)
        raise_if_stopped(request.stop)

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "prepare", interrupted)
        ended = shell.run(*CONVERT)
    assert (ended.code, ended.err) == (130, "trainingrun: stopped\n")
    assert shell.names("records") == []
    (shell.root / "records" / ".scratch-left").mkdir()
    assert shell.run(*CONVERT).code == 0
    assert written(shell) == NAMES


def test_standard_output_holds_only_the_json(shell: Shell) -> None:
    ended = shell.run(*CONVERT, "--json", "-")
    assert json.loads(ended.out)["errors"] == 0
    assert "Written to records:" in ended.err
