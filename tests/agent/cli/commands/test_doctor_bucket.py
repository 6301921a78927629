"""`trainingrun doctor s3://bucket/prefix/` on a real S3 server: the same report as on a folder with the same files."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from cli_shell import Shell
from trainingrun_agent.storage.s3 import S3Store
from voc_data import jpeg, labelled, voc

pytestmark = pytest.mark.contract

CANARY_SECRET = "canary/Secret+0123456789abcdefghijklmnop"
BLANK = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION")


@pytest.fixture(autouse=True)
def aws(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment, and nothing from the machine."""
    for name in BLANK:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(shell.root))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY_SECRET)


@pytest.fixture
def uploaded(shell: Shell, s3_store: S3Store) -> str:
    """The files of ./images in a bucket, with some defects; returns the name of the bucket."""
    shell.add("images/cut", jpeg(seed=20)[:-30])
    shell.add("images/outside", jpeg(seed=21), voc([labelled(), labelled(box=(500, 500, 600, 600))]))
    shell.add("test/e0", jpeg(seed=22))
    for path in [*(shell.root / "images").iterdir(), *(shell.root / "test").iterdir()]:
        s3_store.put(f"sets/größe 1/{path.relative_to(shell.root)}", path.read_bytes())
    return s3_store.bucket


def report(shell: Shell, *words: str) -> Any:
    ended = shell.run("doctor", *words, "--max-bad-files", "1", "--json", "report.json")
    assert (ended.code, ended.err) == (1, "")
    assert CANARY_SECRET not in ended.out
    return json.loads((shell.root / "report.json").read_text())


def test_a_bucket_is_read_as_a_folder_is(shell: Shell, uploaded: str, moto_endpoint: str) -> None:
    place = f"s3://{uploaded}/sets/größe 1"
    remote = report(shell, f"{place}/images", "--eval", f"{place}/test/", "--endpoint", moto_endpoint)
    local = report(shell, "images", "--eval", "test")
    found = remote.pop("dataset")
    assert found["train"] == {"uri": f"{place}/images/", "format": "pascalVOC"}
    assert found["eval"] == {"uri": f"{place}/test/", "format": "pascalVOC"}
    assert local.pop("dataset")["classes"] == found["classes"] == ["tire"]
    assert {**remote, "digest": ""} == {**local, "digest": ""}


def test_the_object_has_the_bucket_and_the_server_of_the_check(
    shell: Shell, uploaded: str, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_endpoint)
    words = ("--max-bad-files", "1", "--write", "run.yaml")
    ended = shell.run("doctor", f"s3://{uploaded}/sets/größe 1/images/", *words)
    assert ended.out.partition("Before you apply it:\n")[2].splitlines() == [
        "  - Secret trainingrun-s3 has to be in the namespace of the run, with AWS_ACCESS_KEY_ID and " + BLANK[1]
    ]
    written = (shell.root / "run.yaml").read_text()
    assert CANARY_SECRET not in written
    spec = yaml.safe_load(written)["spec"]
    assert (spec["storage"]["endpoint"], spec["storage"]["bucket"]) == (moto_endpoint, uploaded)
    assert spec["dataset"]["train"]["uri"] == f"s3://{uploaded}/sets/größe 1/images/"


def test_records_are_converted_from_a_bucket(shell: Shell, uploaded: str, moto_endpoint: str) -> None:
    words = ("--max-bad-files", "1", "--out", "records", "--endpoint", moto_endpoint)
    ended = shell.run("convert", f"s3://{uploaded}/sets/größe 1/images", *words)
    assert (ended.code, ended.err) == (0, "")
    assert "train-00000-of-00001.tfrecord" in shell.names("records")


REFUSED = {
    "no such bucket": ("s3://no-such-bucket/x/", "", "404 NoSuchBucket", "name another folder"),
    "no object": ("s3://{bucket}/nothing/", "", "s3://{bucket}/nothing/: no image file in it", "Put images"),
    "no server": ("s3://{bucket}/x/", "http://127.0.0.1:9", "at http://127.0.0.1:9 failed", "Check"),
}


@pytest.mark.parametrize(("place", "endpoint", "message", "step"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_with_the_bucket_is_said(
    shell: Shell, s3_store: S3Store, moto_endpoint: str, place: str, endpoint: str, message: str, step: str
) -> None:
    words = ("--endpoint", endpoint or moto_endpoint)
    ended = shell.run("doctor", place.format(bucket=s3_store.bucket), *words)
    assert ended.code == 2
    said = ended.out + ended.err
    assert message.format(bucket=s3_store.bucket) in said
    assert step in said
    assert "spec." not in said
    assert CANARY_SECRET not in said


def test_a_folder_and_a_bucket_are_not_mixed(shell: Shell) -> None:
    ended = shell.run("doctor", "images", "--eval", "s3://photos/test/")
    assert (ended.code, ended.out) == (2, "")
    assert "images and --eval s3://photos/test/ must both be local folders, or both be in buckets" in ended.err


@pytest.mark.parametrize("place", ["s3://", "s3://UPPER/x/", "s3://photos/../x", "s3://photos//x", "s3://photos/a\nb"])
def test_an_address_that_no_run_can_have_is_refused(shell: Shell, place: str) -> None:
    ended = shell.run("doctor", place)
    assert ended.code == 2
    assert "is not a folder in a bucket, such as s3://photos/defects/" in ended.err


def test_without_credentials_the_error_names_the_variables(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ended = shell.run("doctor", "s3://photos/x/")
    assert (ended.code, ended.out) == (2, "")
    assert "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" in ended.err


def test_a_run_on_splits_has_the_name_of_the_folder_that_holds_them(
    shell: Shell, s3_store: S3Store, moto_endpoint: str
) -> None:
    for split in ("train", "valid"):
        s3_store.put(f"sets/hubs/{split}/a.jpg", jpeg(seed=split))
        s3_store.put(f"sets/hubs/{split}/a.xml", voc())
    place = f"s3://{s3_store.bucket}/sets/hubs"
    assert shell.run("doctor", place, "--endpoint", moto_endpoint, "--write", "run.yaml").code == 0
    written = yaml.safe_load((shell.root / "run.yaml").read_text())
    assert written["metadata"]["name"] == "hubs"
    assert written["spec"]["dataset"]["train"]["uri"] == f"{place}/train/"
