"""Small JSON documents in a bucket.

Invariant: reads are bounded, and anything but a JSON object is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trainingrun_agent import bounded_json
from trainingrun_agent.errors import IntegrityError, NotFound
from trainingrun_agent.reasons.storage import NOT_A_DOCUMENT
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Place

MAX_DOCUMENT_BYTES = 8 << 20


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes of a document, with sorted keys, so that equal documents are equal objects."""
    return (json.dumps(document, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def read(store: ObjectStore, key: str) -> dict[str, Any] | None:
    """The document at `key`, None if there is none. Raises IntegrityError when it is not a JSON object."""
    try:
        data = store.get(key, max_bytes=MAX_DOCUMENT_BYTES)
    except NotFound:
        return None
    try:
        return bounded_json.document(data)
    except bounded_json.NotAnObjectError as error:
        raise _unusable(store, key, "is not a JSON object") from error
    except ValueError as error:
        raise _unusable(store, key, f"is not JSON: {error}") from error


def _unusable(store: ObjectStore, key: str, what: str) -> IntegrityError:
    return IntegrityError(NOT_A_DOCUMENT, place=Place(store.bucket, key), problem=what)
