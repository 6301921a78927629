"""The run whose training this one continues (spec.resumeFrom), as its folder in the bucket shows it.

Invariant: nothing is asked of that run's cluster or TrainingRun, which may be gone, and nothing in its folder is
changed. What is read there is only compared, except for checkpoints, which have a manifest that every byte must match.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UNUSABLE, IntegrityError, NotFound, UserError
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.reasons.resume import RESUME_UNREADABLE
from trainingrun_agent.storage import documents, results
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Place
from trainingrun_agent.training_settings import Uri
from trainingrun_agent.transfer.dataset import MAX_PIPELINE_CONFIG
from trainingrun_agent.transfer.resume import StoredCheckpoint, stored_checkpoints

_ALL_EPOCHS: Final = 1 << 62


@dataclass(frozen=True)
class OtherRun:
    """A run's folder in a bucket."""

    store: ObjectStore
    uri: Uri

    @classmethod
    def of(cls, context: StageContext) -> OtherRun | None:
        """The run that spec.resumeFrom names, None without."""
        uri = context.config.resolved.resume_from
        return None if uri is None else cls(context.store_for(uri.bucket), uri)

    @property
    def keys(self) -> RunKeys:
        """Keys in its folder."""
        return RunKeys(self.uri.key.rstrip("/"))

    def exists(self) -> bool:
        """Whether its folder has an object."""
        return any(True for _ in self.store.list(self.uri.key, limit=1))

    def checkpoints(self) -> list[StoredCheckpoint]:
        """Its checkpoints with a manifest, the highest step first."""
        return stored_checkpoints(self.store, self.keys, before_epoch=_ALL_EPOCHS)

    def resolved(self) -> dict[str, Any]:
        """Its resolved spec. Raises UserError when its run.json cannot be read."""
        key = self.keys.description
        try:
            found = (documents.read(self.store, key) or {}).get("resolved")
        except UNUSABLE as error:
            raise self._unreadable(key, error) from error
        if not isinstance(found, dict):
            raise self._unreadable(key, None)
        return found

    def pipeline_config(self) -> str:
        """Its pipeline.config. Raises UserError when it cannot be read."""
        key = self.keys.pipeline_config
        try:
            return self.store.get(key, max_bytes=MAX_PIPELINE_CONFIG).decode("utf-8", "replace")
        except UNUSABLE as error:
            raise self._unreadable(key, error) from error

    def data_digest(self) -> str | None:
        """The digest of its data, None if its version recorded none."""
        try:
            found = results.read_result(self.store, self.keys, "prep")
        except (NotFound, IntegrityError):
            return None
        digest = (found or {}).get(results.DATA_DIGEST)
        return digest if isinstance(digest, str) else None

    def _unreadable(self, key: str, error: object) -> UserError:
        problem = "" if error is None else f" ({error})"
        return UserError(RESUME_UNREADABLE, place=Place(self.store.bucket, key), problem=problem)
