"""Publishing a data set: its small files, and the manifest last.

Invariant: a manifest is written only after every object it names. Two preparations of the same data may both write one;
either is right.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.errors import StageError
from trainingrun_agent.keys import LABEL_MAP, REPORT, REPORT_PAGE, file_of, labels_csv
from trainingrun_agent.log import logger
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder
from trainingrun_agent.prep.store.previous import StoredShard
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage import manifest
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.terms import Message, Place, Text

ROLES = {
    LABEL_MAP: "labelMap",
    REPORT: "report",
    REPORT_PAGE: "reportPage",
    labels_csv("train"): "trainCSV",
    labels_csv("eval"): "evalCSV",
}


def publish(
    folder: DatasetFolder,
    *,
    shards: Iterable[StoredShard],
    files: Sequence[Path],
    dataset: dict[str, Any],
    producer: Producer,
    clock: Clock,
    stop: threading.Event,
) -> None:
    """Upload files, then the manifest, which names them and the shards. Raises what storage raises, Interrupted."""
    objects = [entry for shard in shards for entry in shard.objects]
    objects += [_upload(folder, path) for path in files]
    document = Manifest(
        kind="dataset",
        producer=producer,
        created=rfc3339(clock.now()),
        objects=tuple(objects),
        dataset=dataset,
    )
    raise_if_stopped(stop)
    manifest.write(folder.store, folder.key, document)


def publish_failure(folder: DatasetFolder, files: Sequence[Path]) -> Text:
    """Upload the report on data that cannot be used for training; return the sentence that says where it is."""
    try:
        for path in files:
            folder.store.put(f"{folder.failed_key}/{path.name}", path.read_bytes())
    except StageError as error:
        logger.warning("the report could not be written: %s", error)
        values = {"place": Place(folder.store.bucket, f"{folder.failed_key}/"), "reason": error.reason}
        return Message("The report could not be written to {place}: {reason}.", values)
    return Message("Report: {place}", {"place": Place(folder.store.bucket, f"{folder.failed_key}/{files[-1].name}")})


def _upload(folder: DatasetFolder, path: Path) -> ManifestObject:
    size = path.stat().st_size
    key = file_of(folder.key, path.name)
    with path.open("rb") as file:
        sha256 = folder.store.upload(key, file, size=size)
    folder.objects.written(key)
    return ManifestObject(path.name, size, sha256, ROLES[path.name])
