"""Sentences of messages: how they are joined, and cut to a length."""

from __future__ import annotations


def sentences(*parts: str) -> str:
    """Join messages into one text; each ends with a full stop unless it ends with a mark of its own."""
    whole = [part.strip() for part in parts if part.strip()]
    return " ".join(part if part.endswith((".", "!", "?", "…")) else f"{part}." for part in whole)


def cut(text: str, limit: int) -> str:
    """Shorten a text to the limit, with `…` in place of what is cut off."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"
