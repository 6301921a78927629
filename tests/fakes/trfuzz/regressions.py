"""Inputs with which a target failed once, by description; tests/fuzz runs them again."""

from __future__ import annotations

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
}
