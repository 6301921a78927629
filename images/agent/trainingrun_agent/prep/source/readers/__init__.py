"""Readers of label formats, one file each, into one canonical form.

Invariant: FORMATS has every value of spec.dataset.train.format and .eval.format but `auto`.
"""

from trainingrun_agent.prep.source.readers import (
    box_csv,
    coco,
    createml,
    cvat,
    label_studio,
    labelme,
    open_images,
    pascal_voc,
    tutorial_csv,
    via,
    yolo,
)
from trainingrun_agent.prep.source.readers.base import Context, FileFormat, Format, LabelFile, SetFormat

PASCAL_VOC = pascal_voc.FORMAT
FORMATS: dict[str, Format] = {
    format_.name: format_
    for format_ in (
        PASCAL_VOC,
        tutorial_csv.FORMAT,
        coco.FORMAT,
        yolo.FORMAT,
        cvat.FORMAT,
        labelme.FORMAT,
        via.FORMAT,
        label_studio.FORMAT,
        open_images.FORMAT,
        createml.FORMAT,
        box_csv.FORMAT,
    )
}

__all__ = ["FORMATS", "PASCAL_VOC", "Context", "FileFormat", "Format", "LabelFile", "SetFormat"]
