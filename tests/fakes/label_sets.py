"""One small set of pictures with labels in every format that preparation reads; all files are generated.

Sides are powers of two, so relative coordinates are exact and every format holds the same numbers.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from voc_data import jpeg, labelled, voc

Box = tuple[str, int, int, int, int]
CLASSES = ("tire", "winter hub")
WIDTH, HEIGHT = 128, 64
_VIA_HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
Files = dict[str, bytes]


@dataclass(frozen=True)
class Photo:
    """A picture; boxes are class, xmin, ymin, xmax, ymax in pixels."""

    name: str
    boxes: tuple[Box, ...]

    @property
    def stem(self) -> str:
        """File name without suffix."""
        return self.name.rpartition(".")[0]


PHOTOS = (
    Photo("0001.jpg", (("tire", 10, 20, 60, 40),)),
    Photo("a b.jpg", (("tire", 0, 0, 128, 64), ("winter hub", 33, 7, 44, 30))),
    Photo("größe.1.JPG", (("winter hub", 1, 2, 33, 45),)),
    Photo("nothing.jpg", ()),
)


def images(photos: Sequence[Photo] = PHOTOS, *, split: str = "train") -> Files:
    """The image files; each split gets different ones."""
    return {photo.name: jpeg(WIDTH, HEIGHT, seed=f"{split}/{photo.name}") for photo in photos}


def _table(rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _document(value: Any) -> bytes:
    return json.dumps(value).encode()


def _shares(box: Box) -> tuple[float, float, float, float]:
    return box[1] / WIDTH, box[2] / HEIGHT, box[3] / WIDTH, box[4] / HEIGHT


def pascal_voc(photos: Sequence[Photo] = PHOTOS) -> Files:
    """PascalVOC: one XML file per picture."""
    return {
        f"{photo.stem}.xml": voc(
            [labelled(box[0], box[1:]) for box in photo.boxes], filename=photo.name, size=(WIDTH, HEIGHT)
        )
        for photo in photos
    }


def tutorial_csv(photos: Sequence[Photo] = PHOTOS) -> Files:
    """The table that xml_to_csv writes, plus a line for each picture without objects."""
    rows: list[Sequence[object]] = [("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")]
    for photo in photos:
        rows += [(photo.name, WIDTH, HEIGHT, *box) for box in photo.boxes]
        rows += [] if photo.boxes else [(photo.name, WIDTH, HEIGHT, "", "", "", "", "")]
    return {"train_labels.csv": _table(rows)}


def coco_document(photos: Sequence[Photo] = PHOTOS) -> dict[str, Any]:
    """A COCO document whose ids start at different numbers and have gaps."""
    ids = {name: 90 - 7 * number for number, name in enumerate(CLASSES)}
    boxes = [(number, box) for number, photo in enumerate(photos) for box in photo.boxes]
    return {
        "info": {"description": "tires"},
        "images": [
            {"id": 1000 + 3 * number, "file_name": photo.name, "width": WIDTH, "height": HEIGHT}
            for number, photo in enumerate(photos)
        ],
        "annotations": [
            {
                "id": at,
                "image_id": 1000 + 3 * number,
                "category_id": ids[box[0]],
                "bbox": [box[1], box[2], box[3] - box[1], box[4] - box[2]],
                "segmentation": [[box[1], box[2], box[3], box[2], box[3], box[4]]],
                "iscrowd": 0,
            }
            for at, (number, box) in enumerate(boxes)
        ],
        "categories": [{"id": ident, "name": name, "supercategory": "part"} for name, ident in ids.items()],
    }


def coco(photos: Sequence[Photo] = PHOTOS) -> Files:
    """COCO: one JSON file."""
    return {"annotations.coco.json": _document(coco_document(photos))}


def yolo(photos: Sequence[Photo] = PHOTOS) -> Files:
    """YOLO: one text file per picture, empty if it has no objects, and the list of classes."""
    files = {"classes.txt": "".join(f"{name}\n" for name in CLASSES).encode()}
    for photo in photos:
        lines = []
        for box in photo.boxes:
            xmin, ymin, xmax, ymax = _shares(box)
            numbers = ((xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin)
            lines.append(" ".join(map(str, (CLASSES.index(box[0]), *numbers))))
        files[f"{photo.stem}.txt"] = "\n".join(lines).encode()
    return files


def cvat(photos: Sequence[Photo] = PHOTOS) -> Files:
    """CVAT: one XML file."""
    text = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta><task/></meta>\n'
    for number, photo in enumerate(photos):
        text += f'<image id="{number}" name={quoteattr(photo.name)} width="{WIDTH}" height="{HEIGHT}">\n'
        for name, xmin, ymin, xmax, ymax in photo.boxes:
            corners = f'xtl="{xmin}.00" ytl="{ymin}.00" xbr="{xmax}.00" ybr="{ymax}.00"'
            text += f'<box label={quoteattr(name)} source="manual" occluded="0" {corners} z_order="0">\n</box>\n'
        text += "</image>\n"
    return {"annotations.xml": (text + "</annotations>\n").encode()}


def labelme(photos: Sequence[Photo] = PHOTOS) -> Files:
    """LabelMe: one JSON file per picture, with corners in drawing order and the picture embedded."""
    return {
        f"{photo.stem}.json": _document(
            {
                "version": "5.4.1",
                "flags": {},
                "shapes": [
                    {"label": box[0], "points": [box[1:3], box[3:5]], "shape_type": "rectangle", "flags": {}}
                    for box in photo.boxes
                ],
                "imagePath": f"..\\pictures\\{photo.name}",
                "imageData": "QUJD" * 100,
                "imageHeight": HEIGHT,
                "imageWidth": WIDTH,
            }
        )
        for photo in photos
    }


def via_regions(photo: Photo) -> list[dict[str, Any]]:
    """Regions of a picture in the form of VIA 2."""
    return [
        {
            "shape_attributes": {
                "name": "rect",
                "x": box[1],
                "y": box[2],
                "width": box[3] - box[1],
                "height": box[4] - box[2],
            },
            "region_attributes": {"part": box[0]},
        }
        for box in photo.boxes
    ]


def via_2(photos: Sequence[Photo] = PHOTOS) -> Files:
    """VIA 2: a project file."""
    entries = {
        f"{photo.name}4711": {
            "filename": photo.name,
            "size": 4711,
            "regions": via_regions(photo),
            "file_attributes": {},
        }
        for photo in photos
    }
    return {"via_project.json": _document({"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": {}})}


def via_1(photos: Sequence[Photo] = PHOTOS) -> Files:
    """VIA 1: annotations whose regions are a dictionary."""
    return {
        "via_region_data.json": _document(
            {
                f"{photo.name}4711": {
                    "fileref": "",
                    "size": 4711,
                    "filename": photo.name,
                    "base64_img_data": "",
                    "regions": {str(at): region for at, region in enumerate(via_regions(photo))},
                }
                for photo in photos
            }
        )
    }


def via_csv(photos: Sequence[Photo] = PHOTOS) -> Files:
    """VIA: annotations as CSV with JSON in its cells."""
    rows: list[Sequence[object]] = [_VIA_HEADER.split(",")]
    for photo in photos:
        regions = via_regions(photo) or [{"shape_attributes": {}, "region_attributes": {}}]
        for at, region in enumerate(regions):
            cells = (json.dumps(region[key]) for key in ("shape_attributes", "region_attributes"))
            rows.append((photo.name, 4711, "{}", len(photo.boxes), at, *cells))
    return {"via_export.csv": _table(rows)}


def label_studio_tasks(photos: Sequence[Photo] = PHOTOS) -> list[dict[str, Any]]:
    """Label Studio tasks of uploaded pictures."""
    tasks = []
    for number, photo in enumerate(photos):
        results: list[dict[str, Any]] = []
        for box in photo.boxes:
            xmin, ymin, xmax, ymax = (100 * share for share in _shares(box))
            value = {"x": xmin, "y": ymin, "width": xmax - xmin, "height": ymax - ymin, "rotation": 0}
            results.append(
                {
                    "original_width": WIDTH,
                    "original_height": HEIGHT,
                    "image_rotation": 0,
                    "value": {**value, "rectanglelabels": [box[0]]},
                    "id": f"r{len(results)}",
                    "from_name": "label",
                    "to_name": "image",
                    "type": "rectanglelabels",
                }
            )
        tasks.append(
            {
                "id": number,
                "annotations": [{"id": number, "was_cancelled": False, "result": results}],
                "predictions": [],
                "file_upload": f"0a1b2c3d-{photo.name}",
                "data": {"image": f"/data/upload/1/0a1b2c3d-{photo.name}"},
            }
        )
    return tasks


def label_studio(photos: Sequence[Photo] = PHOTOS) -> Files:
    """Label Studio: an export of all tasks."""
    return {"project-1.json": _document(label_studio_tasks(photos))}


def label_studio_min(photos: Sequence[Photo] = PHOTOS) -> Files:
    """Label Studio: an export of all tasks as JSON-MIN."""
    rows = []
    for task in label_studio_tasks(photos):
        [annotation] = task["annotations"]
        rows.append(
            {
                "image": task["data"]["image"],
                "id": task["id"],
                "annotation_id": annotation["id"],
                "annotator": 1,
                "label": [
                    {
                        **part["value"],
                        "original_width": part["original_width"],
                        "original_height": part["original_height"],
                    }
                    for part in annotation["result"]
                ],
            }
        )
    return {"project-1-min.json": _document(rows)}


def open_images(photos: Sequence[Photo] = PHOTOS) -> Files:
    """Open Images: boxes by image id, including an image that is not in the set, and the class names."""
    header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction"
    mids = {name: f"/m/0{number}x" for number, name in enumerate(CLASSES)}
    rows: list[Sequence[object]] = [header.split(",")]
    for photo in photos:
        for box in photo.boxes:
            xmin, ymin, xmax, ymax = _shares(box)
            rows.append((photo.stem, "xclick", mids[box[0]], 1, xmin, xmax, ymin, ymax, 0, 0, 0, 0))
        rows += [] if photo.boxes else [(photo.stem,)]
    rows.append(("f00dfeed00000000", "xclick", "/m/0zzz", 1, 0.1, 0.2, 0.1, 0.2, 0, 0, 0, 0))
    return {
        "train-annotations-bbox.csv": _table(rows),
        "class-descriptions-boxable.csv": _table((mid, name) for name, mid in mids.items()),
    }


def create_ml(photos: Sequence[Photo] = PHOTOS) -> Files:
    """Create ML: an array of images, boxes by their centre."""
    entries = []
    for photo in photos:
        boxes = [
            {
                "label": name,
                "coordinates": {
                    "x": (xmin + xmax) / 2,
                    "y": (ymin + ymax) / 2,
                    "width": xmax - xmin,
                    "height": ymax - ymin,
                },
            }
            for name, xmin, ymin, xmax, ymax in photo.boxes
        ]
        entries.append({"image": photo.name, "annotations": boxes})
    return {"_annotations.createml.json": _document(entries)}


def box_csv(photos: Sequence[Photo] = PHOTOS) -> Files:
    """A table of boxes without the images' sizes."""
    rows: list[Sequence[object]] = [("image", "x1", "y1", "x2", "y2", "label")]
    for photo in photos:
        rows += [(photo.name, *box[1:], box[0]) for box in photo.boxes]
        rows += [] if photo.boxes else [(photo.name, "", "", "", "", "")]
    return {"annotations.csv": _table(rows)}


def retinanet_csv(photos: Sequence[Photo] = PHOTOS) -> Files:
    """The table of keras-retinanet, which has no header."""
    rows = list(csv.reader(io.StringIO(next(iter(box_csv(photos).values())).decode())))[1:]
    return {"annotations.csv": _table(rows)}


SETS: dict[str, tuple[str, Callable[..., Files]]] = {
    "pascalVOC": ("pascalVOC", pascal_voc),
    "tutorialCSV": ("tutorialCSV", tutorial_csv),
    "coco": ("coco", coco),
    "yolo": ("yolo", yolo),
    "cvat": ("cvat", cvat),
    "labelMe": ("labelMe", labelme),
    "via 2": ("via", via_2),
    "via 1": ("via", via_1),
    "via CSV": ("via", via_csv),
    "labelStudio": ("labelStudio", label_studio),
    "labelStudio MIN": ("labelStudio", label_studio_min),
    "openImages": ("openImages", open_images),
    "createML": ("createML", create_ml),
    "csv": ("csv", box_csv),
    "csv without header": ("csv", retinanet_csv),
}
"""By a readable name: the format, and the function that writes the label files."""
