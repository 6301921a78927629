"""Draws labelled boxes (green) and detections (orange, with their scores) on an image and saves it as PNG."""

import os
import re
from typing import Any, Dict, List, Tuple

from PIL import Image, ImageDraw, ImageFont

GROUND_TRUTH_COLOUR, DETECTION_COLOUR = (0, 150, 60), (255, 120, 0)
MIN_SIDE = 480  # pixels; smaller images are enlarged, so that captions do not overlap
CAPTION_HEIGHT, CHARACTER_WIDTH = 12, 6  # of Pillow's built-in font

MAX_NAME = 80

Box = List[float]


def file_name(number: int, photo: str) -> str:
    """The file name of the picture of a photo: its own name, in characters that are safe in paths and URLs."""
    stem = os.path.splitext(os.path.basename(photo))[0]
    return f"{number:03d}-{re.sub('[^A-Za-z0-9._-]', '_', stem)[:MAX_NAME]}.png"


def draw(
    image: Image.Image,
    ground_truth: List[Tuple[int, Box]],
    detections: List[Tuple[int, float, Box]],
    names: Dict[int, str],
    path: str,
) -> None:
    """Draw (class id, box) and (class id, score, box) on a copy of `image`; box coordinates are in 0..1."""
    scale = max(1, -(-MIN_SIDE // max(image.size)))
    bicubic = Image.BICUBIC  # type: ignore[attr-defined]  # its newer name needs Pillow 9.1, too new for Python 3.6
    canvas = image.resize((image.width * scale, image.height * scale), bicubic)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default()
    for class_id, box in ground_truth:
        name = names.get(class_id, str(class_id))
        _draw_box(pen, canvas.size, box, GROUND_TRUTH_COLOUR, name, font, below=True)
    for class_id, score, box in detections:
        name = names.get(class_id, str(class_id))
        _draw_box(pen, canvas.size, box, DETECTION_COLOUR, f"{name} {score:.2f}", font, below=False)
    canvas.save(path, "PNG")


def _draw_box(
    pen: ImageDraw.ImageDraw,
    size: Tuple[int, int],
    box: Box,
    colour: Tuple[int, int, int],
    caption: str,
    font: Any,
    below: bool,
) -> None:
    ymin, xmin, ymax, xmax = box
    left, top, right, bottom = xmin * size[0], ymin * size[1], xmax * size[0], ymax * size[1]
    for inset in range(2):
        pen.rectangle([left + inset, top + inset, right - inset, bottom - inset], outline=colour)
    caption = caption.encode("latin-1", "replace").decode("latin-1")  # the built-in font has no other characters
    width = CHARACTER_WIDTH * len(caption)
    y = min(bottom, size[1] - CAPTION_HEIGHT) if below else max(top - CAPTION_HEIGHT, 0)
    x = max(0, min(left, size[0] - width))
    pen.rectangle([x, y, x + width + 2, y + CAPTION_HEIGHT], fill=colour)
    pen.text((x + 1, y), caption, fill=(255, 255, 255), font=font)
