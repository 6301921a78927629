"""Compare what a spec names with an allow-list of the installer, and refuse what is not on it."""

from __future__ import annotations

from fnmatch import fnmatchcase

from trainingrun.api import reasons
from trainingrun.domain.refusal import NotAcceptedError


def matches(value: str, patterns: tuple[str, ...]) -> bool:
    """Return whether one of the shell patterns matches the whole value."""
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def forbidden(field: str, value: str, *, setting: str, allowed: tuple[str, ...]) -> NotAcceptedError:
    """Return the error for a value that no entry of the Helm value `setting` allows."""
    return NotAcceptedError(
        reasons.FORBIDDEN_BY_POLICY,
        f"{field}: {value} is not allowed here; allowed: {', '.join(allowed) or 'none'}.",
        setting=setting,
    )
