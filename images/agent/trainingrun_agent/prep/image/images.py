"""Read image files: check the header, decode to the last byte, write a JPEG that TensorFlow 1.14 decodes.

Invariant: the result is a complete RGB or gray JPEG; nothing is decoded whose size was
not checked before. Clean JPEG bytes stay as they are.
"""

from __future__ import annotations

import io
import warnings
from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from operator import lt
from typing import Any

from PIL import Image, UnidentifiedImageError

from trainingrun_agent.prep.image import plain_jpeg
from trainingrun_agent.prep.image.headers import HeaderFile, check_extensions, scans_apart
from trainingrun_agent.prep.image.intensity import UNKNOWN, DeepImage, Scaling, Used, is_deep, is_misread, used
from trainingrun_agent.prep.image.plain_jpeg import PlainHeader
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.image_files import (
    IMAGE_CORRUPT,
    IMAGE_EMPTY,
    IMAGE_FORMAT_NOT_READ,
    IMAGE_TOO_LARGE,
    IMAGE_TRUNCATED,
    IMAGE_UNREADABLE,
    IMAGE_UNSUPPORTED,
)
from trainingrun_agent.prep.source.unread_formats import format_of

MAX_BYTES = 32 << 20
MAX_PIXELS = 100_000_000
MAX_SIDE = 65_535
"""Pixels of a side, as in JPEG: scaling down takes memory in proportion to a side, whatever the area."""
MAX_DECODED_PIXELS = 20_000_000
"""After libjpeg's reduced-size decode; other formats have none."""
MAX_SCANS = 100
"""Scans of a progressive JPEG, usually about ten: each goes over the whole picture, however short it is."""
BYTES_PER_PIXEL = 8
"""Decoded and converted copy; Pillow keeps four bytes a pixel."""
COEFFICIENT_BYTES = 6
"""Memory of libjpeg per pixel of a file with several scans, at full size."""
LARGE = 24 << 20
"""Bytes of pixels from which an image waits until there is memory for it (sharding/memory_slots.py)."""
QUALITY = 95
MAX_PROBLEM = 200
"""Characters of a decoder's message that are kept."""
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
_JPEGS = ("JPEG", "MPO")
_RESIZABLE = ("RGB", "RGBA", "L", "LA", "CMYK", "YCbCr")
_ORIENTATION_TAG, _WIDTH_TAG, _HEIGHT_TAG = 0x0112, 256, 257
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation, what makes an image upright."""
_TURNS_BACK = {**_TURNS, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""What makes an upright image as it is stored: only two of the turns do not undo themselves."""
_JPEG, _END, _SCAN = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"
LOOK, LOOKED_AT = 8, 32
"""Sides in pixels: of the picture that is compared, and of the smallest picture it is shrunk from."""
MIN_CONTRAST = 8
"""Difference between the darkest and brightest of 256 levels; below it only noise would be compared."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DIGITS = bytes.maketrans(b"\0\1", b"01")

Large = Callable[[int], AbstractContextManager[object]]

# Pillow keeps an image in blocks of 16 MiB, which the allocator does not give back after a thread has decoded a large
# one; a block of more than 32 MiB always is.
Image.core.set_block_size(128 << 20)  # type: ignore[attr-defined]
# Pillow refuses a header with more pixels than this before it reads any of them.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Header:
    """The header of an image file: size in pixels as stored, EXIF orientation 1..8.

    `progressive`: a JPEG in several scans, of which libjpeg keeps all coefficients in memory. `deep`: more than 8 bits.
    """

    format: str
    mode: str
    width: int
    height: int
    orientation: int
    progressive: bool
    animated: bool
    deep: bool = False

    @property
    def jpeg(self) -> bool:
        """Whether TensorFlow reads it as JPEG; an MPO is a JPEG followed by further pictures."""
        return self.format in _JPEGS


@dataclass(frozen=True)
class Picture:
    """A JPEG and its size in pixels; `look` as in `look_of`. `used` is about the values of a deep image."""

    data: bytes
    width: int
    height: int
    look: bytes = b""
    used: Used | None = None


@dataclass
class Opened:
    """An image file whose header has been read and checked: by Pillow, or without it if the file is `plain`.

    `look` is that of a plain file if it was decoded already.
    """

    data: bytes
    head: Header
    plain: PlainHeader | None = None
    opened_image: Image.Image | None = None
    look: bytes | None = None

    @property
    def image(self) -> Image.Image:
        """The image; Pillow opens it now if it has not yet. Raises UnusableError."""
        if self.opened_image is None:
            self.opened_image = _open(self.data)[0]
        return self.opened_image


@contextmanager
def opened(data: bytes) -> Iterator[Opened]:
    """Open an image for the duration of the block. Raises UnusableError."""
    if not data:
        raise UnusableError(IMAGE_EMPTY)
    if (plain := _plain(data)) is not None:
        yield plain
        return
    image, apart = _open(data)
    with image:
        head = _head(image, apart=apart)
        _check_size(head)
        if not head.jpeg and is_misread(image):
            raise UnusableError(IMAGE_UNSUPPORTED, case="planes")
        if head.progressive and (scans := data.count(_SCAN)) > MAX_SCANS:
            raise UnusableError(IMAGE_TOO_LARGE, case="scans", count=scans, limit=MAX_SCANS)
        yield Opened(data, head, opened_image=_past_header(image))


def decoded(data: bytes, *, max_side: int) -> Opened | None:
    """A plain file that `render` will keep as it is, decoded before its labels are read; None for any other."""
    source = _plain(data)
    if source is None or not _kept(source.head, max_side) or _look(source) is None:
        return None
    return source


def _plain(data: bytes) -> Opened | None:
    plain = plain_jpeg.read_header(data)
    if plain is None:
        return None
    head = Header("JPEG", plain.mode, plain.width, plain.height, orientation=1, progressive=False, animated=False)
    return Opened(data, head, plain)


def _look(source: Opened) -> bytes | None:
    """The look of a plain file, for which all of it is decoded; None for one with an error, or that is not plain."""
    if source.look is None and source.plain and (gray := plain_jpeg.brightness(source.data, source.plain)):
        source.look = look_of(gray)
    return source.look


def _kept(head: Header, max_side: int) -> bool:
    """Whether the file's own bytes go into the record."""
    small = max(head.width, head.height) <= max_side
    return head.jpeg and head.mode in ("RGB", "L") and head.orientation == 1 and small


