"""Everything that the pods of a run emit from prep to export: no credential in it, nothing that attacks a reader.

Agents are real processes; data set, trainer and credentials are those of an attacker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config

from agent_run import resolved_document
from trdemo.trainer_stand_in import EXPORTED
from trfakes.hostile import DANGEROUS, HOSTILE, MARK
from voc_data import jpeg, labelled, voc
from whole_life import Life

pytestmark = pytest.mark.contract
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIACANARYWHOLELIFE1",
    "AWS_SECRET_ACCESS_KEY": "canary/Secret+of/a/whole+life/0123456789",
    "AWS_SESSION_TOKEN": "canary-session-token-of-a-whole-life",
}
BUCKET = "whole-life"
# What S3 and file systems allow in a key: no NUL; the test server cannot store line ends.
NAME = "".join(sign for sign in HOSTILE if sign not in "\0\r\n/\x85\u2028\u2029")


@pytest.fixture(scope="module")
def life(moto_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A run from prep to export; its first training fails with words of the trainer."""
    root = tmp_path_factory.mktemp("life")
    s3 = boto3.client(
        "s3",
        endpoint_url=moto_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )
    s3.create_bucket(Bucket=BUCKET)
    for folder, count in (("train", 6), ("eval", 3)):
        for number in range(count):
            stem = f"{folder}/{NAME}{number}" if number else f"{folder}/good"
            name = HOSTILE.translate(dict.fromkeys(range(32)))
            boxes = [labelled("tire"), labelled(name)] if number else [labelled("tire")]
            s3.put_object(Bucket=BUCKET, Key=f"{stem}.jpg", Body=jpeg(seed=stem))
            s3.put_object(Bucket=BUCKET, Key=f"{stem}.xml", Body=voc(boxes))
    document = resolved_document(moto_endpoint, BUCKET)
    for split in ("train", "eval"):
        document["dataset"][split] = {"bucket": BUCKET, "key": f"{split}/", "imageSet": None}
    document["dataset"]["maxBadFiles"] = "100"
    (root / "resolved.json").write_text(json.dumps(document))
    (root / "credentials").mkdir()
    for key, value in SECRETS.items():
        (root / "credentials" / key).write_text(value)
    life = Life(root, s3, BUCKET, trainer_log=f"{HOSTILE} {SECRETS}")
    assert life.pod("prep")["outcome"] == "succeeded"
    assert life.pod("train", done="diverged", message=f"{HOSTILE} {SECRETS}")["outcome"] == "diverged"
    assert life.pod("train", save_every=10)["outcome"] == "succeeded"
    assert life.pod("export", export=EXPORTED)["outcome"] == "succeeded"
    life.collect_bucket()
    yield life
    s3.close()


def test_no_credential_is_in_anything_that_a_run_emits(life: Life) -> None:
    emitted = {**{name: text.encode() for name, text in life.printed.items()}, **life.stored, **life.processes}
    trainers_own = {name for name in emitted if name.endswith((": done.json", ": trainer.log"))}  # what it was told to
    found = [
        name for name in emitted.keys() - trainers_own for value in SECRETS.values() if value.encode() in emitted[name]
    ]
    assert found == []
    kinds = {name.rpartition(": ")[2] for name in emitted}
    assert kinds >= {"log", "verdict", "/progress", "/metrics", "cmdline", "environ", "spec.json"}
    assert any(name.endswith("exported.json") for name in emitted)


def test_every_verdict_says_where_the_logs_are_and_the_log_ends_with_it(life: Life) -> None:
    verdicts = [json.loads(text) for name, text in life.printed.items() if name.endswith(": verdict")]
    folder = f"s3://{BUCKET}/lab/runs/team/tire-0a1b2c3d/logs/"
    assert [verdict["logsURI"] for verdict in verdicts] == [folder] * 4
    for key, data in life.stored.items():
        if key.endswith("/agent.log"):
            assert b" INFO verdict {" in data.splitlines()[-1]


def test_nothing_that_people_read_attacks_them(life: Life) -> None:
    """Documents for programs keep names as they are, with escapes; a browser joins what a joiner joins."""
    [page] = [data.decode() for name, data in life.stored.items() if name.endswith("report.html")]
    logs = {
        f"{key}: logs": data.decode() for key, data in life.stored.items() if key.endswith(".log") and "/logs/" in key
    }
    assert len(logs) == 7  # of four agents, two trainers and an exporter
    read = {**life.printed, **logs, "page": page.replace("\u200d", "")}
    assert [name for name, text in read.items() if DANGEROUS.search(text.replace("\n", ""))] == []
    arrived = {name.rpartition(": ")[2] for name, text in read.items() if MARK in text}
    assert arrived >= {"verdict", "log", "logs", "page"}
    not_ours = ("/trainer.log: logs", "/exporter.log: logs")  # each line of these is the trainer's own
    assert not any("\n2026-01-01 CRITICAL" in text for name, text in read.items() if not name.endswith(not_ours))
