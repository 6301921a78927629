"""The folder of one data set in the bucket."""

from __future__ import annotations

from dataclasses import dataclass

from trainingrun_agent.errors import IntegrityError, NotFound
from trainingrun_agent.keys import BucketKeys, manifest_of
from trainingrun_agent.log import logger
from trainingrun_agent.storage import manifest
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest


@dataclass(frozen=True)
class DatasetFolder:
    """The folder of the data set with this digest."""

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

    def read_complete(self) -> Manifest | None:
        """The manifest, if there is one and all objects that it names exist with the right size."""
        try:
            found = manifest.read(self.store, self.manifest_key)
        except NotFound:
            return None
        except IntegrityError as error:
            logger.warning("preparing again: %s", error)
            return None
        gone = manifest.missing(self.store, found, folder=self.key, keys=self.keys)
        if gone is not None:
            logger.warning("preparing again: %s was deleted or changed", self.uri(gone))
            return None
        return found
