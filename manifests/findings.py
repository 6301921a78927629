"""Write docs/findings.md, one section for each kind of finding, from the agent's table of them.

Invariant: everything in the page comes from the table; `--check` changes nothing, and fails when the page is outdated.
"""
# ruff: noqa: INP001 - a program, not part of a package

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trainingrun_agent.prep.model.codes import GROUPS
from trainingrun_agent.prep.model.codes.explanation import explanation
from trainingrun_agent.terms import TRAININGRUN

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "findings.md"
SOURCE: Final = "images/agent/trainingrun_agent/prep/model/codes"
INTRODUCTION: Final = """\
# Findings

<!-- Generated from {source} by manifests/findings.py: change it there. -->

What each code in the report on your data means for a detector, and what to do about it. The same text for one code:
`trainingrun explain BoxDegenerate`. Where the report is: [user guide](user-guide.md#10-what-the-data-report-says).

An error costs a file: the image is not used. A warning costs at most a box, an info nothing. Examples are about an
image `tire.jpg` of 160 x 120 pixels and the class `tire`.
"""


def render() -> str:
    """The page as Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield INTRODUCTION.format(source=SOURCE)
    yield from ("| about | codes |", "|---|---|")
    for title, kinds in GROUPS.items():
        yield f"| {title} | {' '.join(f'[`{kind.code}`](#{kind.code.lower()})' for kind in kinds)} |"
    yield ""
    for title, kinds in GROUPS.items():
        yield from (f"## {title}", "")
        for kind in kinds:
            yield from (f"### {kind.code}", "", explanation(kind, TRAININGRUN))


if __name__ == "__main__":
    from generated import write_or_check

    sys.exit(write_or_check({PAGE: render()}, doc=__doc__))
