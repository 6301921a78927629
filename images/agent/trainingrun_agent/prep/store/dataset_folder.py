"""The folder of one data set in the bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trainingrun_agent.errors import UNUSABLE, IntegrityError, NotFound
from trainingrun_agent.keys import BucketKeys, manifest_of
from trainingrun_agent.log import logger
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.store.stored_objects import StoredObjects
from trainingrun_agent.reasons.storage import NOT_A_DATA_SET
from trainingrun_agent.storage import manifest
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject
from trainingrun_agent.terms import Place


@dataclass(frozen=True)
class DatasetFolder:
    """The folder of the data set with this digest."""

    objects: StoredObjects
    store: ObjectStore
    keys: BucketKeys
    digest: str

    @property
    def key(self) -> str:
        """Absolute key of the folder, without a slash at the end."""
        return self.keys.dataset(self.digest)

    @property
    def manifest_key(self) -> str:
        """Absolute key of the manifest."""
        return manifest_of(self.key)

    @property
    def failed_key(self) -> str:
        """Absolute key of the folder for the report, if the data cannot be used for training."""
        return self.keys.failed_dataset(self.digest)

    def uri(self, key: str) -> str:
        """The URI of a key in this bucket."""
        return f"s3://{self.store.bucket}/{key}"

    def read_complete(self, splits: Iterable[Split]) -> Manifest | None:
        """The manifest, if it is that of a data set with these splits and all objects that it names can be used."""
        try:
            found = manifest.read(self.store, self.manifest_key)
            if not found.is_data_set(splits) or not _has_counts(found):
                raise IntegrityError(NOT_A_DATA_SET, place=Place(self.store.bucket, self.manifest_key))
        except NotFound:
            return None
        except UNUSABLE as error:
            logger.warning("preparing again: %s", error)
            return None
        gone = manifest.first_missing(found, self._has)
        if gone is not None:
            where = self.uri(self._key_of(gone))
            logger.warning("preparing again: %s was deleted, changed or damaged", where)
            return None
        return found

    def _has(self, entry: ManifestObject) -> bool:
        return self.objects.has(self._key_of(entry), size=entry.size, sha256=entry.sha256)

    def _key_of(self, entry: ManifestObject) -> str:
        return self.keys.manifest_entry(entry.key, folder=self.key)


def _has_counts(found: Manifest) -> bool:
    """Whether the numbers are there that a preparation takes from the manifest of a data set it uses again."""
    numbers = found.dataset or {}
    return all(isinstance(numbers.get(name), int) for name in ("trainImages", "evalImages", "maxBoxesPerImage"))
