"""Weights of spec.model.pretrained wherever they are: an archive at an https address is first stored in the bucket.

Invariant: its key is its SHA-256, which every reader verifies, so a second run downloads nothing, and an object that
was deleted or damaged is fetched again.
"""

from __future__ import annotations

from pathlib import Path

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import IntegrityError, NotFound, UserError
from trainingrun_agent.log import logger
from trainingrun_agent.pipeline.start import Export
from trainingrun_agent.reasons.weights import WEIGHTS_OTHER_DIGEST
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.web_archive import WebArchive
from trainingrun_agent.training_settings import Pretrained, Uri
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.weights import MAX_ARCHIVE_BYTES, fetch_weights

_DOWNLOAD = ".downloaded.tar.gz"


def fetch_pretrained(context: StageContext, weights: Pretrained, *, shared: Folder, meter: Meter) -> Export | None:
    """Fetch into `pretrained/`; returns what an export has beside its weights, None for an archive.

    Raises UserError when there are no usable weights.
    """
    if weights.uri is not None:
        store = context.store_for(weights.uri.bucket)
        return fetch_weights(store, weights.uri, shared=shared, meter=meter, sha256=weights.sha256)
    store = context.out
    uri = Uri(store.bucket, context.config.resolved.keys.weights(weights.sha256 or ""))
    if store.head(uri.key) is None:
        _store(context, weights, store, uri.key, shared=shared, meter=meter)
    try:
        return _fetch(store, uri, weights, shared=shared, meter=meter)
    except (IntegrityError, NotFound) as error:
        logger.warning("the weights are downloaded again: %s", error)
        _store(context, weights, store, uri.key, shared=shared, meter=meter)
        return _fetch(store, uri, weights, shared=shared, meter=meter)


def _fetch(store: ObjectStore, uri: Uri, weights: Pretrained, *, shared: Folder, meter: Meter) -> Export | None:
    return fetch_weights(store, uri, shared=shared, meter=meter, sha256=weights.sha256, shown=weights)


def _store(
    context: StageContext, weights: Pretrained, store: ObjectStore, key: str, *, shared: Folder, meter: Meter
) -> None:
    """Download the archive, compare its digest, and upload it."""
    config = context.config
    archive = WebArchive(
        weights.url or "", refused=weights.refused_networks, ca_file=config.ca_file, proxy=config.web_proxy
    )
    with shared.sub(names.SPOOL, create=True) as spool:
        path = Path(spool.path(_DOWNLOAD))
        size, found = archive.download(path, limit=MAX_ARCHIVE_BYTES, on_size=meter.expect, on_bytes=meter.moved)
        try:
            if found != weights.sha256:
                raise UserError(WEIGHTS_OTHER_DIGEST, place=weights, found=found, expected=weights.sha256)
            meter.expect(size)
            with path.open("rb") as file:
                store.upload(key, file, size=size, on_bytes=meter.moved)
        finally:
            spool.remove(_DOWNLOAD)
    logger.info("%s is now s3://%s/%s; other runs with the same sha256 take it from there", weights, store.bucket, key)
