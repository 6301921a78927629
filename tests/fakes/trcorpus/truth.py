"""What the labels of public data sets say, read a second time: with the standard library, and no code of the product.

Each function takes the folder of a set and returns its boxes by image: `{"images/a.jpg": [("cat", 1, 2, 30, 40)]}`, in
pixels from the left and the top. An image without objects has an empty list. The functions believe the labels.
"""

from __future__ import annotations

import csv
import json
import math
import posixpath
import re
import struct
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Box = tuple[str, float, float, float, float]
Corners = tuple[float, float, float, float]
Truth = dict[str, list[Box]]

IMAGES = {".jpg", ".jpeg", ".png"}


def size_of(path: Path) -> tuple[int, int]:
    """Width and height from the head of a PNG or JPEG file."""
    data = path.read_bytes()
    if data.startswith(b"\x89PNG"):
        return struct.unpack(">II", data[16:24])
    at = 2
    while True:
        marker, length = struct.unpack(">xBH", data[at : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length


def pictures(folder: Path, inside: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((folder / inside).iterdir()):
        if path.suffix.lower() in IMAGES:
            yield path.relative_to(folder).as_posix(), path


def voc(folder: Path, images: str, labels: str) -> Truth:
    """One XML file per image, with the image's name up to the suffix."""
    truth: Truth = {}
    for name, path in pictures(folder, images):
        file = folder / labels / f"{path.stem}.xml"
        if file.exists():
            truth[name] = [_voc_box(item) for item in _xml(file).iter("object")]
    return truth


def _xml(file: Path) -> ET.Element:
    return ET.parse(file).getroot()  # noqa: S314 (of a pinned commit)


def _voc_box(item: ET.Element) -> Box:
    name = (item.findtext("name") or "").strip()
    rotated = item.find("robndbox")
    if rotated is not None:
        cx, cy, width, height, angle = (float(rotated.findtext(key, "")) for key in ("cx", "cy", "w", "h", "angle"))
        half_width = (abs(width * math.cos(angle)) + abs(height * math.sin(angle))) / 2
        half_height = (abs(width * math.sin(angle)) + abs(height * math.cos(angle))) / 2
        return name, cx - half_width, cy - half_height, cx + half_width, cy + half_height
    left, top, right, bottom = (float(item.findtext(f"bndbox/{key}", "")) for key in ("xmin", "ymin", "xmax", "ymax"))
    return name, left, top, right, bottom


def retinanet(folder: Path, file: str, images: str) -> Truth:
    """A CSV file with a row per box: image, corners, class; the first row may be a header."""
    truth: Truth = defaultdict(list)
    with (folder / file).open(encoding="utf-8", newline="") as lines:
        for image, left, top, right, bottom, name in csv.reader(lines):
            if left.isdigit():
                truth[images + image].append((name, float(left), float(top), float(right), float(bottom)))
    return _there(folder, truth)


def coco(folder: Path, file: str, images: str) -> Truth:
    document = json.loads((folder / file).read_text(encoding="utf-8"))
    names = {item["id"]: item["name"] for item in document["categories"]}
    files = {item["id"]: images + item["file_name"] for item in document["images"]}
    truth: Truth = {name: [] for name in files.values()}
    for item in document["annotations"]:
        left, top, width, height = item["bbox"]
        truth[files[item["image_id"]]].append((names[item["category_id"]], left, top, left + width, top + height))
    return _there(folder, truth)


def yolo(folder: Path, images: str, labels: str, names: str) -> Truth:
    """One text file per image: class id, centre and size as shares of the image; or a polygon. `names` is a file."""
    return _yolo(folder, images, labels, names, _yolo_corners)


def pose(folder: Path, images: str, labels: str, names: str) -> Truth:
    """The same with key points after the box."""
    return _yolo(folder, images, labels, names, lambda values: _yolo_corners(values[:4]))


def _yolo(folder: Path, images: str, labels: str, names: str, corners: Callable[[list[float]], Corners]) -> Truth:
    classes = _class_names(folder / names)
    truth: Truth = {}
    for name, path in pictures(folder, images):
        file = folder / labels / f"{path.stem}.txt"
        if not file.exists():
            continue
        width, height = size_of(path)
        truth[name] = []
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.split():
                number, *values = line.split()
                left, top, right, bottom = corners([float(value) for value in values])
                truth[name].append((classes[int(number)], left * width, top * height, right * width, bottom * height))
    return truth


def _class_names(file: Path) -> list[str]:
    """A name per line; or, in YAML, lines such as `  0: person`, or `names: ['a', 'b']`."""
    lines = file.read_text(encoding="utf-8").splitlines()
    if file.suffix != ".yaml":
        return lines
    numbered = [line.split(": ", 1)[1] for line in lines if line.strip()[:1].isdigit()]
    return numbered or next(re.findall(r"'([^']*)'", line) for line in lines if line.startswith("names:"))


def _yolo_corners(values: list[float]) -> Corners:
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return _hull(values[0::2], values[1::2])


def _hull(xs: Iterable[float], ys: Iterable[float]) -> Corners:
    xs, ys = list(xs), list(ys)
    return min(xs), min(ys), max(xs), max(ys)


def createml(folder: Path, file: str, images: str) -> Truth:
    truth: Truth = {}
    for item in json.loads((folder / file).read_text(encoding="utf-8")):
        boxes: list[Box] = []
        for annotation in item["annotations"]:
            at = annotation["coordinates"]
            half_width, half_height = at["width"] / 2, at["height"] / 2
            x, y = at["x"], at["y"]
            boxes.append((annotation["label"], x - half_width, y - half_height, x + half_width, y + half_height))
        truth[images + item["image"]] = boxes
    return truth


def via(folder: Path, file: str, images: str, attribute: str, one: str) -> Truth:
    """VGG Image Annotator; `one` is the class of the regions that do not have the attribute."""
    document = json.loads((folder / file).read_text(encoding="utf-8"))
    truth: Truth = {}
    for item in document.get("_via_img_metadata", document).values():
        regions = item["regions"]
        boxes: list[Box] = []
        for region in regions.values() if isinstance(regions, dict) else regions:
            label = region["region_attributes"].get(attribute, one)
            boxes.append((label, *_via_corners(region["shape_attributes"])))
        truth[images + item["filename"]] = boxes
    return _there(folder, truth)


def _via_corners(shape: dict[str, object]) -> Corners:
    values = {key: float(value) for key, value in shape.items() if isinstance(value, int | float)}
    if shape["name"] == "rect":
        return values["x"], values["y"], values["x"] + values["width"], values["y"] + values["height"]
    if shape["name"] in ("circle", "ellipse"):
        rx, ry = values.get("rx", values.get("r", 0)), values.get("ry", values.get("r", 0))
        return values["cx"] - rx, values["cy"] - ry, values["cx"] + rx, values["cy"] + ry
    return _hull(shape["all_points_x"], shape["all_points_y"])  # type: ignore[arg-type]


def labelme(folder: Path, labels: str) -> Truth:
    """LabelMe: polygons with one group_id and label are one object, as in its examples/instance_segmentation."""
    truth: Truth = {}
    for file in sorted((folder / labels).glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        image = posixpath.normpath(labels + document["imagePath"].replace("\\", "/"))
        objects: dict[object, list[dict[str, Any]]] = {}
        for at, shape in enumerate(document["shapes"]):
            part = shape.get("group_id") is not None and shape["shape_type"] == "polygon"
            objects.setdefault((shape["group_id"], shape["label"]) if part else at, []).append(shape)
        truth[image] = [(shapes[0]["label"], *_around(map(_labelme_corners, shapes))) for shapes in objects.values()]
    return truth


def _around(boxes: Iterable[Corners]) -> Corners:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _labelme_corners(shape: dict[str, object]) -> Corners:
    points: list[list[float]] = shape["points"]  # type: ignore[assignment]
    if shape["shape_type"] == "circle":
        (x, y), (at_x, at_y) = points
        radius = math.hypot(x - at_x, y - at_y)
        return x - radius, y - radius, x + radius, y + radius
    return _hull((x for x, _ in points), (y for _, y in points))


def labelme3(folder: Path, labels: str) -> Truth:
    """LabelMe of the MIT: XML with a polygon per object, or a mask with a box around it."""
    truth: Truth = {}
    for file in sorted((folder / labels).glob("*.xml")):
        root = _xml(file)
        boxes: list[Box] = []
        for item in root.iter("object"):
            xs = _numbers(item, "polygon/pt/x", "segm/box/xmin", "segm/box/xmax")
            ys = _numbers(item, "polygon/pt/y", "segm/box/ymin", "segm/box/ymax")
            boxes.append((item.findtext("name", ""), *_hull(xs, ys)))
        truth[(Path(labels) / root.findtext("filename", "")).as_posix()] = boxes
    return truth


def _numbers(item: ET.Element, *paths: str) -> list[float]:
    return [float(found.text or "") for path in paths for found in item.findall(path)]


def cvat(folder: Path, file: str, images: str) -> Truth:
    """CVAT for images: boxes, and what surrounds other shapes."""
    truth: Truth = {}
    for image in _xml(folder / file).iter("image"):
        truth[images + image.get("name", "")] = [
            (shape.get("label", ""), *corners) for shape in image if (corners := _cvat_corners(shape))
        ]
    return _there(folder, truth)


def _cvat_corners(shape: ET.Element) -> Corners | None:
    def numbers(*keys: str) -> list[float]:
        return [float(shape.get(key, "")) for key in keys]

    if shape.tag == "box":
        left, top, right, bottom = numbers("xtl", "ytl", "xbr", "ybr")
        return left, top, right, bottom
    if shape.tag == "ellipse":
        x, y, rx, ry = numbers("cx", "cy", "rx", "ry")
        return x - rx, y - ry, x + rx, y + ry
    if shape.tag in ("polygon", "polyline"):
        points = [point.split(",") for point in shape.get("points", "").split(";")]
        return _hull((float(x) for x, _ in points), (float(y) for _, y in points))
    return None


def _there(folder: Path, truth: Truth) -> Truth:
    """Without the images that the labels list and the authors did not publish."""
    return {name: boxes for name, boxes in truth.items() if (folder / name).exists()}


READERS: dict[str, Callable[..., Truth]] = {
    reader.__name__: reader for reader in (voc, retinanet, coco, yolo, pose, createml, via, labelme, labelme3, cvat)
}
