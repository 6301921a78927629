"""Parses pages of listings in a quarter of botocore's time, which counts for buckets with many keys.

Invariant: botocore parses the rest of the page, and also the entries if one of them is unexpected: it then explains.

Keys may have characters that XML cannot carry. A server that sends them all the same sends a page that no parser reads:
they are replaced, so that one such key does not hide all others. The object cannot be read under that key, which its
reader reports.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

_REPLACEMENT = "\ufffd".encode()
_NOT_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|\xed[\xa0-\xbf][\x80-\xbf]"
    rb"|&#(?:0{0,8}(?:[0-8]|1[124-9]|2[0-9]|3[01])|[xX]0{0,8}(?:[0-8b-cB-Ce-fE-F]|1[0-9a-fA-F])|[xX][fF]{3}[eEfF]);"
)
"""Characters that XML 1.0 does not allow, and references to them."""
EVENTS = ("before-parse.s3.ListObjectsV2", "before-parse.s3.ListObjects")


def parse_entries(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Handle EVENTS: parse a page's entries, remove them from the body and add them to botocore's answer."""
    with suppress(ET.ParseError, KeyError, ValueError, RecursionError):
        root, repaired = _parsed(response_dict["body"])
        entries = [child for child in root if _name(child) == "Contents"]
        if entries or repaired:
            customized_response_dict["Contents"] = [_entry(entry) for entry in entries]
            root[:] = [child for child in root if _name(child) != "Contents"]
            response_dict["body"] = ET.tostring(root)


def _parsed(body: bytes) -> tuple[ET.Element, bool]:
    """The page, and whether it had to be repaired."""
    try:
        return ET.fromstring(body), False  # noqa: S314 - as botocore does
    except ET.ParseError:
        return ET.fromstring(_NOT_XML.sub(_REPLACEMENT, body)), True  # noqa: S314 - as botocore does


def _entry(element: ET.Element) -> dict[str, Any]:
    texts = {_name(child): child.text or "" for child in element}
    modified = datetime.fromisoformat(texts["LastModified"])
    if modified.tzinfo is None or not texts["Key"]:
        raise ValueError
    return {"Key": texts["Key"], "Size": int(texts["Size"]), "ETag": texts.get("ETag", ""), "LastModified": modified}


def _name(element: ET.Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]
