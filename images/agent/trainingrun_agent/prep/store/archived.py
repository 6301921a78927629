"""Files of a data set that were in an archive of the storage when it was prepared, and whether they still are.

Invariant: a data set that was prepared without them is not used again once one of them can be read. A listing does not
tell: an object that was restored is listed as before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.log import logger
from trainingrun_agent.prep.model.codes.image_files import OBJECT_ARCHIVED
from trainingrun_agent.prep.model.findings import Findings, Split
from trainingrun_agent.prep.source.labels import Origin
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder

MAX_ASKED: Final = 100
"""Archived files that are asked for again, the first of them: who restores a data set restores them all."""
ARCHIVED: Final = "archived"
"""What the manifest calls them: lists of split and path."""


def archived(findings: Findings) -> dict[str, list[list[str]]]:
    """What the manifest says of files that were archived; nothing where there are none."""
    found = [[finding.split, finding.file] for finding in findings.kept(OBJECT_ARCHIVED)[:MAX_ASKED]]
    return {ARCHIVED: found} if found else {}


def without_restored(
    folder: DatasetFolder, dataset: Mapping[str, Any], origins: Mapping[Split, Origin]
) -> DatasetFolder:
    """The folder itself, or the one for the data set with those of its archived files that can be read now."""
    restored = [file for file in dataset.get(ARCHIVED, ()) if _can_be_read(file, origins)]
    if not restored:
        return folder
    logger.info("preparing again: %d files of the data set were restored from an archive", len(restored))
    digest = hashlib.sha256(json.dumps([folder.digest, restored]).encode()).hexdigest()
    return replace(folder, digest=digest)


def _can_be_read(file: Sequence[str], origins: Mapping[Split, Origin]) -> bool:
    split, path = file
    origin = origins["eval" if split == "eval" and "eval" in origins else "train"]
    elsewhere = origin.labels.shown and path.startswith(origin.labels.shown)
    place = origin.labels if elsewhere else origin.images
    try:
        place.store.get_range(place.key_of(path), start=0, length=1)
    except StorageRefused:  # archived, or no longer to be read at all
        return False
    return True
