"""The folder that `convert` writes: names that the Object Detection API expects, beside the content-addressed layout.

Invariant: every name is a hard link to an object of the manifest, or a copy where the file system has no links.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from trainingrun_agent.cli.terminal import size
from trainingrun_agent.keys import LABEL_MAP, REPORT, REPORT_PAGE, BucketKeys, folder_of, labels_csv
from trainingrun_agent.prep.prepared import PreparedDataset
from trainingrun_agent.storage import manifest
from trainingrun_agent.storage.folder_store import FolderStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject

RECORDS = {"trainRecords": "train", "evalRecords": "eval"}
BESIDE = {LABEL_MAP, labels_csv("train"), labels_csv("eval"), REPORT, REPORT_PAGE}
_SHARD = re.compile(r"(train|eval)-\d{5}-of-\d{5}\.tfrecord")


def is_ours(name: str) -> bool:
    """Whether `convert` writes such a name."""
    return name == "datasets" or name in BESIDE or bool(_SHARD.fullmatch(name))


def lay_out(out: Path, prepared: PreparedDataset) -> Iterator[str]:
    """Give a data set its plain names; yields the lines to print about it."""
    folder = folder_of(prepared.manifest_key)
    found = manifest.read(FolderStore(out), prepared.manifest_key)
    names = _names(found)
    for path in list(out.iterdir()):
        if path.is_file() and is_ours(path.name):
            path.unlink()
    for name, entry in names.items():
        _link(out / BucketKeys("").manifest_entry(entry.key, folder=folder), out / name)
    yield f"Written to {out}:"
    yield from _listed(names)
    yield f"  {folder}/MANIFEST.json  sizes and SHA-256; records by content in datasets/blobs/"
    yield ""
    yield "In pipeline.config of the Object Detection API:"
    yield from _readers(out.resolve(), names, len((found.dataset or {})["classes"]))


def _names(found: Manifest) -> dict[str, ManifestObject]:
    names: dict[str, ManifestObject] = {}
    for role, split in RECORDS.items():
        shards = [entry for entry in found.objects if entry.role == role]
        names |= {f"{split}-{number:05d}-of-{len(shards):05d}.tfrecord": entry for number, entry in enumerate(shards)}
    return names | {entry.key: entry for entry in found.objects if entry.key in BESIDE}


def _link(target: Path, name: Path) -> None:
    try:
        name.hardlink_to(target)
    except OSError:  # not every file system has links
        shutil.copyfile(target, name)


def _listed(names: dict[str, ManifestObject]) -> Iterator[str]:
    for split in RECORDS.values():
        shards = [entry for name, entry in names.items() if name.startswith(f"{split}-")]
        if shards:
            images, total = sum(entry.images or 0 for entry in shards), sum(entry.size for entry in shards)
            yield f"  {_pattern(split, len(shards))}  {images:,} images, {size(total)}"
    yield f"  {'  '.join(name for name in names if name in BESIDE)}"


def _readers(out: Path, names: dict[str, ManifestObject], classes: int) -> Iterator[str]:
    yield f"  num_classes: {classes}"
    for split in RECORDS.values():
        count = sum(name.startswith(f"{split}-") for name in names)
        if count:
            yield f"  {split}_input_reader {{"
            yield f'    label_map_path: "{out}/{LABEL_MAP}"'
            yield f'    tf_record_input_reader {{ input_path: "{out}/{_pattern(split, count)}" }}'
            yield "  }"


def _pattern(split: str, count: int) -> str:
    return f"{split}-?????-of-{count:05d}.tfrecord"
