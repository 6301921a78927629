"""Uploads the exporter's files.

Invariant: only files that the contract names are uploaded, regular files of bounded size and number. An export without
frozen graph, SavedModel, checkpoint or metrics is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from trainingrun_agent.errors import StageError
from trainingrun_agent.reasons.pods import EXPORT_INCOMPLETE
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import ManifestObject
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.parallel import Transfers


@dataclass(frozen=True)
class _Rule:
    """The files of one role in one folder of export/: at most `count`, each of at most `max_bytes`."""

    role: str
    folder: str
    name: re.Pattern[str]
    max_bytes: int
    count: int = 1
    required: bool = True


_GRAPH = 8 << 30
_TEXT = 8 << 20
_PICTURE = re.compile(r"(\d{1,4}|\d{3}-[A-Za-z0-9._-]{0,80})\.png")
RULES = (
    _Rule("frozenGraph", "", re.compile(r"frozen_inference_graph\.pb"), _GRAPH),
    _Rule("savedModel", "saved_model/1", re.compile(r"saved_model\.pb"), _GRAPH),
    _Rule(
        "savedModel",
        "saved_model/1/variables",
        re.compile(r"variables\.(index|data-\d{5}-of-\d{5})"),
        _GRAPH,
        count=66,
        required=False,
    ),
    _Rule("checkpoint", "checkpoint", re.compile(r"model\.ckpt\.(index|data-\d{5}-of-\d{5})"), _GRAPH, count=66),
    _Rule("pipelineConfig", "", re.compile(r"pipeline\.config"), _TEXT),
    _Rule("labelMap", "", re.compile(r"label_map\.pbtxt"), _TEXT),
    _Rule("metrics", "", re.compile(r"metrics\.json"), _TEXT),
    # Trainer images of earlier releases write no README.md, and name pictures by their number alone.
    _Rule("readme", "", re.compile(r"README\.md"), _TEXT, required=False),
    _Rule("picture", "pictures", _PICTURE, 64 << 20, count=64, required=False),
)


@dataclass(frozen=True)
class _Found:
    path: PurePosixPath
    size: int
    rule: _Rule


def ship_export(store: ObjectStore, target: str, shared: Folder, meter: Meter) -> tuple[ManifestObject, ...]:
    """Upload to the folder `target`; returns the entries of its manifest. Raises StageError ExportIncomplete."""
    with shared.sub(names.EXPORT) as export:
        found = [file for rule in RULES for file in _find(export, rule)]
        meter.expect(sum(file.size for file in found))
        with Transfers(meter) as transfers:
            uploads = [
                transfers.start(partial(_upload, store, target, export, file=file, meter=meter)) for file in found
            ]
    return tuple(each.result() for each in uploads)


def _find(export: Folder, rule: _Rule) -> list[_Found]:
    parent = PurePosixPath(rule.folder)
    try:
        with export.walk(*parent.parts) as folder:
            names = [name for name in folder.names() if rule.name.fullmatch(name)][: rule.count]
            found = [_Found(parent / name, _size(folder, name, rule), rule) for name in names]
    except FileNotFoundError:
        found = []
    except UnsafeFileError as error:
        raise _incomplete(str(error)) from error
    if rule.required and not found:
        raise _incomplete(f"export/{parent / rule.name.pattern} is missing")
    return found


def _size(folder: Folder, name: str, rule: _Rule) -> int:
    with folder.reading(name, max_bytes=rule.max_bytes) as (_, size):
        return size


def _upload(store: ObjectStore, target: str, export: Folder, *, file: _Found, meter: Meter) -> ManifestObject:
    with (
        export.walk(*file.path.parent.parts) as folder,
        folder.reading(file.path.name, max_bytes=file.rule.max_bytes) as (source, _),
    ):
        sha256 = store.upload(f"{target}/{file.path}", source, size=file.size, on_bytes=meter.moved)
    return ManifestObject(str(file.path), file.size, sha256, file.rule.role)


def _incomplete(what: str) -> StageError:
    return StageError(EXPORT_INCOMPLETE, problem=what, container="exporter")
