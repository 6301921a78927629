"""The storage layout: every key is built as documented, and parsed back to what it was built from."""

from __future__ import annotations

import pytest

from trainingrun_agent.keys import BucketKeys, DatasetObject, EventChunk, folder_of, is_manifest, manifest_of

pytestmark = pytest.mark.contract
DIGEST = "d" * 64
KEYS = BucketKeys("ml")
RUN = KEYS.run(namespace="team-a", name="tire", uid="0123abcd-0000-4000")
ATTEMPT = RUN.attempt("train", epoch=3, pod_uid="11112222-3333")
EVENTS = "events.out.tfevents.1.host"


@pytest.mark.parametrize(
    ("key", "documented"),
    [
        (KEYS.blob(DIGEST, "tfrecord"), f"ml/datasets/blobs/{DIGEST}.tfrecord"),
        (KEYS.blob(DIGEST, "rows.gz"), f"ml/datasets/blobs/{DIGEST}.rows.gz"),
        (KEYS.latest_shards(DIGEST), f"ml/datasets/latest/{DIGEST}.json"),
        (KEYS.unfinished_shards(DIGEST), f"ml/datasets/unfinished/{DIGEST}.json"),
        (manifest_of(KEYS.dataset(DIGEST)), f"ml/datasets/{DIGEST}/MANIFEST.json"),
        (KEYS.failed_dataset(DIGEST), f"ml/datasets/failed/{DIGEST}"),
        (RUN.description, "ml/runs/team-a/tire-0123abcd/run.json"),
        (RUN.pipeline_config, "ml/runs/team-a/tire-0123abcd/pipeline.config"),
        (RUN.epoch(3), "ml/runs/team-a/tire-0123abcd/epochs/0003.json"),
        (RUN.result("prep"), "ml/runs/team-a/tire-0123abcd/prepared.json"),
        (RUN.result("export"), "ml/runs/team-a/tire-0123abcd/exported.json"),
        (RUN.preflight("11112222-3333"), "ml/runs/team-a/tire-0123abcd/preflight/11112222"),
        (ATTEMPT.folder, "ml/runs/team-a/tire-0123abcd/train/0003-11112222"),
        (ATTEMPT.checkpoint(150), f"{ATTEMPT.folder}/checkpoints/00000150"),
        (ATTEMPT.event_chunk("eval_0", EVENTS, 7), f"{ATTEMPT.folder}/events/eval_0/{EVENTS}/{7:020d}"),
        (ATTEMPT.last_step, f"{ATTEMPT.folder}/last.json"),
        (ATTEMPT.stacks, f"{ATTEMPT.folder}/stacks.txt"),
    ],
)
def test_keys_are_those_of_the_documented_layout(key: str, documented: str) -> None:
    assert key == documented


@pytest.mark.parametrize("prefix", ["", "ml", "ml/vision"])
def test_relative_keys_count_from_the_storage_prefix(prefix: str) -> None:
    keys = BucketKeys(prefix)
    assert keys.relative(keys.datasets) == "datasets"
    assert keys.absolute("datasets") == keys.datasets


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("datasets/blobs/x", "ml", "ml/datasets/blobs/x"),
        ("datasets/blobs/x", "", "datasets/blobs/x"),
        ("saved_model/1/x", "ml", "folder/saved_model/1/x"),
    ],
    ids=["shared", "shared without prefix", "in the folder"],
)
def test_entries_of_a_manifest_lie_in_its_folder_or_below_datasets(key: str, prefix: str, expected: str) -> None:
    assert BucketKeys(prefix).manifest_entry(key, folder="folder") == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (KEYS.blob(DIGEST, "tfrecord"), DatasetObject("blob")),
        (KEYS.latest_shards(DIGEST), DatasetObject("latest")),
        (KEYS.unfinished_shards(DIGEST), DatasetObject("unfinished")),
        (f"{KEYS.failed_dataset(DIGEST)}/report.json", DatasetObject("failed", DIGEST)),
        (manifest_of(KEYS.dataset(DIGEST)), DatasetObject("dataset", DIGEST)),
        (KEYS.dataset(DIGEST), None),
        ("ml/datasets/notes.txt", None),
        ("ml/datasets/failed/notes.txt", None),
        ("ml/datasets/latest/notes.txt", None),
        ("ml/datasets/unfinished/notes.txt", None),
    ],
)
def test_objects_below_datasets_are_distinguished(key: str, expected: DatasetObject | None) -> None:
    assert KEYS.parse_dataset_object(key) == expected


def test_a_data_sets_manifest_gives_its_digest() -> None:
    assert BucketKeys.parse_dataset_manifest(f"datasets/{DIGEST}/MANIFEST.json") == DIGEST
    assert BucketKeys.parse_dataset_manifest(f"elsewhere/{DIGEST}/MANIFEST.json") is None
    assert BucketKeys.parse_dataset_manifest("datasets/abc/MANIFEST.json") is None


def test_what_is_built_is_parsed_back() -> None:
    chunk = ATTEMPT.event_chunk("train", EVENTS, 8192)
    assert RUN.parse_epoch(RUN.epoch(12)) == 12
    assert RUN.parse_attempt("train", chunk) == ATTEMPT
    assert ATTEMPT.parse_event_chunk(chunk, 5) == EventChunk(chunk, 3, "train", EVENTS, 8192, 5)
    assert ATTEMPT.parse_checkpoint_manifest(manifest_of(ATTEMPT.checkpoint(150))) == 150
    assert is_manifest(manifest_of("a/b"))
    assert folder_of(manifest_of("a/b")) == "a/b"


def test_other_keys_are_parsed_to_none() -> None:
    assert RUN.parse_epoch(f"{RUN.epochs}/notes.txt") is None
    assert RUN.parse_attempt("train", f"{RUN.attempts('train')}/notes/a") is None
    assert ATTEMPT.parse_event_chunk(ATTEMPT.last_step, 5) is None
    assert ATTEMPT.parse_checkpoint_manifest(f"{ATTEMPT.checkpoint(150)}/model.ckpt-150.index") is None
