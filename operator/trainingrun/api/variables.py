"""Readers of environment variables; each raises SettingsError naming the variable at fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import bounded_json, pod_keys

Resources = Mapping[str, Mapping[str, str]]

_KINDS: Final = ("requests", "limits")
_PROXY: Final = re.compile(r"https?://[^/?#@\s\\]+", re.ASCII)
_OF_THE_API_SERVER: Final = "kubernetes.default"  # the usual audience of its tokens begins so, after https://
_QUANTITY: Final = re.compile(r"[0-9]+(\.[0-9]+)?([KMGTPE]i?|k|m|[eE][0-9]+)?", re.ASCII)


class SettingsError(ValueError):
    """A setting is missing or unreadable; the message names the environment variable."""


def required(env: Mapping[str, str], name: str) -> str:
    """Read a text that must be there."""
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set; the Helm chart sets it from values.images.")
    return value


def items(env: Mapping[str, str], name: str, *, default: tuple[str, ...]) -> tuple[str, ...]:
    """Read a comma-separated list; the default stands for an unset variable only."""
    if name not in env:
        return default
    return tuple(item.strip() for item in env[name].split(",") if item.strip())


def number(env: Mapping[str, str], name: str, *, default: int) -> int:
    """Read a whole number."""
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number.") from None


def switch(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Read `true` or `false`."""
    text = env.get(name, "").strip().lower()
    if text not in ("", "true", "false"):
        raise SettingsError(f"{name} is {text!r}; it must be true or false.")
    return text == "true" if text else default


def proxy(env: Mapping[str, str], name: str) -> str:
    """Read the address of an HTTP proxy; empty: none. A value with a password is not repeated in the error."""
    text = env.get(name, "").strip()
    if text and not _PROXY.fullmatch(text):
        raise SettingsError(f"{name} must be http://host[:port] or https://host[:port], without user and password.")
    return text


def audience(env: Mapping[str, str], name: str, *, default: str) -> str:
    """Read the audience of a token. An empty one would mean the API server's own, which no run may have."""
    text = env.get(name, "").strip() or default
    if _OF_THE_API_SERVER in text:
        raise SettingsError(f"{name} is {text!r}, the audience of the API server; it must be that of your STS.")
    return text


def metadata(env: Mapping[str, str], name: str, *, values_are_labels: bool) -> dict[str, str]:
    """Read labels or annotations: a JSON object of texts."""
    found = _json_object(env, name)
    if not all(isinstance(value, str) for value in found.values()):
        raise SettingsError(f'{name} must be a JSON object whose values are texts, such as {{"cost-center": "42"}}.')
    problem = pod_keys.problem_with(found, values_are_labels=values_are_labels)
    if problem:
        raise SettingsError(f"{name}: {problem}.")
    return found


def resources(env: Mapping[str, str], name: str, *, default: Resources) -> Resources:
    """Read the resources of a container: a JSON object with requests and limits."""
    found = _json_object(env, name)
    if not found:
        return default
    for kind, quantities in found.items():
        if kind not in _KINDS or not isinstance(quantities, dict):
            raise SettingsError(f"{name} has {kind!r}; it must be a JSON object with requests and limits.")
        for resource, quantity in quantities.items():
            if not _QUANTITY.fullmatch(str(quantity)):
                raise SettingsError(
                    f"{name}: {kind}.{resource} is {quantity!r}, which is no quantity such as 500m or 1Gi."
                )
    return {kind: {key: str(value) for key, value in quantities.items()} for kind, quantities in found.items()}


def _json_object(env: Mapping[str, str], name: str) -> dict[str, Any]:
    text = env.get(name, "").strip()
    try:
        found = bounded_json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SettingsError(f"{name} is {text!r}; it must be a JSON object.")
    return found
