"""Read commands and their expected output from the fenced blocks of a documentation page.

A `sh` block holds commands; a `console` block holds commands after `$ `, each followed by its output. In the output,
`…` stands for any text, and line breaks do not count.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^```(\w*)$")
_HEADING: Final = re.compile(r"^#+ (.+)$")
_PROMPT: Final = "$ "
# Parts of an output that change between two calls.
_VOLATILE: Final = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<digest>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uid>"),
    (re.compile(r"(?<=-)[0-9a-f]{8}\b"), "<uid8>"),
    (re.compile(r"(?<=-\d-)[a-z0-9]{5}\b"), "<pod>"),
    (re.compile(r"\b\d+[smhd](\d+[smh])?\b"), "<age>"),
    (re.compile(r"\b\d+\.\d{3}\b"), "<score>"),
    (re.compile(r"http://127\.0\.0\.1:\d+|http://s3\.storage:7070"), "<endpoint>"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page; it starts at `line`, and `shown` is the output that the page shows for it."""

    page: str
    line: int
    heading: str
    text: str
    shown: str = ""

    @property
    def location(self) -> str:
        """Page and line, for messages and test ids."""
        return f"{self.page}:{self.line}"


def commands(page: Path) -> list[Command]:
    """List the commands of a page in their order."""
    found: list[Command] = []
    heading, kind = "", ""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence and not kind:
            kind, block = fence[1] or "text", []
        elif fence:
            read = {"sh": _from_script, "console": _from_console}.get(kind)
            parts = read(block) if read else ()
            found += [Command(page.name, line, heading, text, shown) for line, text, shown in parts]
            kind = ""
        elif kind:
            block.append((number, line))
        elif title := _HEADING.match(line):
            heading = title[1]
    return found


def _from_script(block: list[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    start, text = 0, ""
    for number, line in block:
        start = start if text else number
        text += re.sub(r"(^|\s{2})#\s.*$", "", line).rstrip()
        if text.endswith("\\"):
            text = text.removesuffix("\\")
            continue
        if text.strip():
            yield start, " ".join(text.split()), ""
        text = ""


def _from_console(block: list[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    starts = [index for index, (_, line) in enumerate(block) if line.startswith(_PROMPT)]
    for start, end in zip(starts, [*starts[1:], len(block)], strict=True):
        number, line = block[start]
        yield number, line.removeprefix(_PROMPT), "\n".join(text for _, text in block[start + 1 : end])


def difference(shown: str, real: str) -> str:
    """Compare the output that a page shows with the real one; returns a diff, empty when they match."""
    wanted, got = _plain(shown), _plain(real)
    if re.fullmatch(".*?".join(map(re.escape, wanted.split("…"))), got):
        return ""
    was, now = shown.splitlines(), real.splitlines()
    if shown.startswith("…"):  # an excerpt, usually the end
        now = now[-4 * len(was) :]
    lines = difflib.ndiff(was, now)
    return "\n".join(line for line in lines if not line.startswith("?"))


def _plain(text: str) -> str:
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return "".join(text.split())
