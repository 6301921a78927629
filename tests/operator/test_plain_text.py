"""The gate keeps every script readable, and lets nothing through that a terminal obeys or a reader cannot see."""

from __future__ import annotations

import pytest

from trainingrun.plain_text import plain, plain_document
from trfakes.hostile import BROKEN, DANGEROUS, GATED


@pytest.mark.parametrize(("text", "shown"), GATED.values(), ids=GATED)
def test_what_passes_the_gate_and_what_it_becomes(text: str, shown: str) -> None:
    assert plain(text) == shown
    assert len(shown) == len(text)
    assert plain(shown) == shown


def test_no_character_at_all_is_dangerous_behind_the_gate() -> None:
    every = "a".join(map(chr, (*range(0x10000), *range(0xE0000, 0xE0100))))
    assert DANGEROUS.search(every)
    assert not DANGEROUS.search(plain(every))


def test_what_passed_the_gate_can_be_stored() -> None:
    assert plain(BROKEN).encode()


def test_a_document_passes_as_a_whole() -> None:
    document = {"message": "\x1b", "step": 5, "conditions": [{"message": "a\nb", "ok": True}], "none": None}
    assert plain_document(document) == {
        "message": "\ufffd",
        "step": 5,
        "conditions": [{"message": "a b", "ok": True}],
        "none": None,
    }
    assert document["message"] == "\x1b"
