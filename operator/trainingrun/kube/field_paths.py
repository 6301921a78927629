"""Paths of fields as the API server writes them: `spec.template.spec.containers[0].resources.limits[cpu]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_STEP: Final = re.compile(r"\[(?P<inside>[^\]]+)\]|(?P<name>[^.\[\]]+)")


def is_in(body: Mapping[str, Any], path: str) -> bool:
    """Return whether an object has the field, or has the object in which the field is missing.

    An entry of a list has to be there: one that is not, such as the container of a sidecar, was added by a webhook.
    """
    value: object = body
    steps = list(_STEP.finditer(path))
    for number, step in enumerate(steps):
        if isinstance(value, list):
            index = step["inside"] or ""
            if not index.isdecimal() or int(index) >= len(value):
                return False
            value = value[int(index)]
        elif isinstance(value, Mapping):
            name = step["name"] or step["inside"]
            if name not in value:
                return number == len(steps) - 1
            value = value[name]
        else:
            return False
    return bool(steps)
