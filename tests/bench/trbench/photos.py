"""Write labelled photos into one folder, as the tutorial expects them: copies of BCCD, or of drawn photos of its size.

Invariant: each image has different bytes, in a comment that decoders ignore, and its XML file names it.
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
"""Number of drawn photos, the same as in BCCD."""
_FILENAME = re.compile(rb"<filename>[^<]*</filename>")
_CORNER = re.compile(rb"<(xmin|xmax|ymin|ymax|width|height)>(\d+)<")


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos in a folder: `what` describes them for people, `size` is in bytes and includes the XML files."""

    folder: Path
    classes: tuple[str, ...]
    images: int
    size: int
    what: str


def write_photos(times: int, folder: Path) -> Photos:
    """Write each photo with its XML file so many times into a folder."""
    real = BCCD.is_dir()
    images = size = 0
    for stem, image, xml in originals():
        for copy in range(times):
            name = f"{stem}-{copy:03d}"
            named = _FILENAME.sub(f"<filename>{name}.jpg</filename>".encode(), xml)
            size += (folder / f"{name}.jpg").write_bytes(marked(image, name))
            size += (folder / f"{name}.xml").write_bytes(named)
            images += 1
    what = f"{'BCCD' if real else f'{DRAWN} drawn photos (no BCCD at {BCCD})'} {times} times"
    return Photos(folder, CLASSES if real else ("tire",), images, size, what)


def marked(jpeg: bytes, mark: str) -> bytes:
    """Insert a comment at the start of a JPEG; its end stays as it is."""
    comment = mark.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def originals() -> Iterator[tuple[str, bytes, bytes]]:
    """The name, the JPEG and the XML of each photo; all have 640 x 480 pixels."""
    yield from _bccd() if BCCD.is_dir() else _drawn()


def _bccd() -> Iterator[tuple[str, bytes, bytes]]:
    for path in sorted((BCCD / "JPEGImages").glob("*.jpg")):
        yield path.stem, path.read_bytes(), (BCCD / "Annotations" / f"{path.stem}.xml").read_bytes()


def _drawn() -> Iterator[tuple[str, bytes, bytes]]:
    for photo in draw_set(DRAWN, seed=1, prefix="drawn"):
        yield Path(photo.name).stem, *enlarged(photo, width=640)


def enlarged(photo: Photo, *, width: int) -> tuple[bytes, bytes]:
    """Scale a photo and its boxes; returns JPEG and XML. With a width of 640, images are as large as those of BCCD."""
    scale = width / SIZE[0]
    out = io.BytesIO()
    with Image.open(io.BytesIO(photo.jpeg)) as image:
        image.resize((width, round(SIZE[1] * scale))).save(out, "JPEG", quality=85)
    return out.getvalue(), _CORNER.sub(lambda found: b"<%s>%d<" % (found[1], round(int(found[2]) * scale)), photo.xml)
