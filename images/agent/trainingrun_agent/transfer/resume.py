"""Finds the checkpoints that earlier attempts left in the bucket, and restores one.

Invariant: a checkpoint counts only if its manifest is there, names exactly that step's index and all of its data files,
and every byte is as promised. Otherwise the next older one is used; none is ever used in part.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from trainingrun_agent.errors import UNUSABLE, IntegrityError
from trainingrun_agent.keys import Attempt, RunKeys, manifest_of
from trainingrun_agent.reasons.storage import NOT_THAT_CHECKPOINT
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.shared.trainer_documents import is_complete
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject
from trainingrun_agent.transfer.attempts import training_attempts
from trainingrun_agent.transfer.meter import Meter

STATE_FILE = "checkpoint"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint in the bucket; `folder` is an absolute key without a slash at the end."""

    step: int
    epoch: int
    folder: str

    @property
    def manifest_key(self) -> str:
        """Absolute key of its manifest."""
        return manifest_of(self.folder)


def stored_checkpoints(store: ObjectStore, run: RunKeys, *, before_epoch: int) -> list[StoredCheckpoint]:
    """Checkpoints with a manifest, from attempts of earlier epochs, ordered by step and epoch, the highest first."""
    found = [
        checkpoint
        for attempt in training_attempts(store, run, before_epoch=before_epoch)
        for checkpoint in _of_attempt(store, attempt)
    ]
    return sorted(found, key=lambda checkpoint: (checkpoint.step, checkpoint.epoch), reverse=True)


def restore(
    store: ObjectStore, candidates: list[StoredCheckpoint], into: Folder, meter: Meter
) -> StoredCheckpoint | None:
    """Download the first candidate that is complete; None if there is none."""
    for candidate in candidates:
        try:
            _download(store, candidate, into, meter)
        except UNUSABLE as error:
            _log.warning("checkpoint of step %d is skipped: %s", candidate.step, error)
            continue
        return candidate
    return None


def newest_complete(store: ObjectStore, candidates: list[StoredCheckpoint]) -> StoredCheckpoint | None:
    """The first candidate whose files are there in full size, without reading them; None if there is none."""
    for candidate in candidates:
        try:
            files = _files(candidate, manifests.read(store, candidate.manifest_key))
        except UNUSABLE as error:
            _log.warning("checkpoint of step %d is skipped: %s", candidate.step, error)
            continue
        found = [store.head(f"{candidate.folder}/{entry.key}") for entry in files]
        if all(info is not None and info.size == entry.size for info, entry in zip(found, files, strict=True)):
            return candidate
        _log.warning("checkpoint of step %d is skipped: a file of it is missing or cut", candidate.step)
    return None


def write_state(into: Folder, step: int) -> None:
    """Write TensorFlow's `checkpoint` file, so that training resumes at exactly this step."""
    name = f"model.ckpt-{step}"
    text = f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n'
    into.write(STATE_FILE, text.encode())


def _of_attempt(store: ObjectStore, attempt: Attempt) -> list[StoredCheckpoint]:
    steps = (attempt.parse_checkpoint_manifest(info.key) for info in store.list(f"{attempt.checkpoints}/"))
    return [StoredCheckpoint(step, attempt.epoch, attempt.checkpoint(step)) for step in steps if step is not None]


def _download(store: ObjectStore, checkpoint: StoredCheckpoint, into: Folder, meter: Meter) -> None:
    for entry in _files(checkpoint, manifests.read(store, checkpoint.manifest_key)):
        meter.expect(entry.size)
        store.download(
            f"{checkpoint.folder}/{entry.key}",
            into.path(entry.key),
            size=entry.size,
            sha256=entry.sha256,
            on_bytes=meter.moved,
        )


def _files(checkpoint: StoredCheckpoint, manifest: Manifest) -> tuple[ManifestObject, ...]:
    names = {entry.key for entry in manifest.objects}
    whole = len(names) == len(manifest.objects) and is_complete(names, checkpoint.step)
    if manifest.kind != "checkpoint" or manifest.step != checkpoint.step or not whole:
        raise IntegrityError(NOT_THAT_CHECKPOINT, place=checkpoint.manifest_key, step=checkpoint.step)
    return manifest.objects
