"""JSON from outside: a value, or ValueError."""

from __future__ import annotations

import pytest

from trainingrun_agent import bounded_json

DEEP = 200_000
BAD = {
    "lists without end": b"[" * DEEP,
    "lists that end": b"[" * DEEP + b"]" * DEEP,
    "objects": b'{"a":' * DEEP,
    "number of many digits": b'{"a": ' + b"9" * 5000 + b"}",
    "not text": b'{"a": "\xff"}',
    "UTF-16 cut": '{"a": 1}'.encode("utf-16")[:-1],
    "empty": b"",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_cannot_be_decoded_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        bounded_json.loads(data)


NO_DOCUMENTS = {
    "list": (b"[1]", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "half a character": (b'{"a": "\\ud800"}', "surrogates not allowed"),
    "half a character in a key": (b'{"\\uDFff": 1}', "surrogates not allowed"),
    "deep, but decodable": (b'{"a":' * 65 + b"1" + b"}" * 65, "nested more than 64 levels deep"),
    "deep in lists": (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "nested more than 64 levels deep"),
}


@pytest.mark.parametrize(("data", "says"), NO_DOCUMENTS.values(), ids=NO_DOCUMENTS)
def test_a_document_is_an_object_that_can_be_written_again(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        bounded_json.document(data)


def test_a_document_of_any_content_is_read() -> None:
    assert bounded_json.document('{"a": [1, {"b": "\\ud834\\udd1e ü"}]}'.encode()) == {"a": [1, {"b": "\U0001d11e ü"}]}
    assert bounded_json.document(b'{"a":' * 63 + b"1" + b"}" * 63)