def _past_header(image: Image.Image) -> Image.Image:
    file = getattr(image, "fp", None)
    if isinstance(file, HeaderFile):
        file.header_ended()
    return image


def _check_size(head: Header) -> None:
    size = {"width": head.width, "height": head.height}
    if max(head.width, head.height) > MAX_SIDE:
        raise UnusableError(IMAGE_TOO_LARGE, case="side", limit=MAX_SIDE, **size)
    limit = MAX_PIXELS if head.jpeg and not head.progressive else MAX_DECODED_PIXELS
    if head.width * head.height > limit:
        raise _too_large("header", limit, **size)


def _head(image: Image.Image, *, apart: bool) -> Header:
    try:
        width, height = _stored_size(image)
        return Header(
            format=str(image.format),
            mode=image.mode,
            width=width,
            height=height,
            orientation=_orientation(image),
            progressive=apart or bool(image.info.get("progressive")),
            animated=image.format != "MPO" and bool(getattr(image, "is_animated", False)),
            deep=image.format not in _JPEGS and is_deep(image),
        )
    except Exception as error:  # only reading further shows whether there is a second frame
        raise _broken(error) from error


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as stored. Those that Pillow has of a TIFF are after its rotation."""
    tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    return image.size if tags is None else (int(tags[_WIDTH_TAG]), int(tags[_HEIGHT_TAG]))


def render(
    source: Opened, *, rotate: bool, max_side: int, large: Large = nullcontext, scaling: Scaling = UNKNOWN
) -> Picture:
    """Decode the whole file; the picture is at most `max_side` pixels long and, with `rotate`, upright.

    `large(bytes)` is entered while many pixels are in memory. `scaling` is for deep images. Raises UnusableError.
    """
    head = source.head
    keep = _kept(head, max_side)
    if keep and (look := _look(source)) is not None:
        _check_end(source)
        return Picture(source.data, head.width, head.height, look)
    image = source.image
    if head.jpeg:
        # A reduced decode reads the whole stream too, and finds the same truncation; so does one of brightness only.
        image.draft(*(("L", (LOOKED_AT, LOOKED_AT)) if keep else (None, _fit(image.size, max_side))))
    with _in_memory(source, large):
        return _decoded(source, keep=keep, rotate=rotate, max_side=max_side, scaling=scaling)


def values_of(source: Opened) -> array[Any]:
    """Some values of a deep image, sorted. Raises UnusableError."""
    with _in_memory(source, nullcontext), _as_broken():
        return _deep(source).values()


@contextmanager
def _in_memory(source: Opened, large: Large) -> Iterator[None]:
    image, head = source.image, source.head
    pixels = image.width * image.height
    if pixels > MAX_DECODED_PIXELS:
        raise _too_large("decoded", MAX_DECODED_PIXELS, width=image.width, height=image.height)
    progressive = head.width * head.height * COEFFICIENT_BYTES if head.progressive else 0
    memory = pixels * BYTES_PER_PIXEL + progressive
    # Close the image before another large one may start: the outer block would keep the pixels.
    with large(memory) if memory > LARGE else nullcontext(), closing(image):
        yield


def look_of(image: Image.Image) -> bytes:
    """A difference hash: 16 bytes that differ in few bits for images that look alike; none for a flat image.

    Whether each pixel of a picture shrunk to 9 x 9 is darker than its right neighbour, and than its lower one: the
    difference hash of N. Krawetz, "Kind of Like That" (2013), in both directions.
    """
    gray = image if image.mode == "L" else image.convert("L")
    side = LOOK + 1
    pixels = gray.resize((side, side), Image.Resampling.BOX).tobytes()
    if max(pixels) - min(pixels) < MIN_CONTRAST:
        return b""
    across = bytes(map(lt, pixels, pixels[1:]))
    down = bytes(map(lt, pixels, pixels[side:]))
    # The last pixel of a line has no right neighbour, the last line no lower one: both are left out.
    bits = b"".join([row[at : at + LOOK] for row in (across, down) for at in range(0, side * LOOK, side)])
    return int(bits.translate(_DIGITS), 2).to_bytes(2 * LOOK, "big")


def _decoded(source: Opened, *, keep: bool, rotate: bool, max_side: int, scaling: Scaling) -> Picture:
    image, head = source.image, source.head
    with _as_broken():
        values = None
        if head.deep:
            image, values = _in_8_bits(source, scaling)
        else:
            image.load()
        if head.format == "TIFF" and head.orientation != 1:
            image = image.transpose(_TURNS_BACK[head.orientation])  # Pillow turned it upright when it decoded it
        _check_end(source)
        if keep:
            return Picture(source.data, head.width, head.height, look_of(image))
        scaled = _scaled(image, _fit((head.width, head.height), max_side))
        turn = _TURNS.get(head.orientation) if rotate else None
        return _encode(scaled if turn is None else scaled.transpose(turn), values)


@contextmanager
def _as_broken() -> Iterator[None]:
    """Decoders raise anything on crafted bytes."""
    try:
        yield
    except UnusableError:
        raise
    except Exception as error:
        raise _broken(error) from error


def _in_8_bits(source: Opened, scaling: Scaling) -> tuple[Image.Image, Used]:
    if source.head.mode == "F" and not scaling.given:
        raise UnusableError(IMAGE_UNSUPPORTED, case="float")
    deep = _deep(source)
    values = used(deep.values(), scaling.range)
    return deep.in_8_bits(scaling.range), values


def _deep(source: Opened) -> DeepImage:
    return DeepImage(source.image, lambda: _past_header(_open(source.data)[0]))


def _check_end(source: Opened) -> None:
    """Check that a JPEG has its end marker. libjpeg does not always need it, TensorFlow does."""
    data = source.data
    if source.head.jpeg and not data.endswith(_END) and data.rfind(_END) < data.rfind(_SCAN):
        raise UnusableError(IMAGE_TRUNCATED, case="end")


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Convert to RGB in this size; if the mode allows, scale first, which saves memory."""
    if image.mode in _RESIZABLE and image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    image = _rgb(image)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        flat = Image.new("RGB", image.size, "white")
        flat.paste(layered, mask=layered.getchannel("A"))
        return flat
    return image.convert("RGB")


