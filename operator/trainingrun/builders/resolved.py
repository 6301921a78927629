"""The immutable ConfigMap that fixes what every attempt of a run is built from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from trainingrun.api.names import RESOLVED_KEY, resolved_name
from trainingrun.api.run import Run
from trainingrun.builders.common import metadata


def resolved_text(resolved: Mapping[str, Any]) -> str:
    """Text of resolved.json. Another form of the same values would have another digest."""
    return json.dumps(resolved, indent=2, sort_keys=True) + "\n"


@lru_cache(maxsize=4)  # a decision asks several times for the digest of one text
def text_digest(text: str) -> str:
    """SHA-256 of the file that a pod mounts, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def build_resolved(run: Run, *, text: str) -> dict[str, Any]:
    """ConfigMap `<run>-resolved-<uid8>`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(run, name=resolved_name(run.name, uid=run.uid), labels={}),
        "immutable": True,
        "data": {RESOLVED_KEY: text},
    }
