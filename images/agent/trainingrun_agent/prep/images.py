"""Image files: judged from the header, decoded to their last byte, turned into what TensorFlow 1.14 decodes.

Invariant: what leaves is a complete baseline-decodable RGB or gray JPEG; nothing is decoded whose size was
not checked before; pixels in memory at one time are bounded by the budget. Clean JPEG bytes stay as they are.
"""

from __future__ import annotations

import io
import warnings
from contextlib import closing
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from trainingrun_agent.prep.annotation import UnusableError
from trainingrun_agent.prep.budget import Budget

MAX_BYTES = 32 << 20
MAX_PIXELS = 100_000_000
MAX_DECODED_PIXELS = 20_000_000
"""After libjpeg's reduced-size decode; other formats have none."""
BYTES_PER_PIXEL = 8
"""Decoded and converted copy; Pillow keeps four bytes a pixel."""
COEFFICIENT_BYTES = 6
"""What libjpeg keeps per pixel of a progressive file, at its full size."""
MEMORY = MAX_DECODED_PIXELS * BYTES_PER_PIXEL
QUALITY = 95
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
_RESIZABLE = ("RGB", "RGBA", "L", "LA", "CMYK", "YCbCr")
_ORIENTATION_TAG = 0x0112

# A header that promises too much is refused before its pixels are; Pillow's own limit says so first.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Header:
    """What the file says of itself: size in pixels as stored, EXIF orientation 1..8."""

    format: str
    mode: str
    width: int
    height: int
    orientation: int
    progressive: bool
    animated: bool

    @property
    def jpeg(self) -> bool:
        """Whether it is one for TensorFlow; MPO is a JPEG with further pictures behind it."""
        return self.format in ("JPEG", "MPO")


@dataclass(frozen=True)
class Picture:
    """A JPEG and its size in pixels."""

    data: bytes
    width: int
    height: int


def header(data: bytes) -> Header:
    """Read the header only. Raises UnusableError."""
    if not data:
        raise UnusableError("ImageEmpty", "0 bytes", hint="Upload the image again.")
    with _open(data) as image:
        head = Header(
            format=str(image.format),
            mode=image.mode,
            width=image.width,
            height=image.height,
            orientation=_orientation(image),
            progressive=bool(image.info.get("progressive")),
            animated=image.format != "MPO" and bool(getattr(image, "is_animated", False)),
        )
    limit = MAX_PIXELS if head.jpeg and not head.progressive else MAX_DECODED_PIXELS
    if head.width * head.height > limit:
        raise _too_large(f"{head.width} x {head.height} pixels, at most {limit / 1e6:.0f} million are decoded")
    return head


def render(data: bytes, head: Header, *, rotate: bool, max_side: int, budget: Budget) -> Picture:
    """Decode the whole stream; the picture is at most `max_side` long and, with `rotate`, upright.

    Raises UnusableError.
    """
    keep = (
        head.jpeg and head.mode in ("RGB", "L") and head.orientation == 1 and max(head.width, head.height) <= max_side
    )
    with _open(data) as image:
        if head.jpeg:
            # A reduced decode reads the whole stream too, and finds the same truncation.
            wanted = 1 if keep else max_side
            image.draft(None, (wanted, wanted) if keep else _fit(image.size, max_side))
        pixels = image.width * image.height
        if pixels > MAX_DECODED_PIXELS:
            raise _too_large(f"{image.width} x {image.height} pixels after decoding")
        progressive = head.width * head.height * COEFFICIENT_BYTES if head.progressive else 0
        # Closed before the budget is given back: leaving the outer block would keep the pixels.
        with budget.hold(pixels * BYTES_PER_PIXEL + progressive), closing(image):
            return _decoded(image, data, head, keep=keep, rotate=rotate, max_side=max_side)


def _decoded(image: Image.Image, data: bytes, head: Header, *, keep: bool, rotate: bool, max_side: int) -> Picture:
    try:
        image.load()
        if keep:
            return Picture(data, head.width, head.height)
        orientation = image.getexif() if rotate else None
        upright = _scaled(image, _fit((head.width, head.height), max_side))
        if orientation is not None:
            upright.getexif()[_ORIENTATION_TAG] = head.orientation
            upright = ImageOps.exif_transpose(upright)
        return _encode(upright)
    except UnusableError:
        raise
    except Exception as error:  # decoders raise anything on crafted bytes
        raise _broken(error) from error


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """RGB in this size; scaled before it is converted where the mode allows, which saves memory."""
    if image.mode in _RESIZABLE and image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    image = _rgb(image)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise UnusableError("ImageUnsupported", "floating-point pixels", hint="Convert it to JPEG or 8-bit PNG.")
    if image.mode.startswith("I"):
        return image.point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        flat = Image.new("RGB", image.size, "white")
        flat.paste(layered, mask=layered.getchannel("A"))
        return flat
    return image.convert("RGB")


def _encode(image: Image.Image) -> Picture:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return Picture(out.getvalue(), image.width, image.height)


def _fit(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """The size scaled down, where needed, so that its longest side is `max_side`."""
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(f"more than {MAX_PIXELS / 1e6:.0f} million pixels") from error
    except UnidentifiedImageError as error:
        raise UnusableError(
            "ImageUnreadable",
            f"no image format begins with {data[:16]!r}",
            hint=f"Upload the image itself, as one of {', '.join(FORMATS)}.",
        ) from error
    except Exception as error:  # parsers of headers raise anything on crafted bytes
        raise _broken(error) from error


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF means no orientation, and no broken image  # noqa: BLE001
        return 1
    return value if value in range(1, 9) else 1


def _broken(error: Exception) -> UnusableError:
    if "truncated" in str(error):
        return UnusableError("ImageTruncated", str(error), hint="The end is missing: upload the image again.")
    return UnusableError(
        "ImageCorrupt", f"{type(error).__name__}: {error}", hint="Open it, save it again as JPEG and upload it."
    )


def _too_large(seen: str) -> UnusableError:
    return UnusableError("ImageTooLarge", seen, hint="Scale the image down, or save it as a baseline JPEG.")
