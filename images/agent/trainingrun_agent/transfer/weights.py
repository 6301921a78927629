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
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.zoo_archive import ArchiveUnusableError, unpack_checkpoint

FOLDER = "pretrained"
PREFIX = f"{FOLDER}/model.ckpt"
MAX_TARBALL_BYTES = 8 << 30
_FIELD = "spec.model.pretrained"
_INDEX = "model.ckpt.index"
_HINT = "Use a .tar.gz of the TensorFlow 1 detection model zoo, or a run's export folder."
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
        raise _unusable(
            f"{_FIELD}: the weights in {uri} have {sum(sizes.values())} bytes of data, their index names "
            f"{index.data_bytes}",
            "Data and index are of different checkpoints, or the data was cut: upload both again.",
        )
    wrong = fit.misfit(network, index.variables)
    if wrong:
        raise UserError(
            "PretrainedMismatch",
            f"{_FIELD}: the weights in {uri} {wrong}",
            hint="Create a new TrainingRun with weights of its model.network, or with the network of these weights.",
        )


def _read_index(folder: Folder, uri: Uri) -> checkpoint.Index:
    try:
        return checkpoint.read_index(folder.read(_INDEX, max_bytes=checkpoint.MAX_BYTES))
    except (checkpoint.IndexUnreadableError, UnsafeFileError) as error:
        raise _unusable(f"{_FIELD}: {_INDEX} in {uri} is no index of a checkpoint: {error}", _HINT) from error


def _from_tarball(store: ObjectStore, uri: Uri, shared: Folder, meter: Meter) -> None:
    info = store.head(uri.key)
    if info is None:
        raise _unusable(f"{_FIELD}: no object at {uri}", "Upload the tarball, or correct the URI.")
    if info.size > MAX_TARBALL_BYTES:
        raise _unusable(f"{_FIELD}: {uri} has {info.size} bytes", f"At most {MAX_TARBALL_BYTES} bytes are used.")
    meter.expect(info.size)
    with shared.sub("spool", create=True) as spool, shared.sub(FOLDER, create=True) as into:
        tarball = spool.path(_TARBALL)
        store.download(uri.key, tarball, size=info.size, sha256=None, on_bytes=meter.moved)
        try:
            unpack_checkpoint(tarball, Path(into.path("model.ckpt")).parent)
        except ArchiveUnusableError as error:
            raise _unusable(f"{_FIELD}: {uri} {error}", _HINT) from error
        spool.remove(_TARBALL)


def _from_export(store: ObjectStore, uri: Uri, into: Folder, meter: Meter) -> None:
    folder = uri.key.rstrip("/")
    try:
        manifest = manifests.read(store, manifest_of(folder))
    except (NotFound, IntegrityError) as error:
        raise _unusable(
            f"{_FIELD}: {uri} is not the export of a run: {error.message}",
            "Name the folder of an export, with its MANIFEST.json, or the key of a tarball.",
        ) from error
    found = [(_CHECKPOINT_FILE.fullmatch(entry.key), entry) for entry in manifest.objects]
    files = {match[1]: entry for match, entry in found if match}
    if manifest.kind != "export" or "model.ckpt.index" not in files or len(files) < len(("index", "data")):
        raise _unusable(
            f"{_FIELD}: the manifest in {uri} names no checkpoint",
            "Name the folder of an export that has checkpoint/model.ckpt.index.",
        )
    for name, entry in files.items():
        meter.expect(entry.size)
        store.download(
            f"{folder}/{entry.key}",
            into.path(name),
            size=entry.size,
            sha256=entry.sha256,
            on_bytes=meter.moved,
        )


def _unusable(message: str, hint: str) -> UserError:
    return UserError("PretrainedUnusable", message, hint=hint)
