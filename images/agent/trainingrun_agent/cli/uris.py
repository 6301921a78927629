"""The uris of a TrainingRun for the folders of a command.

Invariant: folders keep their places relative to each other, and to what belongs to them, as they do when the folder
above them is uploaded.
"""

from __future__ import annotations

import os
import re
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath

from trainingrun_agent.cli.folders import Folders
from trainingrun_agent.cli.options import InBucket
from trainingrun_agent.config import Uri
from trainingrun_agent.prep.report.dataset_yaml import PLACEHOLDER
from trainingrun_agent.prep.source.split_names import splits_of

_ONE_WORD = re.compile(r"[A-Za-z]+\d*")
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

    def upload(self) -> tuple[str, str]:
        """The local folder to upload, and where to."""
        start, _ = self._start()
        return str(start), self.of(Uri(str(start), ""))

    def _start(self) -> tuple[Path, str]:
        """A local folder, and its key."""
        if self.arguments.uri is not None:
            return local(self.data.train), self.arguments.uri.key
        paths = [path.resolve() for path in self.data.paths]
        top = Path(os.path.commonpath(Path(*path.parts[: max(2, len(path.parts) - self.levels)]) for path in paths))
        divided = len(paths) > 1
        while len(top.parts) > 2 and (_is_split(top.name) or (divided and top.name.casefold() in _IMAGES)):
            top, divided = top.parent, True
        return top, top.name


def _is_split(name: str) -> bool:
    """Whether a name says a split and nothing else, such as `train2017`."""
    return bool(splits_of(name)) and _ONE_WORD.fullmatch(name) is not None


def local(folder: Uri) -> Path:
    """The path of a local folder."""
    return Path(folder.bucket, folder.key).resolve()
