"""The variables of every network in outline, as graphs built by the Object Detection API have them.

tests/trainer/test_every_network.py builds the graphs and compares them with `network_variables.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

RECORDED: dict[str, list[str]] = json.loads(Path(__file__).with_name("network_variables.json").read_text())


def outline(names: Iterable[str]) -> list[str]:
    """The first three parts of each name, once, with # for numbers in the first and the third part."""
    return sorted({_cut(name) for name in names if "/" in name})


def _cut(name: str) -> str:
    first, second, *rest = name.split("/")
    return "/".join((_numbered(first), second, *map(_numbered, rest[:1])))


def _numbered(part: str) -> str:
    return re.sub(r"(?<=_)\d+", "#", part)
