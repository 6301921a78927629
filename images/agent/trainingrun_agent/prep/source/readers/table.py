"""CSV with a header, row by row, every cell a string.

Invariant: columns are found by name, whatever their order; no line longer than MAX_LINE is held; a file that is
not one table is UnusableError as a whole, because rows that a stray quote swallowed cannot be distinguished from rows
that never were.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.label_files import ANNOTATION_FORMAT, ANNOTATION_MALFORMED
from trainingrun_agent.prep.source.readers.values import clean, encoding_of, text_of

MAX_LINE = 1 << 20
DELIMITERS = ",;\t"


def delimiter_of(line: str, required: Sequence[str]) -> str:
    """The delimiter under which the header has these columns; empty when there is none."""
    wanted = {name.casefold() for name in required}
    return next((mark for mark in DELIMITERS if wanted <= set(names_in(line, mark))), "")


def header_has(head: bytes, required: Sequence[str]) -> bool:
    """Whether a file that begins like this is a table with these columns."""
    return bool(delimiter_of(_first_line(text_of(head)), required))


class _Columns(dict[str, int]):
    """Positions of columns by name, whatever its case; a position beyond all cells for a missing column."""

    def __missing__(self, name: str) -> int:
        self[name] = self.get(name.casefold(), sys.maxsize)
        return self[name]


class Table:
    """The rows of a file; `no_header` are the columns of one whose first line is a row already.

    The file stays open after the block.
    """

    def __init__(self, file: BinaryIO, required: Sequence[str], *, no_header: Sequence[str] = ()) -> None:
        start = file.read(4)
        file.seek(0)
        self._text = io.TextIOWrapper(file, encoding_of(start), newline="")
        self._required, self._no_header = required, no_header

    def __enter__(self) -> Self:
        """Read the header. Raises UnusableError when it lacks a required column."""
        try:
            self._read_header()
        except UnusableError:
            self._text.detach()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.detach()

    def _read_header(self) -> None:
        if self._no_header:
            self._mark = _mark_of_rows(next(self._lines(), ""), len(self._no_header))
            self._text.seek(0)
            self._columns = _Columns({name: at for at, name in enumerate(self._no_header)})
            return
        required, header = self._required, next(self._lines(), "")
        self._mark = delimiter_of(header, required)
        if not self._mark:
            raise UnusableError(
                ANNOTATION_FORMAT, case="columns", found=header.strip()[:120], columns=",".join(required)
            )
        self._columns = _Columns({name: at for at, name in reversed(list(enumerate(names_in(header, self._mark))))})

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """The line's number, from 2 below a header, and its cells. Raises UnusableError."""
        reader = csv.reader(self._lines(), delimiter=self._mark, strict=True)
        above = 0 if self._no_header else 1
        try:
            for count, cells in enumerate(reader, start=1):
                if reader.line_num != count:
                    raise UnusableError(ANNOTATION_MALFORMED, case="openQuote", line=count + above)
                if any(cells):
                    yield count + above, cells
        except csv.Error as error:
            raise UnusableError(
                ANNOTATION_MALFORMED, case="line", line=reader.line_num + above, problem=str(error)
            ) from error

    def cell(self, cells: list[str], name: str) -> str:
        """A cell by its column's name, cleaned; empty when the row or the header has none."""
        at = self._columns[name]
        return clean(cells[at]) if at < len(cells) else ""

    def raw(self, cells: list[str], name: str) -> str:
        """A cell as it stands, of any length."""
        at = self._columns[name]
        return cells[at] if at < len(cells) else ""

    def _lines(self) -> Iterator[str]:
        number = 0
        while True:
            try:
                line = self._text.readline(MAX_LINE)
            except UnicodeDecodeError as error:
                raise UnusableError(
                    ANNOTATION_MALFORMED, case="encoding", encoding=error.encoding, problem=error.reason
                ) from error
            number += 1
            if len(line) == MAX_LINE:
                raise UnusableError(ANNOTATION_MALFORMED, case="longLine", line=number, limit=MAX_LINE)
            if not line:
                return
            yield line


def _mark_of_rows(line: str, columns: int) -> str:
    """The delimiter that divides a line into so many cells."""
    with suppress(csv.Error):
        return next((mark for mark in DELIMITERS if len(next(csv.reader([line], delimiter=mark), [])) == columns), ",")
    return ","


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text.strip() else ""


def names_in(line: str, mark: str) -> list[str]:
    """Names of the columns in lower case; VIA begins its header with '#'."""
    return [clean(name.strip().strip('"').removeprefix("#")).casefold() for name in line.strip().split(mark)]
