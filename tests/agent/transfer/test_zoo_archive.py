"""Archives of pretrained weights: which files are extracted, and what a malicious or broken archive cannot do."""

from __future__ import annotations

import contextlib
import errno
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

import archive_bombs
from trainingrun_agent.transfer import tar_stream, zoo_archive
from trainingrun_agent.transfer.tar_stream import ArchiveUnusableError

INDEX, DATA = "model.ckpt.index", "model.ckpt.data-00000-of-00001"
Add = Callable[[tarfile.TarFile], None]


def regular(name: str, data: bytes = b"weights") -> Add:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))

    return add


def special(name: str, kind: bytes, link: str = "") -> Add:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        archive.addfile(member)

    return add


def write_tar(path: Path, *members: Add, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for add in members:
            add(archive)
    return path


@pytest.mark.parametrize("mode", ["w:gz", "w", "w:bz2", "w:xz"], ids=["gz", "plain", "bz2", "xz"])
def test_only_the_two_checkpoint_files_are_written(tmp_path: Path, mode: str) -> None:
    zoo = "ssd_inception_v2_coco_2018_01_28"
    tar = write_tar(
        tmp_path / "zoo.tar",
        special(zoo, tarfile.DIRTYPE),
        regular(f"{zoo}/{INDEX}", b"index"),
        regular(f"{zoo}/pipeline.config", b"evil"),
        regular(f"{zoo}/frozen_inference_graph.pb"),
        regular(f"{zoo}/model.ckpt.meta"),
        regular(f"{zoo}/{DATA}", b"data"),
        special(f"{zoo}/checkpoint", tarfile.SYMTYPE, "/etc/passwd"),
        regular("../outside", b"evil"),
        mode=mode,
    )
    dest = tmp_path / "out" / "pretrained"
    zoo_archive.unpack_checkpoint(tar, dest)
    written = {path.name: path.read_bytes() for path in dest.iterdir()}
    assert written == {INDEX: b"index", DATA: b"data"}
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and path != tar) == [DATA, INDEX]


NO_FILE = "which is not a regular file"
BOMB = "bytes, more than its packed size makes plausible"
UNUSABLE: dict[str, tuple[list[Add], str]] = {
    "data missing": ([regular(INDEX)], f"holds no {DATA}"),
    "index missing": ([regular(DATA)], f"holds no {INDEX}"),
    "empty": ([], f"holds no {INDEX} and no {DATA}"),
    "several data files": (
        [regular(INDEX), regular("model.ckpt.data-00000-of-00002"), regular("model.ckpt.data-00001-of-00002")],
        f"holds no {DATA}",
    ),
    "absolute": ([regular(f"/etc/{INDEX}")], f"has the path '/etc/{INDEX}', which leads out of it"),
    "dot dot": ([regular(f"zoo/../../{INDEX}")], f"has the path 'zoo/../../{INDEX}', which leads out of it"),
    "symbolic link": ([special(INDEX, tarfile.SYMTYPE, "/etc/passwd")], f"has '{INDEX}', {NO_FILE}"),
    "link to a good file": (
        [regular("good"), special(INDEX, tarfile.LNKTYPE, "good")],
        f"has '{INDEX}', {NO_FILE}",
    ),
    "hard link": ([special(INDEX, tarfile.LNKTYPE, "/etc/passwd")], f"has '{INDEX}', {NO_FILE}"),
    "folder": ([special(INDEX, tarfile.DIRTYPE)], f"has '{INDEX}', {NO_FILE}"),
    "device": ([special(INDEX, tarfile.CHRTYPE)], f"has '{INDEX}', {NO_FILE}"),
    "fifo": ([special(INDEX, tarfile.FIFOTYPE)], f"has '{INDEX}', {NO_FILE}"),
    "duplicate": (
        [regular(f"a/{INDEX}"), regular(f"b/{INDEX}")],
        f"has more than one {INDEX}: 'a/{INDEX}' and 'b/{INDEX}'",
    ),
    "bomb": ([regular(DATA, bytes(8 << 20))], f"has '{DATA}' with 8388608 {BOMB}"),
    "bomb in a file that is not used": ([regular("frozen.pb", bytes(8 << 20))], f"has 'frozen.pb' with 8388608 {BOMB}"),
}


