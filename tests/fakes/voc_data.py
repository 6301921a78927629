"""Generate images and PascalVOC files, so that tests need no binary fixtures."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image

Box = tuple[Any, Any, Any, Any]
WIDTH, HEIGHT = 160, 120
PLAIN = "<pose></pose><truncated>0</truncated><difficult>0</difficult>"


def picture(width: int = WIDTH, height: int = HEIGHT, *, mode: str = "RGB", seed: object = 0) -> Image.Image:
    """An image of coarse coloured noise, which compresses well and depends on the seed."""
    noise = hashlib.shake_128(str(seed).encode()).digest(8 * 6 * 3)
    return Image.frombytes("RGB", (8, 6), noise).resize((width, height)).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Encode an image in a file format."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(width: int = WIDTH, height: int = HEIGHT, *, seed: object = 0) -> bytes:
    """A valid JPEG file."""
    return encoded(picture(width, height, seed=seed))


def labelled(name: str = "tire", box: Box = (10, 20, 60, 80), extra: str = PLAIN) -> str:
    """One <object>; `extra` is the XML between its name and its box."""
    corners = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{escape(name)}</name>{extra}<bndbox>{corners}</bndbox></object>"


def voc(
    objects: Sequence[str] = (labelled(),),
    *,
    filename: str = "image.jpg",
    size: tuple[int, int] | None = (WIDTH, HEIGHT),
    head: str = "",
) -> bytes:
    """A PascalVOC file as LabelImg writes it; without <size> when `size` is None."""
    sizes = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    source = f"<path>/f/{escape(filename)}</path><source><database>Unknown</database></source>"
    front = f"<folder>f</folder><filename>{escape(filename)}</filename>{source}{sizes}<segmented>0</segmented>"
    body = f"{front}{''.join(objects)}"
    return f"{head}<annotation>{body}</annotation>".encode()
