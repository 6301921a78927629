"""The uris of a TrainingRun for the folders of a command.

Invariant: folders keep their places relative to each other, as they do when the folder above them is uploaded.
"""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from posixpath import normpath

from trainingrun_agent.cli.folders import Folders
from trainingrun_agent.cli.options import InBucket
from trainingrun_agent.config import Uri
from trainingrun_agent.prep.report.dataset_yaml import PLACEHOLDER


def bucket_of(arguments: Namespace, data: Folders) -> str:
    """The bucket that the run writes to: that of --bucket, else the one with the images, else a placeholder."""
    with_images = data.train.bucket if data.in_bucket else arguments.uri.bucket if arguments.uri else PLACEHOLDER
    return arguments.bucket or with_images


def uri_of(source: Uri, arguments: Namespace, data: Folders) -> str:
    """Where a source is, or will be once its folder is uploaded."""
    if data.in_bucket:
        return str(source)
    here = Path(source.bucket).resolve()
    if arguments.uri is not None:
        path = os.path.relpath(here, Path(data.train.bucket).resolve())
        return _uri(arguments.uri.bucket, arguments.uri.key, Path(path))
    above = Path(os.path.commonpath([path.resolve() for path in data.paths]))
    return _uri(bucket_of(arguments, data), above.name, here.relative_to(above))


def _uri(bucket: str, key: str, path: Path) -> str:
    """A folder by its path from a key; a path that leads out of the bucket starts at its root."""
    found = normpath(f"/{key}/{path.as_posix()}").lstrip("/")
    return str(InBucket(bucket, f"{found}/" if found else ""))
