"""Checks of spec.model.pretrained in prep, so that neither a typo nor weights of another network cost GPU time.

Invariant: what passes here, training can use; nothing of the weights is left in scratch space.
"""

from __future__ import annotations

from trainingrun_agent.config import Uri
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import checkpoint, fit
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage.base import ObjectStore, StoreFor
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.weights import FIELD, INDEX, USABLE, fetch_weights, unusable


def check_exists(store_for: StoreFor, uri: Uri | None) -> None:
    """Raise UserError when weights are named and there is no object at their address."""
    if uri is None:
        return
    store = store_for(uri.bucket)
    found = any(store.list(uri.key, limit=1)) if uri.key.endswith("/") else store.head(uri.key) is not None
    if not found:
        raise UserError(
            "PretrainedNotFound",
            f"{FIELD}: no object at {uri}",
            hint="Upload the weights there, or create a new TrainingRun with the right address (case matters).",
        )


def check_fits(context: StageContext) -> None:
    """Fetch the weights as training will, and raise UserError when they do not belong to the network."""
    model = context.config.resolved.model
    if model.pretrained is None:
        return
    store, meter = context.store_for(model.pretrained.bucket), Meter(context.progress, context.stop)
    with Folder.open(context.config.shared) as scratch:
        check_weights(store, model.pretrained, network=model.network, scratch=scratch, meter=meter)


def check_weights(store: ObjectStore, uri: Uri, *, network: str, scratch: Folder, meter: Meter) -> None:
    """Fetch the weights to `scratch`, compare them with the network and remove them. Raises UserError."""
    fetch_weights(store, uri, shared=scratch, meter=meter)
    with scratch.sub(names.PRETRAINED) as folder:
        index = _read_index(folder, uri)
        size = sum(folder.path(name).stat().st_size for name in folder.names() if ".data-" in name)
    scratch.remove_sub(names.PRETRAINED)
    if size < index.data_bytes:
        raise unusable(
            f"{FIELD}: the weights in {uri} have {size} bytes of data, their index names {index.data_bytes}",
            "Data and index are of different checkpoints, or the data was cut: upload both again.",
        )
    wrong = fit.misfit(network, index.variables)
    if wrong:
        raise UserError(
            "PretrainedMismatch",
            f"{FIELD}: the weights in {uri} {wrong}",
            hint="Create a new TrainingRun with weights of its model.network, or with the network of these weights.",
        )


def _read_index(folder: Folder, uri: Uri) -> checkpoint.Index:
    try:
        return checkpoint.read_index(folder.read(INDEX, max_bytes=checkpoint.MAX_BYTES))
    except (checkpoint.IndexUnreadableError, UnsafeFileError) as error:
        raise unusable(f"{FIELD}: {INDEX} in {uri} is not the index of a checkpoint: {error}", USABLE) from error
