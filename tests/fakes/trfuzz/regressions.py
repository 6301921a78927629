"""Inputs with which a target failed once, by description; tests/fuzz runs them again."""

from __future__ import annotations

import archive_bombs
import image_bombs

REGRESSIONS: dict[str, tuple[str, bytes]] = {
    "a chunk that ends behind the e of a number": ("json", b"\0\x03 21267890123451e99 "),
    "a chunk that ends behind the point of a number": ("json", b"\0\x03[1,2.5]"),
    "an array that ends with the file": ("json", b"\x3f\0\xef\xbb\xbf[1]"),
    "text of several chunks behind an element that was read": (
        "cvat",
        b"<annotations>\n<a/>" + b"y" * 100 + b"&lt;" + b"z" * 40_000 + b"</annotations>",
    ),
    "a GIF that ends with the extension before its second frame": (
        "images",
        b"\4GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\4\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0!\xf9\4",
    ),
    "a GIF that ends with the size of its second frame": (
        "images",
        b"\4GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0,\0\0\0",
    ),
    "a list in a list without end": ("documents", b"[" * 20_000),
    "levels that can be decoded, but not encoded": ("documents", b'{"a":' * 900 + b"1" + b"}" * 900),
    "half a character in a key": ("documents", b'{"contractVersion": 1, "\\ud800": 1}'),
    "names before names": ("archives", archive_bombs.header(b"L", 1) + archive_bombs.padded(b"a")),
    "a size below zero": ("archives", archive_bombs.BOMBS["size below zero"][0]()),
    "EXIF that names the same bytes again and again": (
        "images",
        b"\1"
        + image_bombs.after_head(image_bombs.JPEG, image_bombs.segment(0xE1, b"Exif\0\0" + image_bombs.exif(9, 90))),
    ),
    "a scan of one component": ("images", b"\0" + image_bombs.scan_of_one_component(*image_bombs.SMALL)),
    "elements in elements": (
        "listings",
        b"<ListBucketResult>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</ListBucketResult>",
    ),
    "a line of numbers and a letter": ("yolo", b"0" + b" 11" * 60 + b" x"),
}
