"""JSON that pods and servers give: a value, or ValueError."""

from __future__ import annotations

import pytest

from trainingrun.api import bounded_json

DEEP = 200_000
BAD = {
    "lists without end": "[" * DEEP,
    "objects without end": '{"a":' * DEEP,
    "number of many digits": '{"a": ' + "9" * 5000 + "}",
    "bytes that are not text": b'{"a": "\xff"}',
    "empty": "",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_cannot_be_decoded_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        bounded_json.loads(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [("[1]", "not a JSON object"), ('{"a":' + "[" * 64 + "]" * 64 + "}", "nested more than 64 levels deep")],
    ids=["list", "deep"],
)
def test_a_document_is_an_object_of_few_levels(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        bounded_json.document(text)


def test_a_document_of_any_content_is_read() -> None:
    assert bounded_json.document('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    assert bounded_json.document('{"a":' * 63 + "1" + "}" * 63)
