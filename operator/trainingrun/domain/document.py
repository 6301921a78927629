"""The resolved document of a run as its ConfigMap holds it now, which anyone who may write ConfigMaps can change.

Invariant: nothing here is believed. `acceptance.py` compares it with the digest in the run's status.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainingrun.api import bounded_json
from trainingrun.builders.resolved import text_digest
from trainingrun.domain.resolve import Resolved


@dataclass(frozen=True, slots=True)
class Document:
    """Text of resolved.json in the run's ConfigMap; None when there is no such ConfigMap.

    `fresh`: it was read for the decision that is being made, not for an earlier one.
    """

    text: str | None
    fresh: bool = True

    @property
    def digest(self) -> str:
        """SHA-256 of the text; empty when there is none."""
        return "" if self.text is None else text_digest(self.text)


def parse_document(text: str) -> Resolved | None:
    """Parse a text that anyone may have written; None unless it is a JSON object."""
    try:
        return bounded_json.document(text)
    except ValueError:
        return None