@pytest.mark.parametrize(("members", "cause"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_archives_are_refused_with_their_cause(tmp_path: Path, members: list[Add], cause: str) -> None:
    tar = write_tar(tmp_path / "zoo.tar.gz", *members)
    with pytest.raises(ArchiveUnusableError) as caught:
        zoo_archive.unpack_checkpoint(tar, tmp_path / "out")
    assert str(caught.value) == cause
    assert {path.name for path in tmp_path.rglob("*")} <= {"zoo.tar.gz", "out", INDEX, DATA}


@pytest.mark.parametrize("link", [INDEX, "ckpt"], ids=["of its name", "of its folder"])
def test_a_link_that_comes_first_redirects_nothing(tmp_path: Path, link: str) -> None:
    """If the link were followed, the next member would be written outside of the folder."""
    (tmp_path / "outside").mkdir()
    members = [special(link, tarfile.SYMTYPE, str(tmp_path / "outside")), regular(f"ckpt/{INDEX}"), regular(DATA)]
    tar = write_tar(tmp_path / "zoo.tar.gz", *members)
    with contextlib.suppress(ArchiveUnusableError):
        zoo_archive.unpack_checkpoint(tar, tmp_path / "out")
    assert list((tmp_path / "outside").iterdir()) == []
    assert all(path.is_file() and not path.is_symlink() for path in (tmp_path / "out").iterdir())


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_stream, "MAX_MEMBERS", 3)
    tar = write_tar(tmp_path / "zoo.tar.gz", *(regular(f"file{number}") for number in range(4)))
    with pytest.raises(ArchiveUnusableError, match="has more than 3 members"):
        zoo_archive.unpack_checkpoint(tar, tmp_path / "out")


NOT_WHOLE = "is not a complete .tar.gz or .tar archive: "


@pytest.mark.parametrize("kept", [0, 5, -40], ids=["empty file", "header only", "cut at the end"])
def test_a_truncated_archive_is_unusable(tmp_path: Path, kept: int) -> None:
    tar = write_tar(tmp_path / "zoo.tar.gz", regular(INDEX), regular(DATA, bytes(range(256)) * 16))
    tar.write_bytes(tar.read_bytes()[:kept])
    with pytest.raises(ArchiveUnusableError, match=NOT_WHOLE):
        zoo_archive.unpack_checkpoint(tar, tmp_path / "out")


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><title>404</title>",
        bytes(range(256)) * 9,
        b"PK\x03\x04" + bytes(2000),
        b"\x1f\x8b" + b"x" * 999,
    ],
    ids=["web page", "noise", "zip", "no real gzip"],
)
def test_a_file_that_is_no_archive_gets_a_one_line_message(tmp_path: Path, data: bytes) -> None:
    tar = tmp_path / "zoo.tar.gz"
    tar.write_bytes(data)
    with pytest.raises(ArchiveUnusableError) as caught:
        zoo_archive.unpack_checkpoint(tar, tmp_path / "out")
    assert str(caught.value).startswith(NOT_WHOLE)
    assert len(str(caught.value).splitlines()) == 1


def test_a_full_disk_is_not_blamed_on_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zoo_archive, "_write", full)
    tar = write_tar(tmp_path / "zoo.tar.gz", regular(INDEX), regular(DATA))
    with pytest.raises(OSError, match="No space left") as caught:
        zoo_archive.unpack_checkpoint(tar, tmp_path / "out")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(("make", "cause"), archive_bombs.BOMBS.values(), ids=archive_bombs.BOMBS)
def test_an_archive_that_would_fill_the_memory_is_refused(
    tmp_path: Path, make: Callable[[], bytes], cause: str
) -> None:
    tar = tmp_path / "zoo.tar.gz"
    tar.write_bytes(make())
    with pytest.raises(ArchiveUnusableError) as caught:
        zoo_archive.unpack_checkpoint(tar, tmp_path / "out")
    assert str(caught.value) == cause


def test_what_lies_between_members_counts_as_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo_archive, "MAX_PADDING", 0)
    monkeypatch.setattr(zoo_archive, "MAX_RATIO", 1)
    tar = write_tar(tmp_path / "zoo.tar.gz", *(special(f"folder{number}", tarfile.DIRTYPE) for number in range(100)))
    with pytest.raises(ArchiveUnusableError, match=archive_bombs.IMPLAUSIBLE):
        zoo_archive.unpack_checkpoint(tar, tmp_path / "out")


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["GNU", "PAX"])
def test_long_and_foreign_names_are_read(tmp_path: Path, layout: int) -> None:
    folder = "modèles/" + "a" * 300
    with tarfile.open(tmp_path / "zoo.tar.gz", "w:gz", format=layout, pax_headers={"comment": "of the archive"}) as tar:
        for name, data in ((INDEX, b"index"), (DATA, b"data")):
            regular(f"{folder}/{name}", data)(tar)
    zoo_archive.unpack_checkpoint(tmp_path / "zoo.tar.gz", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {INDEX: b"index", DATA: b"data"}
