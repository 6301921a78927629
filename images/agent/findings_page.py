"""Write docs/findings.md, one section for each kind of finding, from the agent's table of them.

Invariant: everything in the page comes from the table; `--check` changes nothing, and fails when the page is outdated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trainingrun_agent.prep.model.codes import GROUPS
from trainingrun_agent.prep.model.codes.explanation import explanation
from trainingrun_agent.terms import TRAININGRUN

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "findings.md"
SOURCE: Final = "images/agent/trainingrun_agent/prep/model/codes"
INTRODUCTION: Final = """\
# Findings

<!-- Generated from {source} by images/agent/findings_page.py: change it there. -->

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


def main() -> int:
    """Write, or with --check compare; 1 when the page is out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="only compare; fail when it is out of date")
    check = parser.parse_args().check
    page = render()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    if check:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} is out of date: run images/agent/findings_page.py\n")
        return 1
    PAGE.write_text(page, encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
