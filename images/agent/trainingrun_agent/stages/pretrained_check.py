"""Checks of spec.model.pretrained in prep, so that neither a typo nor weights of another network cost GPU time.

Invariant: what passes here, training can use; nothing of the weights is left in scratch space.
"""

from __future__ import annotations

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import checkpoint, fit
from trainingrun_agent.reasons.weights import (
    PRETRAINED_MISMATCH,
    PRETRAINED_NOT_FOUND,
    PRETRAINED_UNUSABLE,
    WEIGHTS_CUT,
    WEIGHTS_OF_NO_NETWORK,
)
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage.base import ObjectStore, StoreFor
from trainingrun_agent.terms import Change
from trainingrun_agent.training_settings import Uri
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.weights import INDEX, fetch_weights


def check_exists(store_for: StoreFor, uri: Uri | None) -> None:
    """Raise UserError when weights are named and there is no object at their address."""
    if uri is None:
        return
    store = store_for(uri.bucket)
    found = any(store.list(uri.key, limit=1)) if uri.key.endswith("/") else store.head(uri.key) is not None
    if not found:
        raise UserError(PRETRAINED_NOT_FOUND, place=uri)


def check_fits(context: StageContext) -> None:
    """Fetch the weights as training will, and raise UserError when they do not belong to the network."""
    model = context.config.resolved.model
    if model.pretrained is None or model.pretrained.uri is None:
        return
    uri = model.pretrained.uri
    store, meter = context.store_for(uri.bucket), Meter(context.progress, context.stop)
    with Folder.open(context.config.shared) as scratch:
        check_weights(store, uri, network=model.network, scratch=scratch, meter=meter)


def check_weights(store: ObjectStore, uri: Uri, *, network: str, scratch: Folder, meter: Meter) -> None:
    """Fetch the weights to `scratch`, compare them with the network and remove them. Raises UserError."""
    fetch_weights(store, uri, shared=scratch, meter=meter)
    with scratch.sub(names.PRETRAINED) as folder:
        index = _read_index(folder, uri)
        size = sum(folder.path(name).stat().st_size for name in folder.names() if ".data-" in name)
    scratch.remove_sub(names.PRETRAINED)
    if size < index.data_bytes:
        raise UserError(WEIGHTS_CUT, place=uri, size=size, named=index.data_bytes)
    wrong = fit.misfit(network, index.variables)
    if wrong:
        fitting = fit.networks_of(index.variables)
        if not fitting:
            raise UserError(WEIGHTS_OF_NO_NETWORK, place=uri, problem=wrong)
        change = Change("model.network", now=network, to=fitting[0])
        raise UserError(PRETRAINED_MISMATCH, place=uri, problem=wrong, change=change)


def _read_index(folder: Folder, uri: Uri) -> checkpoint.Index:
    try:
        return checkpoint.read_index(folder.read(INDEX, max_bytes=checkpoint.MAX_BYTES))
    except (checkpoint.IndexUnreadableError, UnsafeFileError) as error:
        problem = f"holds {INDEX}, which is not the index of a checkpoint: {error}"
        raise UserError(PRETRAINED_UNUSABLE, place=uri, problem=problem) from error
