"""Pages of a listing are read as botocore reads them, or left to botocore."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.session import Session

from trainingrun_agent.storage.pages import parse_entries

pytestmark = pytest.mark.contract
ENTRY = (
    "<Contents><Key>a/%s</Key><LastModified>2020-02-03T04:05:06.000Z</LastModified>"
    "<ETag>&quot;0a&quot;</ETag><Size>7</Size></Contents>"
)
PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult%s><Name>b</Name><IsTruncated>true</IsTruncated>'
    "%s<NextContinuationToken>next</NextContinuationToken></ListBucketResult>"
)
XMLNS = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
FIELDS = ("Key", "Size", "ETag", "LastModified")


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (PAGE % (XMLNS, ENTRY % "1.jpg" + ENTRY % "2%20%C3%A9+.jpg"), True),
        (PAGE % ("", ENTRY % "1.jpg"), True),
        (PAGE % (XMLNS, ENTRY % "é &amp; &lt;.jpg"), True),
        (PAGE % (XMLNS, ENTRY.replace("<ETag>&quot;0a&quot;</ETag>", "") % "1.jpg"), True),
        (PAGE % (XMLNS, ""), False),
        (PAGE % (XMLNS, ENTRY.replace("000Z", "000") % "1.jpg"), False),
        (PAGE % (XMLNS, ENTRY.replace("2020-02-03T04:05:06.000Z", "Mon, 03 Feb 2020 04:05:06 GMT") % "1.jpg"), False),
        (PAGE % (XMLNS, ENTRY.replace("<Size>7</Size>", "") % "1.jpg"), False),
    ],
    ids=["encoded", "no namespace", "entities", "no ETag", "no keys", "no time zone", "other date", "no size"],
)
def test_a_page_reads_as_botocore_reads_it(body: str, taken: bool) -> None:
    page, own = parsed(body, handled=True)
    expected, _ = parsed(body, handled=False)
    entries = [{name: entry.get(name, "") for name in FIELDS} for entry in expected.pop("Contents", ())]
    found = [{name: entry.get(name, "") for name in FIELDS} for entry in page.pop("Contents", ())]
    assert (found, page) == (entries, expected)
    assert ("Contents" in own) == taken


@pytest.mark.parametrize("body", [b"", b"<html>", b"no XML", b"\xff<a/>"])
def test_a_body_that_is_no_page_is_left_to_botocore(body: bytes) -> None:
    answer, own = {"body": body}, dict[str, Any]()
    parse_entries(answer, own)
    assert (answer, own) == ({"body": body}, {})


UNSENDABLE = {
    "a control character": ("\x01", "\ufffd"),
    "a reference to one": ("&#1;", "\ufffd"),
    "a reference in hex": ("&#x1F;&#x0b;", "\ufffd\ufffd"),
    "no character": ("\ufffe\uffff", "\ufffd\ufffd"),
    "blanks are characters": ("&#9;&#10;\x01", "\t\n\ufffd"),
    "others are too": ("&#x20;&#160;&#31;", " \xa0\ufffd"),
}


@pytest.mark.parametrize(("sent", "listed"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_a_key_that_xml_cannot_carry_does_not_hide_all_others(sent: str, listed: str) -> None:
    body = PAGE % (XMLNS, ENTRY % "1.jpg" + ENTRY % f"2{sent}.jpg")
    page, own = parsed(body, handled=True)
    assert [entry["Key"] for entry in own["Contents"]] == ["a/1.jpg", f"a/2{listed}.jpg"]
    assert (page["IsTruncated"], page["NextContinuationToken"]) == (True, "next")


def parsed(body: str, *, handled: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The page as botocore parses it, and the fields that parse_entries took out before."""
    answer: dict[str, Any] = {"body": body.encode(), "headers": {}, "status_code": 200}
    own: dict[str, Any] = {}
    if handled:
        parse_entries(answer, own)
    shape = Session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
    assert shape is not None
    page: dict[str, Any] = create_parser("rest-xml").parse(answer, shape)
    page.update(own)
    return page, own
