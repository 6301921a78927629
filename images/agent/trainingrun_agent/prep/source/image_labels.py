"""The labels of one image, read or not, in any format."""

from __future__ import annotations

from typing import NamedTuple

from trainingrun_agent.prep.model.annotation import Annotation, UnusableError
from trainingrun_agent.prep.source.fetch import Unread
from trainingrun_agent.prep.source.readers import FORMATS, Context, FileFormat, LabelFile
from trainingrun_agent.prep.source.readers.values import check_count

ImageLabels = LabelFile | Annotation | UnusableError
"""An image's labels: its label file, the entry of a file for many images, or why there are none."""


class UnreadLabels(NamedTuple):
    """The label file of an image that is still to be read, and what its reader is told."""

    file: Unread
    context: Context

    def read(self) -> LabelFile:
        """Read the file. Raises UnusableError, and what storage raises."""
        return LabelFile(self.file.read(), self.context)


def annotation_of(labels: ImageLabels, format_: str) -> Annotation:
    """Parse labels; `format_` is that of a label file. Raises UnusableError."""
    if isinstance(labels, UnusableError):
        raise labels
    if isinstance(labels, Annotation):
        return labels
    reader = FORMATS[format_]
    assert isinstance(reader, FileFormat)
    made = reader.read(*labels)
    check_count(made.objects)  # readers check it before they make the objects, but not all can
    return made
