"""Parses pages of listings in a quarter of botocore's time, which counts for buckets with many keys.

Invariant: botocore parses the rest of the page, and also the entries if one of them is unexpected: it then explains.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

EVENT = "before-parse.s3.ListObjectsV2"


def parse_entries(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Handle EVENT: parse a page's entries, remove them from the body and add them to botocore's answer."""
    with suppress(ET.ParseError, KeyError, ValueError, RecursionError):
        root = ET.fromstring(response_dict["body"])  # noqa: S314 - as botocore does
        entries = [child for child in root if _name(child) == "Contents"]
        if entries:
            customized_response_dict["Contents"] = [_entry(entry) for entry in entries]
            root[:] = [child for child in root if _name(child) != "Contents"]
            response_dict["body"] = ET.tostring(root)


def _entry(element: ET.Element) -> dict[str, Any]:
    texts = {_name(child): child.text or "" for child in element}
    modified = datetime.fromisoformat(texts["LastModified"])
    if modified.tzinfo is None or not texts["Key"]:
        raise ValueError
    return {"Key": texts["Key"], "Size": int(texts["Size"]), "ETag": texts.get("ETag", ""), "LastModified": modified}


def _name(element: ET.Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]
