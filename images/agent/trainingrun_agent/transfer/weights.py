"""Weights to start from (spec.model.pretrained): an archive of the model zoo, or the export of another run.

Invariant: leaves `model.ckpt.index` and its data files in the folder, and nothing else of the source; a pipeline.config
that comes with an archive is ignored, that of an export is only compared.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from trainingrun_agent.errors import UNUSABLE, IntegrityError, NotFound, UserError
from trainingrun_agent.keys import LABEL_MAP, manifest_of
from trainingrun_agent.log import logger
from trainingrun_agent.pipeline.start import Export, Start
from trainingrun_agent.reasons.weights import (
    EXPORT_WITHOUT_CHECKPOINT,
    NOT_ALL_WEIGHTS,
    NOT_AN_EXPORT,
    PRETRAINED_UNUSABLE,
    WEIGHTS_GONE,
    WEIGHTS_OTHER_DIGEST,
    WEIGHTS_TOO_LARGE,
)
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest
from trainingrun_agent.terms import Change, Place
from trainingrun_agent.training_settings import Pretrained, Uri
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.tar_stream import ArchiveUnusableError
from trainingrun_agent.transfer.zoo_archive import unpack_checkpoint

PREFIX = f"{names.PRETRAINED}/model.ckpt"
INDEX = "model.ckpt.index"
_AUTO = Change("model.pretrained.scope", now="all", to="auto")
_ANEW = {"allButClasses": "the class heads", "featureExtractor": "everything but the feature extractor"}
MAX_ARCHIVE_BYTES = 8 << 30
MAX_TEXT_BYTES = 1 << 20
_ARCHIVE = ".pretrained.tar.gz"
_CHECKPOINT_FILE = re.compile(r"checkpoint/(model\.ckpt\.(index|data-\d{5}-of-\d{5}))")


def fetch_weights(
    store: ObjectStore,
    uri: Uri,
    *,
    shared: Folder,
    meter: Meter,
    sha256: str | None = None,
    shown: object = None,
) -> Export | None:
    """Fetch into `pretrained/`; returns what an export has beside its weights, None for an archive.

    `sha256` is what an archive must have; `shown` is the address in messages, where it is another one. Raises UserError
    when there are no usable weights at the URI; of an archive that is shown elsewhere, IntegrityError.
    """
    if uri.key.endswith("/"):
        with shared.sub(names.PRETRAINED, create=True) as into:
            return _fetch_export(store, uri, into, meter)
    info = store.head(uri.key)
    if info is None:
        raise UserError(WEIGHTS_GONE, place=uri)
    if info.size > MAX_ARCHIVE_BYTES:
        raise UserError(WEIGHTS_TOO_LARGE, place=uri, size=info.size, limit=MAX_ARCHIVE_BYTES)
    meter.expect(info.size)
    with shared.sub(names.SPOOL, create=True) as spool:
        archive = spool.path(_ARCHIVE)
        found = store.download(uri.key, archive, size=info.size, sha256=sha256 if shown else None, on_bytes=meter.moved)
        if sha256 not in (None, found):
            raise UserError(WEIGHTS_OTHER_DIGEST, place=uri, found=found, expected=sha256)
        _unpack(archive, shared, meter, shown or uri)
        spool.remove(_ARCHIVE)
    return None


def require_all(start: Start, weights: Pretrained) -> None:
    """Raise UserError if all variables are asked for and not all of them may be loaded."""
    if weights.scope == "all" and start.scope != "all":
        raise UserError(NOT_ALL_WEIGHTS, place=weights, anew=_ANEW[start.scope], why=start.why, change=_AUTO)


def _unpack(archive: Path, shared: Folder, meter: Meter, place: object) -> None:
    with shared.sub(names.PRETRAINED, create=True) as into:
        meter.current.reading(str(place))
        try:
            unpack_checkpoint(archive, Path(into.path("model.ckpt")).parent)
        except ArchiveUnusableError as error:
            raise UserError(PRETRAINED_UNUSABLE, place=place, problem=error) from error
        meter.current.reading("")


def _fetch_export(store: ObjectStore, uri: Uri, into: Folder, meter: Meter) -> Export:
    folder = uri.key.rstrip("/")
    try:
        manifest = manifests.read(store, manifest_of(folder))
    except (NotFound, IntegrityError) as error:
        raise UserError(NOT_AN_EXPORT, place=uri, problem=error) from error
    found = [(_CHECKPOINT_FILE.fullmatch(entry.key), entry) for entry in manifest.objects]
    files = {match[1]: entry for match, entry in found if match}
    if manifest.kind != "export" or INDEX not in files or len(files) < len(("index", "data")):
        raise UserError(EXPORT_WITHOUT_CHECKPOINT, place=uri)
    for name, entry in files.items():
        meter.expect(entry.size)
        store.download(
            f"{folder}/{entry.key}",
            into.path(name),
            size=entry.size,
            sha256=entry.sha256,
            on_bytes=meter.moved,
        )
    texts = (_text(store, folder, manifest, name) for name in (names.PIPELINE_CONFIG, LABEL_MAP))
    return Export(*texts)


def _text(store: ObjectStore, folder: str, manifest: Manifest, name: str) -> str | None:
    """A short text of an export; None if it has none, or not the one that its manifest promises."""
    entry = next((entry for entry in manifest.objects if entry.key == name), None)
    if entry is None:
        return None
    key = f"{folder}/{name}"
    try:
        data = store.get(key, max_bytes=MAX_TEXT_BYTES)
        found = hashlib.sha256(data).hexdigest()
        if found != entry.sha256:
            expected = f"SHA-256 {entry.sha256}"
            raise IntegrityError(where=Place(store.bucket, key), found=f"SHA-256 {found}", expected=expected)
        return data.decode()
    except (*UNUSABLE, UnicodeDecodeError) as error:
        logger.warning("%s of the export is ignored: %s", name, error)
        return None
