"""A whole run on each server: preparation, training and export as real processes, then the survey of prune."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable

import pytest

from agent_run import RUN_UID, resolved_document
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prune.survey import survey
from trainingrun_agent.storage.base import ObjectStore
from trdemo.trainer_stand_in import EXPORTED
from trservers.server import Server
from voc_data import jpeg, voc
from whole_life import Life

pytestmark = pytest.mark.s3
Opener = Callable[[AgentConfig, str], ObjectStore]
BUCKET = "whole-life"
IMAGES = {"train": 6, "eval": 3}
RUN = BucketKeys("lab").run(namespace="team", name="tire", uid=RUN_UID)


@pytest.fixture(scope="module")
def life(s3_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A run whose pods have not started."""
    root = tmp_path_factory.mktemp("life")
    s3 = s3_server.client
    s3.create_bucket(Bucket=BUCKET)
    document = resolved_document(s3_server.endpoint, BUCKET)
    for split, count in IMAGES.items():
        for number in range(count):
            s3.put_object(Bucket=BUCKET, Key=f"{split}/tire {number}.jpg", Body=jpeg(seed=f"{split}{number}"))
            s3.put_object(Bucket=BUCKET, Key=f"{split}/tire {number}.xml", Body=voc())
        document["dataset"][split] = {"bucket": BUCKET, "key": f"{split}/", "imageSet": None}
    (root / "resolved.json").write_text(json.dumps(document))
    (root / "credentials").mkdir()
    s3_server.write_account(root / "credentials")
    return Life(root, s3, BUCKET)


def test_a_run_from_images_to_an_export(life: Life, s3_config: AgentConfig, stores: Opener) -> None:
    prepared = life.pod("prep")
    assert prepared["outcome"] == "succeeded", prepared
    assert (prepared["numbers"]["trainImages"], prepared["numbers"]["evalImages"]) == tuple(IMAGES.values())
    assert life.pod("train", save_every=10, done="diverged", steps=20)["outcome"] == "diverged"
    trained = life.pod("train", save_every=10)
    assert (trained["outcome"], trained["numbers"]["step"]) == ("succeeded", 30), trained
    exported = life.pod("export", export=EXPORTED)
    assert exported["outcome"] == "succeeded", exported
    store = stores(s3_config, BUCKET)
    stored = {info.key: store.get(info.key, max_bytes=1 << 24) for info in store.list("lab/")}
    keys = {key.removeprefix(f"{RUN.folder}/") for key in stored if key.startswith(RUN.folder)}
    assert keys >= {"prepared.json", "trained.json", "exported.json"}
    for key in [key for key in stored if key.endswith("MANIFEST.json")]:
        for entry in json.loads(stored[key])["objects"]:
            data = stored.get(f"{key.rpartition('/')[0]}/{entry['key']}", stored.get(f"lab/{entry['key']}"))
            if data is not None:  # checkpoints that are not kept are deleted
                assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    found = survey(store, BucketKeys("lab"), stop=threading.Event())
    assert list(found.runs.values()) == list(found.data_sets)
    blobs = {key for key in stored if key.startswith("lab/datasets/blobs/")}
    assert {info.key for info in found.blobs} == blobs != set()
