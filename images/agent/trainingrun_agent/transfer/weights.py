"""Weights to start from (spec.model.pretrained): a zoo tarball, or the export of another run.

Invariant: leaves `model.ckpt.index` and its data files in the folder given, and nothing else of the source;
a pipeline.config that comes with a tarball is never looked at. Prep checks all that training will need of them.
"""

from __future__ import annotations

import re
from pathlib import Path

from trainingrun_agent.config import Uri
from trainingrun_agent.errors import IntegrityError, NotFound, UserError
from trainingrun_agent.keys import manifest_of
from trainingrun_agent.pipeline import checkpoint, fit
from trainingrun_agent.reasons.weights import (
    EXPORT_WITHOUT_CHECKPOINT,
    NOT_AN_EXPORT,
    PRETRAINED_MISMATCH,
    PRETRAINED_UNUSABLE,
    WEIGHTS_CUT,
    WEIGHTS_GONE,
    WEIGHTS_TOO_LARGE,
)
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.zoo_archive import ArchiveUnusableError, unpack_checkpoint

FOLDER = "pretrained"
PREFIX = f"{FOLDER}/model.ckpt"
MAX_TARBALL_BYTES = 8 << 30
_INDEX = "model.ckpt.index"
_TARBALL = ".pretrained.tar.gz"
_CHECKPOINT_FILE = re.compile(r"checkpoint/(model\.ckpt\.(index|data-\d{5}-of-\d{5}))")


def fetch_weights(store: ObjectStore, uri: Uri, *, shared: Folder, meter: Meter) -> None:
    """Fetch into `pretrained/`. Raises UserError when there is nothing usable at the URI."""
    if uri.key.endswith("/"):
        with shared.sub(FOLDER, create=True) as into:
            _from_export(store, uri, into, meter)
    else:
        _from_tarball(store, uri, shared, meter)


def check_weights(store: ObjectStore, uri: Uri, *, network: str, scratch: Folder, meter: Meter) -> None:
    """Fetch as training will, see whether the weights belong to the network, and leave nothing.

    Raises UserError, so that no pod with a GPU has to find out.
    """
    fetch_weights(store, uri, shared=scratch, meter=meter)
    with scratch.sub(FOLDER) as folder:
        index = _read_index(folder, uri)
        sizes = {name: folder.path(name).stat().st_size for name in folder.names() if ".data-" in name}
    scratch.remove_sub(FOLDER)
    if sum(sizes.values()) < index.data_bytes:
        raise UserError(WEIGHTS_CUT, place=uri, size=sum(sizes.values()), named=index.data_bytes)
    wrong = fit.misfit(network, index.variables)
    if wrong:
        raise UserError(PRETRAINED_MISMATCH, place=uri, problem=wrong)


def _read_index(folder: Folder, uri: Uri) -> checkpoint.Index:
    try:
        return checkpoint.read_index(folder.read(_INDEX, max_bytes=checkpoint.MAX_BYTES))
    except (checkpoint.IndexUnreadableError, UnsafeFileError) as error:
        problem = f"has {_INDEX}, which is no index of a checkpoint: {error}"
        raise UserError(PRETRAINED_UNUSABLE, place=uri, problem=problem) from error


def _from_tarball(store: ObjectStore, uri: Uri, shared: Folder, meter: Meter) -> None:
    info = store.head(uri.key)
    if info is None:
        raise UserError(WEIGHTS_GONE, place=uri)
    if info.size > MAX_TARBALL_BYTES:
        raise UserError(WEIGHTS_TOO_LARGE, place=uri, size=info.size, limit=MAX_TARBALL_BYTES)
    meter.expect(info.size)
    with shared.sub("spool", create=True) as spool, shared.sub(FOLDER, create=True) as into:
        tarball = spool.path(_TARBALL)
        store.download(uri.key, tarball, size=info.size, sha256=None, on_bytes=meter.moved)
        try:
            unpack_checkpoint(tarball, Path(into.path("model.ckpt")).parent)
        except ArchiveUnusableError as error:
            raise UserError(PRETRAINED_UNUSABLE, place=uri, problem=error) from error
        spool.remove(_TARBALL)


def _from_export(store: ObjectStore, uri: Uri, into: Folder, meter: Meter) -> None:
    folder = uri.key.rstrip("/")
    try:
        manifest = manifests.read(store, manifest_of(folder))
    except (NotFound, IntegrityError) as error:
        raise UserError(NOT_AN_EXPORT, place=uri, problem=error) from error
    found = [(_CHECKPOINT_FILE.fullmatch(entry.key), entry) for entry in manifest.objects]
    files = {match[1]: entry for match, entry in found if match}
    if manifest.kind != "export" or "model.ckpt.index" not in files or len(files) < len(("index", "data")):
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
