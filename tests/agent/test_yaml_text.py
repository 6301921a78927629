"""YAML that every parser reads as it was meant."""

from __future__ import annotations

import pytest
import yaml

from trainingrun_agent.yaml_text import block, scalar

NOT_PLAIN = ["yes", "No", "y", "N", "on", "null", "007", "1e3", "0o17", "0x1F", "1_000", "1:30", ".5", "-1", "~", ""]
NOT_PLAIN += ["a: b", "a #b", "# a", " a", "a ", "[a]", "{a}", "- a", "*a", "&a", "!a", "%a", "@a", "`a", "'a'", '"a"']
NOT_PLAIN += ["a\\b", "a\nb", "a\x00b", "a\x85b", "a\u2028b", "a\u202eb", "\ufeffa", "\U000e0001", "2020-01-01", "="]
PLAIN = ["tire", "winter hub", "größe", "class-1", "a.b", "_x"]


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_a_text_that_is_something_else_in_yaml_is_quoted(text: str) -> None:
    assert scalar(text).startswith('"')
    assert yaml.safe_load(scalar(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_word_stays_plain(text: str) -> None:
    assert scalar(text) == text
    assert yaml.safe_load(scalar(text)) == text


def test_a_long_list_has_a_line_for_each_item() -> None:
    document = {"spec": {"few": ["a", "1"], "many": [f"class-{index}" for index in range(20)], "steps": 5}}
    lines = list(block(document))
    assert lines[:4] == ["spec:", '  few: [a, "1"]', "  many:", "  - class-0"]
    assert yaml.safe_load("\n".join(lines)) == document
