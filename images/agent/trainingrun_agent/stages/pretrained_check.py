"""Checks of spec.model.pretrained in prep, so that neither a typo nor weights of another network cost GPU time.

Invariant: what passes here, training can use; nothing of the weights is left in scratch space.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import checkpoint, fit
from trainingrun_agent.pipeline.start import Export, start_from
from trainingrun_agent.reasons.weights import (
    PRETRAINED_MISMATCH,
    PRETRAINED_NOT_FOUND,
    PRETRAINED_UNUSABLE,
    WEIGHTS_CUT,
    WEIGHTS_OF_NO_NETWORK,
)
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage.base import StoreFor
from trainingrun_agent.terms import Change
from trainingrun_agent.training_settings import Uri
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.web_weights import fetch_pretrained
from trainingrun_agent.transfer.weights import INDEX, require_all


def check_exists(store_for: StoreFor, uri: Uri | None) -> None:
    """Raise UserError when weights are named and there is no object at their address."""
    if uri is None:
        return
    store = store_for(uri.bucket)
    found = any(store.list(uri.key, limit=1)) if uri.key.endswith("/") else store.head(uri.key) is not None
    if not found:
        raise UserError(PRETRAINED_NOT_FOUND, place=uri)


def check_fits(context: StageContext) -> Export | None:
    """Fetch the weights as training will; raises UserError when they do not belong to the network.

    Returns what an export has beside its weights, None for an archive and without weights.
    """
    model = context.config.resolved.model
    weights = model.pretrained
    if weights is None:
        return None
    meter = Meter(context.progress, context.stop)
    with Folder.open(context.config.shared) as scratch:
        fetch = partial(fetch_pretrained, context, weights, shared=scratch, meter=meter)
        return check_weights(fetch, weights, network=model.network, scratch=scratch)


def check_scope(context: StageContext, export: Export | None, *, pipeline_config: str) -> None:
    """Raise UserError if all variables are to be loaded from weights that only some may be loaded from."""
    resolved = context.config.resolved
    weights = resolved.model.pretrained
    if weights is not None:
        classes = resolved.dataset.classes
        require_all(start_from(export, weights.scope, pipeline_config=pipeline_config, classes=classes), weights)


def check_weights(fetch: Callable[[], Export | None], place: object, *, network: str, scratch: Folder) -> Export | None:
    """Fetch the weights to `scratch`, compare them with the network and remove them. Raises UserError.

    `place` is their address in messages. Returns what `fetch` does.
    """
    export = fetch()
    with scratch.sub(names.PRETRAINED) as folder:
        index = _read_index(folder, place)
        size = sum(folder.path(name).stat().st_size for name in folder.names() if ".data-" in name)
    scratch.remove_sub(names.PRETRAINED)
    if size < index.data_bytes:
        raise UserError(WEIGHTS_CUT, place=place, size=size, named=index.data_bytes)
    wrong = fit.misfit(network, index.variables)
    if not wrong:
        return export
    fitting = fit.networks_of(index.variables)
    if not fitting:
        raise UserError(WEIGHTS_OF_NO_NETWORK, place=place, problem=wrong)
    change = Change("model.network", now=network, to=fitting[0])
    raise UserError(PRETRAINED_MISMATCH, place=place, problem=wrong, change=change)


def _read_index(folder: Folder, place: object) -> checkpoint.Index:
    try:
        return checkpoint.read_index(folder.read(INDEX, max_bytes=checkpoint.MAX_BYTES))
    except (checkpoint.IndexUnreadableError, UnsafeFileError) as error:
        problem = f"holds {INDEX}, which is not the index of a checkpoint: {error}"
        raise UserError(PRETRAINED_UNUSABLE, place=place, problem=problem) from error
