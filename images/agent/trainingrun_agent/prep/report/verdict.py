"""The one verdict on a data set: text, page, report.json and exit code say what it says.

Invariant: nothing else decides whether data can be used for training.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from trainingrun_agent.errors import UserError
from trainingrun_agent.terms import Terms

MAX_TEXT = 4000


class Outcome(StrEnum):
    """What can be done with a data set. All but REFUSED can be used for training."""

    CLEAN = "clean"
    WARNINGS = "warnings"
    ERRORS = "errors"
    REFUSED = "refused"


_HEADINGS = {
    Outcome.CLEAN: "This data can be used for training",
    Outcome.WARNINGS: "This data can be used for training, with {warnings}",
    Outcome.ERRORS: "This data can be used for training, without the files that have errors",
    Outcome.REFUSED: "This data cannot be used for training ({reason})",
}


def verdict(*, errors: int, warnings: int, refusal: UserError | None, terms: Terms) -> dict[str, Any]:
    """The field `verdict` of report.json; `refusal` is the reason not to use the data for training."""
    if refusal is not None:
        return {
            "outcome": str(Outcome.REFUSED),
            "reason": refusal.reason,
            "message": refusal.message_in(terms, examples=False)[:MAX_TEXT],
            "nextStep": refusal.hint_in(terms)[:MAX_TEXT],
        }
    return {"outcome": str(Outcome.ERRORS if errors else Outcome.WARNINGS if warnings else Outcome.CLEAN)}


def heading(document: Mapping[str, Any]) -> str:
    """The verdict of a report.json as one line, without a full stop."""
    given, warnings = document["verdict"], document["warnings"]
    counted = f"{warnings:,} warning{'' if warnings == 1 else 's'}"
    return _HEADINGS[Outcome(given["outcome"])].format(reason=given.get("reason"), warnings=counted)
