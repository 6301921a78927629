"""Read the members of a tar archive, packed or not, one after the other.

Python's tarfile holds names and extended headers in memory however long they are. Invariant: memory does not grow with
the archive, nor with what its headers claim; any bytes give members or ArchiveUnusableError.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

BLOCK: Final = tarfile.BLOCKSIZE
CHUNK: Final = 1 << 20
MAX_MEMBERS: Final = 10_000
MAX_HEADER_BYTES: Final = 64 << 10
"""Of the names and extended headers of one member."""
MAX_SHOWN: Final = 200
MAX_DICTIONARY: Final = 128 << 20
"""Memory that an .xz may ask for; `xz -9` takes 65 MiB."""
_EXTENDED, _GLOBAL = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), tarfile.XGLTYPE
_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


class Readable(Protocol):
    """Something to read from; fewer bytes than asked for mean that it has ended."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""


class ArchiveUnusableError(Exception):
    """An archive that cannot be used; the text continues a sentence that starts with its name."""


@dataclass(frozen=True)
class Member:
    """One member; `size` in bytes of its data, `regular` for an ordinary file."""

    name: str
    size: int
    regular: bool

    @property
    def shown(self) -> str:
        """The name for messages."""
        return repr(self.name[:MAX_SHOWN])


class TarStream:
    """Yields members; `chunks` reads the data of the last one, which may be left unread."""

    def __init__(self, file: Readable, *, max_bytes: int) -> None:
        self._file, self._left = file, max_bytes
        self._data = self._padding = 0
        self._begun = False

    def __iter__(self) -> Iterator[Member]:
        for _ in range(MAX_MEMBERS):
            member = self._next()
            if member is None:
                return
            yield member
        raise ArchiveUnusableError(f"has more than {MAX_MEMBERS} members")

    def chunks(self) -> Iterator[bytes]:
        """The data of the last member."""
        while self._data:
            data = self._read(min(CHUNK, self._data))
            if not data:
                raise EOFError("unexpected end of data")
            self._data -= len(data)
            yield data

    def _next(self) -> Member | None:
        """The next member, None at the end; headers that come before its own are about it."""
        given: dict[str, str] = {}
        room = MAX_HEADER_BYTES
        while True:
            self._skip()
            header = self._header()
            if header is None:
                return None
            kind = header.type
            if kind not in (*_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK):
                return self._member(header, given)
            room -= BLOCK + header.size
            if room < 0:
                raise ArchiveUnusableError(f"has a name or header of more than {MAX_HEADER_BYTES} bytes")
            self._begin(header.size)
            text = b"".join(self.chunks())
            if kind == _LONG_NAME:
                given["path"] = _text(text)
            elif kind in _EXTENDED:
                given |= _records(text)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._read(BLOCK)
        if (not block and self._begun) or block == bytes(BLOCK):
            return None
        self._begun = True
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.size < 0:
            raise ArchiveUnusableError(f"has {header.name[:MAX_SHOWN]!r} with a size below 0")
        return header

    def _member(self, header: tarfile.TarInfo, given: dict[str, str]) -> Member:
        name = given.get("path", header.name)
        size = int(given["size"]) if given.get("size", "").isdecimal() else header.size
        sparse = header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in given)
        if sparse:  # what it unpacks to is written elsewhere in the archive
            raise ArchiveUnusableError(f"has {name[:MAX_SHOWN]!r}, which is not a regular file")
        folder = header.type == tarfile.AREGTYPE and name.endswith("/")
        self._begin(0 if folder or header.type in _WITHOUT_DATA else size)
        return Member(name, size, header.type in _FILES and not folder)

    def _begin(self, size: int) -> None:
        self._data, self._padding = size, -size % BLOCK

    def _skip(self) -> None:
        """Read to the end of the last member, which cannot be left out of a packed archive."""
        for _ in self.chunks():
            pass
        self._read(self._padding)
        self._padding = 0

    def _read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise ArchiveUnusableError("unpacks to more bytes than its packed size makes plausible")
        return self._file.read(size)


class _XzFile:
    """Reads an .xz, which may not ask for any amount of memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decompressor = lzma.LZMADecompressor(memlimit=MAX_DICTIONARY)

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        found = bytearray()
        while len(found) < size and not self._decompressor.eof:
            packed = self._file.read(CHUNK) if self._decompressor.needs_input else b""
            if self._decompressor.needs_input and not packed:
                break
            found += self._decompressor.decompress(packed, size - len(found))
        return bytes(found)


@contextmanager
def opened(path: Path, *, max_bytes: int) -> Iterator[TarStream]:
    """Open an archive, of which at most `max_bytes` are unpacked. Raises ArchiveUnusableError."""
    try:
        with path.open("rb") as file, _unpacked(file) as unpacked:
            yield TarStream(unpacked, max_bytes=max_bytes)
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of this machine, such as a full disk; those of decompressors have no errno
        raise ArchiveUnusableError(f"is not a complete .tar.gz or .tar archive: {_first_line(error)}") from error


def _unpacked(file: IO[bytes]) -> AbstractContextManager[Readable]:
    """The file without its compression; each of these unpacks no more than is read."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return nullcontext(_XzFile(file) if start == b"\xfd7zXZ\0" else file)


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _records(data: bytes) -> dict[str, str]:
    """The records of an extended header: `<length> <key>=<value>` and a line break each. Raises ValueError."""
    found: dict[str, str] = {}
    while data:
        length = int(data[:8].partition(b" ")[0])
        record = data[:length].partition(b" ")[2]
        if length < 5 or len(data) < length:
            raise ValueError("an extended header is damaged")
        key, _, value = record[:-1].partition(b"=")
        found[_text(key)] = _text(value)
        data = data[length:]
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
