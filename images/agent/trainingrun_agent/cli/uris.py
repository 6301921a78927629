"""The uris of a TrainingRun for the folders of a command.

Invariant: folders keep their places relative to each other, and to what belongs to them, as they do when the folder
above them is uploaded.
"""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath

from trainingrun_agent.cli.folders import Folders
from trainingrun_agent.cli.options import InBucket
from trainingrun_agent.prep.report.dataset_yaml import PLACEHOLDER
from trainingrun_agent.prep.source.split_names import is_plain
from trainingrun_agent.training_settings import Uri

_IMAGES = ("images", "image", "imgs", "img", "jpegimages")


@dataclass(frozen=True)
class Uris:
    """Addresses in the bucket; `levels` is how many folders above one of the data its labels were found."""

    arguments: Namespace
    data: Folders
    levels: int = 0

    @property
    def bucket(self) -> str:
        """The bucket that the run writes to: that of --bucket, else the one with the images, else a placeholder."""
        if self.arguments.bucket:
            return str(self.arguments.bucket)
        if self.data.in_bucket:
            return self.data.train.bucket
        return self.arguments.uri.bucket if self.arguments.uri else PLACEHOLDER

    def of(self, folder: Uri) -> str:
        """Where a folder is, or will be once it is uploaded."""
        if self.data.in_bucket:
            return str(folder)
        start, key = self._start()
        bucket = self.arguments.uri.bucket if self.arguments.uri else self.bucket
        path = os.path.relpath(local(folder), start)
        # A path that leads out of the bucket starts at its root.
        found = normpath(f"/{key}/{Path(path).as_posix()}").lstrip("/")
        return str(InBucket(bucket, f"{found}/" if found else ""))

    @property
    def together(self) -> bool:
        """Whether all of the data can be uploaded as one folder: --uri has the same names as the folders."""
        (start, key), top = self._start(), self._top()
        below = start.parts[len(top.parts) :]
        return not below or PurePosixPath(key).parts[-len(below) :] == below

    def uploads(self) -> list[tuple[str, str]]:
        """The local folders to upload, and where to."""
        folders = [self._top()] if self.together else self.data.paths
        return [(str(path), self.of(Uri(str(path), ""))) for path in folders]

    def _start(self) -> tuple[Path, str]:
        """A local folder, and its key."""
        if self.arguments.uri is not None:
            return self.arguments.folder.resolve(), self.arguments.uri.key
        return self._top(), self._top().name

    def _top(self) -> Path:
        """The local folder that has all of the data."""
        paths = [path.resolve() for path in self.data.paths]
        top = Path(os.path.commonpath(Path(*path.parts[: max(2, len(path.parts) - self.levels)]) for path in paths))
        divided = len(paths) > 1
        while len(top.parts) > 2 and (is_plain(top.name) or (divided and top.name.casefold() in _IMAGES)):
            top, divided = top.parent, True
        return top


def local(folder: Uri) -> Path:
    """The path of a local folder."""
    return Path(folder.bucket, folder.key).resolve()
