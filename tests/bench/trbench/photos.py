"""Labelled photos in one folder, as the tutorial has them: BCCD as often as asked for, or drawn ones of like size.

Invariant: every image has bytes of its own, in a comment that no decoder heeds, and its XML names it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trdemo.tires import SIZE, Photo, draw_set
from trimages.paths import REPOSITORY

BCCD = Path(os.environ.get("TRAININGRUN_BCCD", REPOSITORY.parent / "shared" / "data" / "bccd"))
CLASSES = ("RBC", "WBC", "Platelets")
DRAWN = 364
"""As many as BCCD has."""
_FILENAME = re.compile(rb"<filename>[^<]*</filename>")
_CORNER = re.compile(rb"<(xmin|xmax|ymin|ymax|width|height)>(\d+)<")


@dataclass(frozen=True, slots=True)
class Photos:
    """`what` they are, for people; `size` in bytes, XML included."""

    folder: Path
    classes: tuple[str, ...]
    images: int
    size: int
    what: str


def write_photos(times: int, folder: Path) -> Photos:
    """Write images and XML files side by side."""
    real = BCCD.is_dir()
    images = size = 0
    for stem, image, xml in _bccd() if real else _drawn():
        for copy in range(times):
            name = f"{stem}-{copy:03d}"
            named = _FILENAME.sub(f"<filename>{name}.jpg</filename>".encode(), xml)
            size += (folder / f"{name}.jpg").write_bytes(marked(image, name))
            size += (folder / f"{name}.xml").write_bytes(named)
            images += 1
    what = f"{'BCCD' if real else f'{DRAWN} drawn photos (no BCCD at {BCCD})'} {times} times over"
    return Photos(folder, CLASSES if real else ("tire",), images, size, what)


def marked(jpeg: bytes, mark: str) -> bytes:
    """The same picture with a comment of its own, in front, so that it ends as JPEG files do."""
    comment = mark.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def _bccd() -> Iterator[tuple[str, bytes, bytes]]:
    for path in sorted((BCCD / "JPEGImages").glob("*.jpg")):
        yield path.stem, path.read_bytes(), (BCCD / "Annotations" / f"{path.stem}.xml").read_bytes()


def _drawn() -> Iterator[tuple[str, bytes, bytes]]:
    for photo in draw_set(DRAWN, seed=1, prefix="drawn"):
        yield Path(photo.name).stem, *enlarged(photo, width=640)


def enlarged(photo: Photo, *, width: int) -> tuple[bytes, bytes]:
    """JPEG and XML; 640 pixels make it as large as an image of BCCD, about in bytes too."""
    scale = width / SIZE[0]
    out = io.BytesIO()
    with Image.open(io.BytesIO(photo.jpeg)) as image:
        image.resize((width, round(SIZE[1] * scale))).save(out, "JPEG", quality=85)
    return out.getvalue(), _CORNER.sub(lambda found: b"<%s>%d<" % (found[1], round(int(found[2]) * scale)), photo.xml)
