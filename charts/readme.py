"""Write the table of values in the chart's README from values.yaml and its comments.

Invariant: every value has a comment, or a value above it has one. `--check` writes nothing and fails when the README is
out of date.
"""
# ruff: noqa: INP001 - a program, not part of a package

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "charts" / "trainingrun-operator"
README: Final = CHART / "README.md"
START: Final = "<!-- Generated from values.yaml by charts/readme.py: change it there. -->\n"
END: Final = "<!-- End of the generated part. -->\n"
KEY: Final = re.compile(r"( *)(\w+):")


class ValuesError(Exception):
    """A value has no comment; the message names the value."""


def table(text: str) -> str:
    """The table for the text of values.yaml, as Markdown; raises ValuesError for a value without a comment."""
    values = yaml.safe_load(text)
    comments = dict(_comments(text))
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, comment in comments.items():
        inner = [text for other, text in comments.items() if other.startswith(f"{path}.")]
        if comment:
            shown = "" if any(inner) else f"`{_text(_value_at(values, path))}`"
            lines.append(f"| `{path}` | {shown} | {comment} |")
        elif not any(inner) and not any(comments[parent] for parent in _parents(path)):
            raise ValuesError(f"values.yaml: {path} has no comment above it")
    return "\n".join(lines) + "\n"


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Path and comment of every key at the beginning of a line, in the order of the file."""
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        key = KEY.match(line)
        if key:
            path = [*path[: len(key[1]) // 2], key[2]]
            yield ".".join(path), " ".join(comment)
        content = line.strip().removeprefix("#")
        comment = [*comment, content.strip()] if content != line.strip() else []


def _parents(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _value_at(values: Mapping[str, Any], path: str) -> Any:
    return reduce(lambda found, key: found[key], path.split("."), values)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def main() -> int:
    """Write the README, or with --check compare it; returns 1 when it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the README is out of date")
    check = parser.parse_args().check
    text, values = README.read_text(encoding="utf-8"), (CHART / "values.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition(START)
    wanted = f"{head}{START}\n{table(values)}\n{END}{rest.partition(END)[2]}"
    if text == wanted:
        return 0
    if check:
        sys.stderr.write(f"{README.relative_to(ROOT)} is out of date: run 'make chart'\n")
        return 1
    README.write_text(wanted, encoding="utf-8")
    sys.stdout.write(f"wrote {README.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
