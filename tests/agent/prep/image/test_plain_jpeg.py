"""Plain JPEG files are read without Pillow's parser of headers, with the same result for any bytes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from image_bombs import segment
from trainingrun_agent.prep.image import images, plain_jpeg
from trainingrun_agent.prep.image.check import Checked, Checker
from trainingrun_agent.prep.image.plain_jpeg import PlainHeader
from trainingrun_agent.prep.source.readers import Context, LabelFile
from voc_data import Box, encoded, labelled, picture, voc

SIZE = (320, 256)
PHOTO = encoded(picture(*SIZE))
EXIF = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
TABLES = 2 * (b"\0" + 64 * b"\1")
FRAME, SCAN = PHOTO.index(b"\xff\xc0"), PHOTO.index(b"\xff\xda")


def after_start(more: bytes) -> bytes:
    return PHOTO[:2] + more + PHOTO[2:]


HEADERS: dict[str, tuple[bytes, PlainHeader | None]] = {
    "colour": (PHOTO, PlainHeader(*SIZE, "RGB")),
    "gray": (encoded(picture(*SIZE, mode="L")), PlainHeader(*SIZE, "L")),
    "comment": (after_start(segment(0xFE, b"a comment")), PlainHeader(*SIZE, "RGB")),
    "restart interval": (after_start(segment(0xDD, b"\0\x04")), PlainHeader(*SIZE, "RGB")),
    "EXIF": (after_start(EXIF), None),
    "incomplete JFIF": (after_start(segment(0xE0, b"JFIF\0\1\1")), None),
    "bytes between segments": (after_start(b"\0"), None),
    "padding": (after_start(b"\xff"), None),
    "too many parts": (after_start(64 * segment(0xFE)), None),
    "a second frame": (PHOTO[:FRAME] + PHOTO[FRAME : FRAME + 19] + PHOTO[FRAME:], None),
    "an incomplete table": (after_start(segment(0xDB, bytes(64))), None),
    "two tables": (after_start(segment(0xDB, TABLES)), PlainHeader(*SIZE, "RGB")),
    "a table of 16 bits": (after_start(segment(0xDB, b"\x10" + bytes(128))), None),
    "an odd scan": (PHOTO[: SCAN + 3] + b"\x0d" + PHOTO[SCAN + 4 :], None),
    "an incomplete scan": (PHOTO[: SCAN + 13], None),
    "progressive": (encoded(picture(*SIZE), progressive=True), None),
    "four components": (encoded(picture(*SIZE, mode="CMYK")), None),
    "a short side": (encoded(picture(320, 255)), None),
    "no scan": (PHOTO[: PHOTO.index(b"\xff\xda")], None),
    "empty": (b"", None),
    "another format": (encoded(picture(*SIZE), "PNG"), None),
}


@pytest.mark.parametrize(("data", "expected"), HEADERS.values(), ids=HEADERS)
def test_only_plain_headers_are_read(data: bytes, expected: PlainHeader | None) -> None:
    assert plain_jpeg.read_header(data) == expected


def test_a_plain_file_needs_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_open", pytest.fail)
    assert checked(PHOTO).usable


KEPT_AS_IT_IS = {"colour", "gray", "comment", "restart interval", "two tables"}


@pytest.mark.parametrize("name", HEADERS)
def test_decoding_before_checking_changes_nothing(name: str) -> None:
    data = HEADERS[name][0]
    assert (images.decoded(data, max_side=320) is not None) == (name in KEPT_AS_IT_IS)
    assert images.decoded(data, max_side=319) is None  # it will be scaled down
    for damaged in (data, data[: len(data) // 2], data[:-2]):
        assert checked(damaged, ahead=True) == checked(damaged)


def checked(data: bytes, *boxes: Box, ahead: bool = False) -> Checked:
    label = LabelFile(voc([labelled(box=box) for box in boxes] or [labelled()], size=SIZE), Context(("tire",)))
    checker = Checker(("tire",), 1024)
    decoded = checker.decoded("a.jpg", data) if ahead else None
    return checker("a.jpg", "a.xml", data, label, format_="pascalVOC", decoded=decoded)


def cut(data: bytearray, chance: random.Random) -> bytes:
    return bytes(data[: chance.randrange(len(data))])


def flipped(data: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 4))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def header_changed(data: bytearray, chance: random.Random) -> bytes:
    data[chance.randrange(2, FRAME + 40)] = chance.choice((0, 1, 2, 3, 4, 17, 0xC0, 0xD9, 0xFF))
    return bytes(data)


def header_shortened(data: bytearray, chance: random.Random) -> bytes:
    at = chance.randrange(2, FRAME + 40)
    return bytes(data[:at] + data[at + chance.randrange(1, 9) :])


def marked(data: bytearray, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) - 2)
    data[at : at + 2] = bytes((0xFF, chance.choice((0xD9, 0xDA, 0xD0, 0xC0, 0xDB, 0x01))))
    return bytes(data)


def grown(data: bytearray, chance: random.Random) -> bytes:
    at = chance.choice((FRAME, len(data) - 400, len(data)))
    return bytes(data[:at]) + chance.randbytes(chance.randrange(40)) + bytes(data[at:])


def part_added(data: bytearray, chance: random.Random) -> bytes:
    code = chance.choice((0xE0, 0xE1, 0xE2, 0xEE, 0xFE, 0xDD, 0xDB, 0xC4, 0xC0, 0xDA, 0xD8, 0x01))
    return bytes(data[:2]) + segment(code, chance.randbytes(chance.randrange(30))) + bytes(data[2:])


DAMAGES = (cut, flipped, header_changed, header_shortened, marked, grown, part_added)


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file")
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_give_what_pillow_alone_gives(
    monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytearray, random.Random], bytes]
) -> None:
    chance = random.Random(damage.__name__)  # noqa: S311 - tests are to be the same each time
    damaged = [damage(bytearray(PHOTO), chance) for _ in range(150)]
    found = [checked(data, ahead=True) for data in damaged]
    monkeypatch.setattr(plain_jpeg, "read_header", lambda _: None)
    assert found == [checked(data) for data in damaged]


@pytest.mark.parametrize("damaged", [name for name in HEADERS if "table" in name or "scan" in name])
def test_a_broken_header_is_found_before_broken_boxes(monkeypatch: pytest.MonkeyPatch, damaged: str) -> None:
    data, _ = HEADERS[damaged]
    found = checked(data, (0.1, 0.2, 0.3, 0.4))
    monkeypatch.setattr(plain_jpeg, "read_header", lambda _: None)
    assert found == checked(data, (0.1, 0.2, 0.3, 0.4))
