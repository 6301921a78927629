"""Read JSON from a file value by value, without holding the whole document in memory.

Invariant: memory is bounded by MAX_VALUE whatever the file's size; bytes of any kind give values or UnusableError.
Python's own decoder does the decoding, so NaN and Infinity, which label tools write, are numbers here.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.kind import Value
from trainingrun_agent.prep.model.codes.label_files import ANNOTATION_MALFORMED, ANNOTATION_TOO_LARGE
from trainingrun_agent.prep.source.readers.values import encoding_of

MAX_VALUE = 2 << 20
"""Characters of one value that is decoded at once: the labels of one image or object."""
CHUNK = 64 << 10
_TAIL = 16  # characters: an error so close to the end of the text read so far may be a value that is cut
_DANGLING = 2  # characters after a number that may be the beginning of the rest of it: `.`, `e`, `e-`
_BLANKS = " \t\r\n"
_NO_BLANK = re.compile(f"[^{_BLANKS}]")
_DECODER = json.JSONDecoder()


class JSONStream:
    """Reads a document from its start; `source` is read in chunks."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._decoder: codecs.IncrementalDecoder | None = None
        self._text, self._at, self._before = "", 0, 0
        self._ended = False
        self._taken = 0

    def peek(self) -> str:
        """The next character that is not blank; empty at the end. Raises UnusableError for bytes that are not text."""
        while True:
            if self._text[self._at : self._at + 1] in _BLANKS:
                found = _NO_BLANK.search(self._text, self._at)
                self._at = len(self._text) if found is None else found.start()
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def members(self) -> Iterator[str]:
        """The keys of the next object; values that the caller does not read are skipped."""
        for _ in self._separated("{", "}"):
            key = self.value()
            if not isinstance(key, str) or self.peek() != ":":
                raise self._expected("a key and ':'")
            self._at += 1
            before = self._taken
            yield key
            if self._taken == before:
                self.skip()

    def elements(self) -> Iterator[Any]:
        """The elements of the next array, each decoded at once."""
        for _ in self._separated("[", "]"):
            yield self.value()

    def items(self) -> Iterator[None]:
        """Yields once per element of the next array; the caller has to read the element."""
        yield from self._separated("[", "]")

    def value(self) -> Any:
        """The next value, decoded at once. Raises UnusableError."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                unfinished = error.msg.startswith("Unterminated") or error.pos > len(self._text) - _TAIL
                self._grow(str(error.msg), at=error.pos, unfinished=unfinished)
                continue
            except (RecursionError, ValueError) as error:
                raise self._malformed("jsonTooDeep") from error
            length, rest = end - self._at, len(self._text) - end
            if rest <= _DANGLING and self._more():
                continue  # a number may continue in the next part
            if length > MAX_VALUE:
                raise self._too_long()
            self._at += length
            self._taken += 1
            return value

    def skip(self) -> None:
        """Skip the next value, of any size: its members or elements one by one."""
        kind = self.peek()
        if kind == "{":
            for _ in self._separated("{", "}"):
                self.value()
                if self.peek() != ":":
                    raise self._expected("':'")
                self._at += 1
                self.value()
        elif kind == "[":
            for _ in self.elements():
                pass
        else:
            self.value()

    def end(self) -> None:
        """Raises UnusableError when anything but blanks follows."""
        if self.peek():
            raise self._malformed("jsonContinues")

    def _separated(self, opening: str, closing: str) -> Iterator[None]:
        if self.peek() != opening:
            raise self._expected(f"{opening!r}")
        self._at += 1
        if self.peek() != closing:
            while True:
                yield
                mark = self.peek()
                if mark == closing:
                    break
                if mark != ",":
                    raise self._expected(f"',' or {closing!r}")
                self._at += 1
        self._at += 1
        self._taken += 1

    def _grow(self, why: str, *, at: int, unfinished: bool) -> None:
        """Read as much again as is in memory; raises UnusableError if that cannot help."""
        where = self._before + at
        if unfinished and len(self._text) - self._at > MAX_VALUE:
            raise self._too_long()
        if not (unfinished and self._more(len(self._text) - self._at)):
            cut_off = self._ended and where >= self._before + len(self._text)
            raise self._malformed("jsonCutOff" if cut_off else "json", at=where, problem=why)

    def _more(self, amount: int = 0) -> bool:
        if self._ended:
            return False
        data = self._source.read(max(CHUNK, amount))
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder(encoding_of(data))()
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise UnusableError(
                ANNOTATION_MALFORMED, case="encoding", encoding=error.encoding, problem=error.reason
            ) from error
        self._ended = not data
        self._before += self._at
        self._text, self._at = self._text[self._at :] + text, 0
        return not self._ended or bool(text)

    def _too_long(self) -> UnusableError:
        return UnusableError(ANNOTATION_TOO_LARGE, case="value", limit=MAX_VALUE, at=self._here)

    def _expected(self, what: str) -> UnusableError:
        """The error for a document that continues with something else, or ends."""
        return self._malformed("jsonExpected", expected=what)

    def _malformed(self, case: str, **fields: Value) -> UnusableError:
        return UnusableError(ANNOTATION_MALFORMED, index=None, **{"case": case, "at": self._here, **fields})

    @property
    def _here(self) -> int:
        return self._before + self._at