def _encode(image: Image.Image, values: Used | None) -> Picture:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return Picture(out.getvalue(), image.width, image.height, look_of(image), values)


def _fit(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """The size scaled down, where needed, so that its longest side is `max_side`."""
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _open(data: bytes) -> tuple[Image.Image, bool]:
    """The image, and whether it is a JPEG with its components in several scans."""
    try:
        if data.startswith(_JPEG):
            apart = scans_apart(data)  # counts the markers first
            return Image.open(io.BytesIO(data), formats=FORMATS), apart
        check_extensions(data)
        return Image.open(HeaderFile(data), formats=FORMATS), False
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large("bomb", MAX_PIXELS) from error
    except UnidentifiedImageError as error:
        if name := format_of(data):
            raise UnusableError(IMAGE_FORMAT_NOT_READ, case="content", format=name) from error
        if data.startswith(_TIFF):
            raise UnusableError(IMAGE_UNSUPPORTED, case="tiff") from error
        raise UnusableError(IMAGE_UNREADABLE, start=repr(data[:16])) from error
    except Exception as error:  # parsers of headers raise anything on crafted bytes
        raise _broken(error) from error


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode all pixels to look for it behind them
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # an image with broken EXIF is usable, and has no orientation  # noqa: BLE001
        return 1
    return value if value in range(1, 9) else 1


def _broken(error: Exception) -> UnusableError:
    if "truncated" in str(error):
        return UnusableError(IMAGE_TRUNCATED, case="decoder", problem=str(error)[:MAX_PROBLEM])
    return UnusableError(IMAGE_CORRUPT, problem=f"{type(error).__name__}: {error}"[:MAX_PROBLEM])


def _too_large(case: str, limit: int, **size: int) -> UnusableError:
    return UnusableError(IMAGE_TOO_LARGE, case=case, limit=limit // 1_000_000, **size)
