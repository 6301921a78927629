"""Archives of pretrained weights: what is taken out, and what a hostile or broken one cannot do."""

from __future__ import annotations

import errno
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from trainingrun_agent import pretrained
from trainingrun_agent.errors import UserError

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
    pretrained.unpack_checkpoint(tar, dest)
    written = {path.name: path.read_bytes() for path in dest.iterdir()}
    assert written == {INDEX: b"index", DATA: b"data"}
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and path != tar) == [DATA, INDEX]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        pytest.param([regular(INDEX)], "holds no model.ckpt.data-00000-of-00001", id="data missing"),
        pytest.param([regular(DATA)], "holds no model.ckpt.index", id="index missing"),
        pytest.param([], "holds no model.ckpt.index and no", id="empty"),
        pytest.param(
            [regular(INDEX), regular("model.ckpt.data-00000-of-00002"), regular("model.ckpt.data-00001-of-00002")],
            "holds no model.ckpt.data-00000-of-00001",
            id="several data files",
        ),
        pytest.param([regular(f"/etc/{INDEX}")], "leads out of it", id="absolute"),
        pytest.param([regular(f"zoo/../../{INDEX}")], "leads out of it", id="dot dot"),
        pytest.param([special(INDEX, tarfile.SYMTYPE, "/etc/passwd")], "no regular file", id="symbolic link"),
        pytest.param([special(INDEX, tarfile.LNKTYPE, "/etc/passwd")], "no regular file", id="hard link"),
        pytest.param([special(INDEX, tarfile.CHRTYPE)], "no regular file", id="device"),
        pytest.param([special(INDEX, tarfile.FIFOTYPE)], "no regular file", id="fifo"),
        pytest.param([regular(f"a/{INDEX}"), regular(f"b/{INDEX}")], "more than one model.ckpt.index", id="duplicate"),
        pytest.param([regular(DATA, bytes(8 << 20))], "more than its packed size makes plausible", id="bomb"),
        pytest.param(
            [regular("frozen.pb", bytes(8 << 20))], "more than its packed size makes plausible", id="bomb beside"
        ),
    ],
)
def test_unusable_archives_are_refused_with_their_cause(tmp_path: Path, members: list[Add], said: str) -> None:
    tar = write_tar(tmp_path / "zoo.tar.gz", *members)
    with pytest.raises(UserError) as caught:
        pretrained.unpack_checkpoint(tar, tmp_path / "out")
    assert caught.value.reason == "PretrainedUnusable"
    assert said in caught.value.message
    assert "model.pretrained" in caught.value.message
    assert caught.value.hint


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "MAX_MEMBERS", 3)
    tar = write_tar(tmp_path / "zoo.tar.gz", *(regular(f"file{number}") for number in range(4)))
    with pytest.raises(UserError, match="more than 3 members"):
        pretrained.unpack_checkpoint(tar, tmp_path / "out")


@pytest.mark.parametrize("kept", [0, 5, -40], ids=["empty file", "header only", "cut at the end"])
def test_a_cut_archive_is_the_users_to_mend(tmp_path: Path, kept: int) -> None:
    tar = write_tar(tmp_path / "zoo.tar.gz", regular(INDEX), regular(DATA, bytes(range(256)) * 16))
    tar.write_bytes(tar.read_bytes()[:kept])
    with pytest.raises(UserError, match="PretrainedUnusable"):
        pretrained.unpack_checkpoint(tar, tmp_path / "out")


def test_a_full_disk_is_not_blamed_on_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pretrained, "_write", full)
    tar = write_tar(tmp_path / "zoo.tar.gz", regular(INDEX), regular(DATA))
    with pytest.raises(OSError, match="No space left") as caught:
        pretrained.unpack_checkpoint(tar, tmp_path / "out")
    assert caught.value.errno == errno.ENOSPC
