"""docs/label-tools.md: the formats and the words of refusals that it names are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainingrun_agent.prep.model.codes import KINDS
from trainingrun_agent.prep.source import unknown_layouts
from trainingrun_agent.prep.source.readers import FORMATS

PAGE = Path(__file__).parents[2] / "docs" / "label-tools.md"
ROWS = [
    cells[-1].strip()
    for line in PAGE.read_text().splitlines()
    if line.startswith("|") and len(cells := line.strip("|").split("|")) == 3
]
LAYOUTS = [layout.what for _, layout in (*unknown_layouts.TEXTS, *unknown_layouts.DOCUMENTS)]
LAYOUTS += [layout.what for layout in unknown_layouts.OTHERS.values()]
MADE_ELSEWHERE = ("masks", "dlib's imglab XML")


def test_every_row_says_what_happens() -> None:
    outcomes = [row for row in ROWS if row not in ("what happens", "---")]
    assert len(outcomes) > 40
    assert [row for row in outcomes if not row.startswith(("read as `", "refused: ", "`TracksUnread`"))] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.startswith("read as")])
def test_formats_that_are_read_exist(row: str) -> None:
    named = re.match(r"read as ((?:`\w+`(?: \(both\))?(?:, )?)+)", row)
    assert named is not None
    assert set(re.findall(r"`(\w+)`", named[1])) <= set(FORMATS)


@pytest.mark.parametrize("row", [row for row in ROWS if row.startswith('refused: "')])
def test_refusals_have_the_words_of_the_code(row: str) -> None:
    words = re.findall(r'"([^"]+)"', row.partition(". ")[0])
    unknown = [one for one in words if not any(what.startswith(one) for what in (*LAYOUTS, *MADE_ELSEWHERE))]
    assert words
    assert unknown == []


def test_codes_that_are_named_exist() -> None:
    assert set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", PAGE.read_text())) - {
        "FormatNotRecognised",
        "IsGroupOf",
    } <= set(KINDS)
