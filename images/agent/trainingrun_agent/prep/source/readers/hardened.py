"""Safe parsing of XML of unknown origin.

Invariant: no document type declaration, entity or network access gets through.
"""

from __future__ import annotations

from typing import Any, Final

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.label_files import ANNOTATION_DOCTYPE

OPTIONS: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "recover": False,
    "remove_comments": True,
    "remove_pis": True,
}
"""Options of lxml's parsers."""
_DOCTYPE = tuple("<!DOCTYPE".encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))


def has_doctype(data: bytes) -> bool:
    """Whether a document type is declared, in any of the usual encodings."""
    return any(mark in data for mark in _DOCTYPE)


def doctype() -> UnusableError:
    """The error for a file with a document type declaration."""
    return UnusableError(ANNOTATION_DOCTYPE)
