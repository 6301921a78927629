"""ETags, which name the versions of an object."""

from __future__ import annotations


def same_etag(one: str, other: str) -> bool:
    """Whether two ETags are equal apart from quotes and the mark of a weak one, which a proxy adds."""
    return _opaque(one) == _opaque(other)


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
