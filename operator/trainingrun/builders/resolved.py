"""The immutable ConfigMap that fixes what every attempt of a run is built from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trainingrun.api.names import RESOLVED_KEY, resolved_name
from trainingrun.api.run import Run
from trainingrun.builders.common import metadata


def build_resolved(run: Run, *, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """ConfigMap `<run>-resolved-<uid8>`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(run, name=resolved_name(run.name, uid=run.uid), labels={}),
        "immutable": True,
        "data": {RESOLVED_KEY: json.dumps(resolved, indent=2, sort_keys=True) + "\n"},
    }
