"""Small archives that unfold to very much: in their headers, in their members, or in what unpacks them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator

MIB = 1 << 20
BLOCK = tarfile.BLOCKSIZE


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    """A header with the size of what follows."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    """Data of a member, to the end of its last block."""
    return data + bytes(-len(data) % BLOCK)


def packed(*parts: bytes, repeat: bytes = b"", times: int = 0) -> bytes:
    """The parts as .gz, then something repeated, without a checksum: nobody may come to the end."""
    return b"\x1f\x8b\x08" + bytes(7) + b"".join(map(_deflated, parts)) + _deflated(repeat) * times


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def _sparse(blocks: int) -> Iterator[bytes]:
    """A sparse member whose map goes on for many blocks."""
    info = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
    info[482] = 1
    info[148:156] = b" " * 8
    info[148:156] = b"%06o\0 " % sum(info)
    yield bytes(info)
    entries = b"%011o\0%011o\0" % (1, 1) * 21
    yield (entries + b"\1" + bytes(BLOCK - len(entries) - 1)) * blocks


def _bz2(count: int) -> bytes:
    """A name of many MiB, packed by bzip2 to a few kilobytes."""
    return bz2.compress(header(tarfile.GNUTYPE_LONGNAME, count * MIB) + bytes(count * MIB))


def _xz() -> bytes:
    """An .xz that asks for 1.5 GiB to be unpacked."""
    made = lzma.compress(b"small", preset=0)
    at = made.index(b"\x21\x01")  # LZMA2 with one byte of properties: the size of its dictionary
    head = bytearray(made[12 : 12 + (made[12] + 1) * 4])
    head[at + 2 - 12] = 37
    head[-4:] = struct.pack("<L", zlib.crc32(bytes(head[:-4])))
    return made[:12] + bytes(head) + made[12 + len(head) :]


def _negative() -> bytes:
    block = bytearray(header(tarfile.REGTYPE, 0))
    block[124:136] = b"\xff" * 12
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return gzip.compress(bytes(block))


def _sparse_by_records() -> bytes:
    """A member that an extended header makes sparse, as newer versions of GNU tar do."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("x")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
        archive.addfile(info)
    return out.getvalue()


LONG = "has a name or header of more than 65536 bytes"
IMPLAUSIBLE = "unpacks to more bytes than its packed size makes plausible"
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "name of a member": (
        lambda: packed(header(tarfile.GNUTYPE_LONGNAME, 1024 * MIB), repeat=b"a" * MIB, times=1024),
        LONG,
    ),
    "target of a link": (
        lambda: packed(header(tarfile.GNUTYPE_LONGLINK, 1024 * MIB), repeat=b"a" * MIB, times=1024),
        LONG,
    ),
    "extended header": (
        lambda: packed(header(tarfile.XHDTYPE, 1024 * MIB), b"1073741824 path=", repeat=b"a" * MIB, times=1024),
        LONG,
    ),
    "global header": (lambda: packed(header(tarfile.XGLTYPE, 1024 * MIB), repeat=b"a" * MIB, times=1024), LONG),
    "very many names of one member": (
        lambda: packed(repeat=header(tarfile.GNUTYPE_LONGNAME, 1) + padded(b"a"), times=20_000),
        LONG,
    ),
    "map of a sparse member": (lambda: packed(*_sparse(20_000)), "has 'x', which is not a regular file"),
    "name in an .bz2": (lambda: _bz2(16), LONG),
    ".xz that asks for memory": (_xz, "is not a complete .tar.gz or .tar archive: Memory usage limit exceeded"),
    "padding of members without data": (
        lambda: packed(repeat=header(tarfile.DIRTYPE, 0) * 100, times=200),
        "has more than 10000 members",
    ),
    "size below zero": (_negative, "has 'x' with a size below 0"),
    "map of a sparse member in an extended header": (_sparse_by_records, "has 'x', which is not a regular file"),
}
"""With what is wrong with them."""
