"""Describe a daemon of the cluster as data.

Invariant: a Component has no state; names, folders and ports come from the Layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from .layout import Layout


class Stage(IntEnum):
    """Order of start: each stage needs the previous one to be ready."""

    STORE = 1  # needs no certificates: starts while they are made
    API = 2
    REST = 3


def _no_environment(_layout: Layout) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Component:
    """One daemon: its name (also of log, pid file and service), command line and environment."""

    name: str
    stage: Stage
    argv: Callable[[Layout], Sequence[str]]
    environment: Callable[[Layout], Mapping[str, str]] = _no_environment
    on_host: bool = False
    """Whether it runs on the host also in tier node."""


def flags(**values: str | int | bool) -> list[str]:
    """``flags(secure_port=1)`` -> ``["--secure-port=1"]``, in the order given."""
    return [f"--{name.replace('_', '-')}={_text(value)}" for name, value in values.items()]


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
