"""Label files with one image, for formats that keep all images in one file, and a function that reads them."""

from __future__ import annotations

import json
from typing import Any

from label_reading import Corners, Read, read_set

BOX = ("tire", (10.0, 20.0, 60.0, 40.0))
A = "a.jpg"
HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
ROW = "a.jpg,128,64,tire,10,20,60,40\n"


def read(name: str, *files: Any, classes: tuple[str, ...] = ("tire", "winter hub")) -> Read:
    """Read files of a format, given as bytes, as text, or as objects that become JSON."""
    data = [
        file if isinstance(file, bytes) else (file if isinstance(file, str) else json.dumps(file)).encode()
        for file in files
    ]
    return read_set(name, *data, classes=classes)


def coco(*annotations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A COCO document with one image."""
    image = {"id": 7, "file_name": A, "width": 128, "height": 64, **changes.pop("image", {})}
    return {
        "images": [image],
        "annotations": [{"image_id": 7, "category_id": 90, **annotation} for annotation in annotations],
        "categories": [{"id": 90, "name": "tire"}, {"id": 3, "name": "winter hub"}],
        **changes,
    }


def cvat(*shapes: str, image: str = 'name="a.jpg" width="128" height="64"', around: str = "{}") -> str:
    """A CVAT document with one image."""
    return around.format(
        f"<annotations><version>1.1</version><image id='0' {image}>{''.join(shapes)}</image></annotations>"
    )


def via(*regions: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """A VIA 2 document with one image."""
    named = attributes or {"part": "tire"}
    listed = [{"shape_attributes": region, "region_attributes": named} for region in regions]
    return {"a.jpg1": {"filename": A, "size": 1, "regions": listed}}


def task(*results: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """A Label Studio export with one task."""
    sized = [{"original_width": 128, "original_height": 64, "id": "r", **result} for result in results]
    return [{"data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"}, "annotations": [{"result": sized}], **changes}]


def drawn(kind: str = "rectanglelabels", labels: Any = ("tire",), **value: Any) -> dict[str, Any]:
    """A region in Label Studio's format."""
    return {"type": kind, "value": {**value, kind: labels}}


OPEN = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
SHARES: Corners = (10 / 128, 20 / 64, 60 / 128, 40 / 64)
XYWH = {"x": 100 * SHARES[0], "y": 100 * SHARES[1], "width": 100 * 50 / 128, "height": 100 * 20 / 64}
RECT = {"name": "rect", "x": 10, "y": 20, "width": 50, "height": 20}
CVAT_BOX = '<box label="tire" xtl="10" ytl="20" xbr="60" ybr="40"/>'
CVAT_VIDEO = (
    "<annotations><meta><start_frame>0</start_frame><stop_frame>3</stop_frame><frame_filter>step=1</frame_filter></meta>"
    '<track label="tire"><box frame="0" xtl="1" ytl="2" xbr="9" ybr="8"/>'
    '<box frame="2" outside="1" xtl="3" ytl="2" xbr="9" ybr="8"/></track></annotations>'
)
SUPERVISELY_MASK = (
    "eJzrDPBz5+WS4mJgYOD19HAJAtJGQCzCCCQYnm8MNgdS/J4ujiEVt5J/8DPyNE9hY5ie2l2aY71DHqTE09XPZZ1TQhMA/YQQyg=="
)
SUPERVISELY: dict[str, Any] = {
    "size": {"height": 64, "width": 128},
    "tags": [],
    "objects": [
        {
            "classTitle": "tire",
            "geometryType": "rectangle",
            "points": {"exterior": [[10, 20], [60, 40]], "interior": []},
        },
        {"classTitle": "tire", "geometryType": "bitmap", "bitmap": {"origin": [10, 20], "data": SUPERVISELY_MASK}},
    ],
}
"""A file of Supervisely with a box and a mask."""
