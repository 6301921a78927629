"""Reads which TrainingRuns exist, from what `kubectl get trainingruns -A -o json` prints.

Invariant: what is not such a list is refused, because every run that is missing in it counts as deleted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from trainingrun_agent import bounded_json
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.prune.runs import runs_in

MAX_BYTES = 256 << 20
_COMMAND = "kubectl get trainingruns --all-namespaces -o json"


class LivingRuns(NamedTuple):
    """Names of the folders of runs, `<namespace>/<name>-<uid8>`, and of those from which they start.

    The uid of the latter is not always known: then it is the beginning of the name.
    """

    names: frozenset[str]
    needed: frozenset[str]


def read_living(path: Path) -> LivingRuns:
    """The runs in the list; `-` is standard input. Raises UsageError."""
    data = _read(path)
    try:
        items = bounded_json.document(data)["items"]
        found = frozenset(_folder(item) for item in items)
        needed = frozenset(name for item in items for name in _starts_from(item))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"--living {path}: not a list of TrainingRuns, as `{_COMMAND}` prints it") from error
    if not found:
        raise UsageError(f"--living {path}: no TrainingRun in the list, so that all runs would count as deleted")
    return LivingRuns(found, needed)


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read(MAX_BYTES)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise UsageError(f"--living {path}: {error.strerror}") from error


def _folder(item: Any) -> str:
    if item["kind"] != "TrainingRun":
        raise ValueError("not a TrainingRun")
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}-{metadata['uid'][:8]}"


def _starts_from(item: Any) -> Iterator[str]:
    spec, namespace = item.get("spec") or {}, item["metadata"]["namespace"]
    for source in ((spec.get("model") or {}).get("pretrained") or {}, spec.get("resumeFrom") or {}):
        yield from runs_in(f"{source.get('uri', '')}/")
        if "run" in source:
            yield f"{namespace}/{source['run']}-"
