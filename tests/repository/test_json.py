"""JSON from outside is decoded in one place of each program."""

from __future__ import annotations

import re

from trimages.paths import REPOSITORY

OURS = {
    "images/agent/trainingrun_agent/bounded_json.py",
    "images/agent/trainingrun_agent/cli/preparation.py",  # the report that it has just written
    "images/agent/trainingrun_agent/prep/source/index.py",  # its own database
    "images/agent/trainingrun_agent/prep/source/readers/json_stream.py",  # has bounds of its own
    "images/agent/trainingrun_agent/reasons/__init__.py",  # a file of the package
    "operator/trainingrun/api/bounded_json.py",
}
"""Files that may use Python's decoder, which raises RecursionError for text that is nested without end."""


def test_only_bounded_json_decodes_what_comes_from_outside() -> None:
    found = {
        str(path.relative_to(REPOSITORY))
        for folder in ("operator/trainingrun", "images/agent/trainingrun_agent")
        for path in (REPOSITORY / folder).rglob("*.py")
        if re.search(r"\bjson\.(loads?|JSONDecoder)\(", path.read_text(encoding="utf-8"))
    }
    assert found <= OURS
