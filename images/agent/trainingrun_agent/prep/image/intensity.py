"""Pixels of more than 8 bits: which values a data set uses, and what becomes black and white.

Invariant: one range holds for all images and channels of a data set, so that equal values stay equal; a pixel takes no
more memory than images.BYTES_PER_PIXEL.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from typing import Any, NamedTuple, Self

from PIL import Image, ImageChops, ImageFile

MIN, MAX = -(1 << 31), (1 << 31) - 1
LEAST, MOST = 0.001, 0.999
"""Parts of the values that lie below and above the range that is taken from images."""
SIDE = 64
"""Pixels of a side of the grid at which the values of an image are looked at."""
STRIP = 1 << 18
"""Pixels that are converted at once."""
_DEEP_MODES = ("I", "F")
_COLOURS = ("RGB;16", "RGBX;16", "RGBA;16", "LA;16")
"""How Pillow reads 16-bit colours, each cut down to its high byte; others (CMYK) stay cut."""
_PHOTOMETRIC, _BITS, _WHITE_IS_ZERO = 262, 258, 0
"""Tags of TIFF. Pillow inverts an image whose zero is white only if it has 8 bits."""
_SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}
"""By how Pillow reads the high bytes of 16-bit colours, how it reads the low ones."""


class IntensityRange(NamedTuple):
    """The values that become black and white; those between are in proportion, those outside are cut off."""

    low: int
    high: int

    @classmethod
    def parse(cls, pair: Sequence[int]) -> Self:
        """Raises ValueError, or TypeError, for anything but two numbers of which the first is the lower one."""
        low, high = pair
        if type(low) is not int or type(high) is not int or not MIN <= low < high <= MAX:
            raise ValueError(f"{pair!r} is no range of intensities")
        return cls(low, high)


FULL = IntensityRange(0, 0xFFFF)
"""All values of 16 bits."""


class Scaling(NamedTuple):
    """The range of a data set; only one that is `given` in the spec is one for floating-point pixels too."""

    range: IntensityRange
    given: bool = False


UNKNOWN = Scaling(FULL)
"""For a data set whose range was neither given nor found."""


class Used(NamedTuple):
    """The values that nearly all pixels of an image have, and the part of its pixels outside of the range."""

    low: float
    high: float
    outside: float


def is_deep(image: Image.Image) -> bool:
    """Whether the pixels of an image that was opened, and not yet decoded, have more than 8 bits."""
    return image.mode.startswith(_DEEP_MODES) or any(mode.startswith(_COLOURS) for mode in _raw_modes(image))


def is_misread(image: Image.Image) -> bool:
    """Whether Pillow would read each byte of 16-bit pixels as one pixel, as it does for channels stored apart."""
    bits = getattr(image, "tag_v2", {}).get(_BITS, (8,))
    modes = image.mode, *_raw_modes(image)
    return max(bits) > 8 and not any(mode.startswith(_DEEP_MODES) or ";16" in mode for mode in modes)


class DeepImage:
    """An image of more than 8 bits a channel, which it decodes. `reopened` opens the same file once more."""

    def __init__(self, image: Image.Image, reopened: Callable[[], Image.Image]) -> None:
        gray = any(mode.startswith("LA") for mode in _raw_modes(image))
        self._image = image
        self._single = image.mode.startswith(_DEEP_MODES)
        self._inverted = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        image.load()
        self._low = None if self._single else _low_bytes(reopened())
        self._low_names = ("G", "G", "G") if gray else ("R", "G", "B")

    def values(self) -> array[Any]:
        """Some of its values, sorted."""
        size = min(SIDE, self._image.width), min(SIDE, self._image.height)
        image, low = (
            None if one is None else one.resize(size, Image.Resampling.NEAREST) for one in (self._image, self._low)
        )
        assert image is not None
        found: array[Any] = array("f" if image.mode == "F" else "i")
        for channel in self._channels(image, low):
            found.frombytes(channel.tobytes())
        numbers = filter(isfinite, found) if found.typecode == "f" else found
        return array(found.typecode, sorted(numbers))

    def in_8_bits(self, scale: IntensityRange) -> Image.Image:
        """The image with 8 bits a channel; what is transparent stays so. The image itself is used up."""
        image, low = self._image, self._low
        made = Image.new("L", image.size) if self._single else image
        rows = max(1, STRIP // image.width)
        for top in range(0, image.height, rows):
            box = 0, top, image.width, min(image.height, top + rows)
            part = image.crop(box)
            scaled = [self._scaled(channel, scale) for channel in self._channels(part, low and low.crop(box))]
            alpha = [part.getchannel("A")] if made.mode == "RGBA" else []
            made.paste(scaled[0] if self._single else Image.merge(made.mode, [*scaled, *alpha]), box)
        made.info.pop("transparency", None)  # one of the values before
        return made

    def _scaled(self, channel: Image.Image, scale: IntensityRange) -> Image.Image:
        factor = 255 / (scale.high - scale.low)
        made = channel.point(lambda value: value * factor + -scale.low * factor).convert("L")
        return ImageChops.invert(made) if self._inverted else made

    def _channels(self, image: Image.Image, low: Image.Image | None) -> Iterator[Image.Image]:
        """The channels of a part of the image but for alpha, in mode I or F."""
        if low is None:
            yield image if image.mode in _DEEP_MODES else image.convert("I")
            return
        for name, low_name in zip(("R", "G", "B"), self._low_names, strict=True):
            both = bytearray(2 * image.width * image.height)
            both[0::2], both[1::2] = low.getchannel(low_name).tobytes(), image.getchannel(name).tobytes()
            yield Image.frombytes("I;16", image.size, bytes(both)).convert("I")


def used(values: Sequence[float], scale: IntensityRange) -> Used:
    """What the values of an image say about it."""
    if not values:
        return Used(0, 0, 0)
    low, high = _percentiles(values)
    inside = bisect_right(values, scale.high) - bisect_left(values, scale.low)
    return Used(low, high, 1 - inside / len(values))


def range_of(values: Iterable[Sequence[float]]) -> IntensityRange | None:
    """The range of images by some of their values, None without any.

    It is FULL for values that use most of 16 bits, and if all of them are equal.
    """
    together = sorted(value for one in values for value in one)
    if not together:
        return None
    low, high = (round(value) for value in _percentiles(together))
    wide = FULL.low <= low and high <= FULL.high and 2 * (high - low) >= FULL.high
    return FULL if wide or low == high else IntensityRange(low, high)


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    last = len(values) - 1
    return values[round(LEAST * last)], values[round(MOST * last)]


def _low_bytes(image: Image.Image) -> Image.Image:
    """Decode the low bytes of an image whose channels Pillow would cut down to the high ones."""
    assert isinstance(image, ImageFile.ImageFile)
    image.tile = [tile._replace(args=_of_low_bytes(tile.args)) for tile in _tiles(image)]
    image.load()
    return image


def _of_low_bytes(args: Any) -> Any:
    if isinstance(args, tuple):
        return (_of_low_bytes(args[0]), *args[1:])
    if args.startswith("LA"):
        return "RGBA"  # no mode has them alone: this one reads high and low byte of both channels
    kind = args[-4:]
    return args[:-4] + _SWAPPED[kind]


def _raw_modes(image: Image.Image) -> list[str]:
    """How Pillow will read the pixels of an image that is not yet decoded."""
    firsts = (args[0] if isinstance(args, tuple) and args else args for *_, args in _tiles(image))
    return [first for first in firsts if isinstance(first, str)]


def _tiles(image: Image.Image) -> list[Any]:
    return list(getattr(image, "tile", ()))
