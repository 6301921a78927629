"""A folder used as a bucket: entries that buckets do not have, and errors of the disk."""

from __future__ import annotations

import errno
import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.errors import DiskFull, NotFound, StageError, StorageRefused
from trainingrun_agent.storage.folder_store import FolderStore

pytestmark = pytest.mark.contract
SECRET = b"not yours"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder with one image, next to a folder that the store must not read."""
    made = tmp_path / "images"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "a.jpg").write_bytes(b"image")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_bytes(SECRET)
    return made


@pytest.fixture
def store(root: Path) -> FolderStore:
    return FolderStore(root)


def listed(store: FolderStore) -> list[str]:
    return [info.key for info in store.list("")]


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "link out": (lambda root: (root / "odd").symlink_to("../outside/key"), "a link that leads out of the folder"),
    "absolute link out": (
        lambda root: (root / "odd").symlink_to(root.parent / "outside" / "key"),
        "a link that leads out of the folder",
    ),
    "link out by links": (
        lambda root: ((root / "z").symlink_to(root.parent), (root / "odd").symlink_to("z/outside/key")),
        "a link that leads out of the folder",
    ),
    "link to nowhere": (lambda root: (root / "odd").symlink_to("nothing"), "a link that leads nowhere"),
    "link to itself": (lambda root: (root / "odd").symlink_to("odd"), "a link that leads nowhere"),
    "link to a folder": (lambda root: (root / "odd").symlink_to("sub"), "a link to something that is not a file"),
    "link to the root": (lambda root: (root / "odd").symlink_to("."), "a link that leads out of the folder"),
    "pipe": (lambda root: os.mkfifo(root / "odd"), "neither file nor folder"),
}


@pytest.mark.parametrize(("make", "cause"), ODD.values(), ids=ODD)
def test_odd_entries_are_skipped_and_named(
    store: FolderStore, root: Path, make: Callable[[Path], object], cause: str
) -> None:
    make(root)
    assert listed(store) == ["sub/a.jpg"]
    assert store.skipped["odd"] == cause
    assert store.head("odd") is None
    with pytest.raises(NotFound, match="images/odd"):
        store.get("odd", max_bytes=100)


def test_a_socket_does_not_block(store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("odd")
        assert listed(store) == ["sub/a.jpg"]
        with pytest.raises(NotFound):
            store.get("odd", max_bytes=100)


def test_links_to_files_inside_are_files(store: FolderStore, root: Path) -> None:
    (root / "b.jpg").symlink_to("sub/a.jpg")
    (root / "c.jpg").symlink_to("b.jpg")
    assert listed(store) == ["b.jpg", "c.jpg", "sub/a.jpg"]
    assert store.skipped == {}
    assert store.get("c.jpg", max_bytes=5) == b"image"
    info = store.head("b.jpg")
    assert info is not None
    assert info.size == 5


def test_the_folder_itself_may_be_a_link(root: Path) -> None:
    link = root.with_name("link")
    link.symlink_to(root)
    store = FolderStore(link)
    assert (store.bucket, listed(store)) == (str(link), ["sub/a.jpg"])
    store.put("new", b"1")
    assert (root / "new").read_bytes() == b"1"


ESCAPES = ["../outside/key", "sub/../../outside/key", "../images/sub/a.jpg", "out/key", "sub/./a.jpg", "sub\0/a.jpg"]


@pytest.mark.parametrize("key", [*ESCAPES, "/etc/passwd", "sub/..", ".", "", "sub/\udce9.jpg", "x" * 300])
def test_no_key_leads_outside(store: FolderStore, root: Path, key: str) -> None:
    (root / "out").symlink_to("../outside")
    assert store.head(key) is None
    assert list(store.list(f"{key}/")) == list(store.list("../")) == []
    with pytest.raises(NotFound):
        store.get(key, max_bytes=100)
    with pytest.raises(StorageRefused) as refused:
        store.put(key, b"x")
    assert refused.value.reason == "RequestRefused"
    store.delete(key)
    assert (root.parent / "outside" / "key").read_bytes() == SECRET
    assert sorted(path.name for path in root.parent.rglob("*")) == ["a.jpg", "images", "key", "out", "outside", "sub"]


def test_a_folder_that_becomes_a_link_is_noticed_before_it_was_read(store: FolderStore, root: Path) -> None:
    assert store.head("later/key") is None
    (root / "later").symlink_to("../outside")
    assert store.head("later/key") is None


def test_writing_replaces_a_link_and_not_its_target(store: FolderStore, root: Path) -> None:
    (root / "odd").symlink_to("../outside/key")
    assert not store.put("odd", b"x", if_absent=True)
    store.put("odd", b"mine")
    assert (root.parent / "outside" / "key").read_bytes() == SECRET
    assert store.get("odd", max_bytes=4) == b"mine"


def test_names_that_are_not_utf_8_are_skipped(store: FolderStore, root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.jpg")).write_bytes(b"x")
    assert listed(store) == ["sub/a.jpg"]
    assert store.skipped == {"caf\udce9.jpg": "the name is not UTF-8"}


def test_a_file_that_is_being_written_is_not_listed(store: FolderStore) -> None:
    seen: list[list[str]] = []

    class Slow(io.BytesIO):
        def read(self, amount: int | None = -1) -> bytes:
            seen.append(listed(store))
            return super().read(amount)

    store.upload("k", Slow(b"abc"), size=3)
    assert seen[-1] == ["sub/a.jpg"]
    assert listed(store) == ["k", "sub/a.jpg"]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same file system", "another one"])
def test_a_finished_file_is_moved_if_it_can_be(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    file = tmp_path / "finished"
    file.write_bytes(b"records")
    if elsewhere:
        monkeypatch.setattr(Path, "replace", lambda *_: raise_error(errno.EXDEV))
    assert store.take("new/a.tfrecord", file) is not elsewhere
    assert file.exists() is elsewhere
    assert ("new/a.tfrecord" in listed(store)) is not elsewhere


def raise_error(number: int) -> None:
    raise OSError(number, os.strerror(number))


def test_folders_that_become_empty_are_removed(store: FolderStore, root: Path) -> None:
    store.put("x/y/z", b"1")
    store.put("x/w", b"1")
    store.delete("x/y/z")
    assert [path.name for path in (root / "x").iterdir()] == ["w"]
    store.delete("sub/a.jpg")
    store.delete("x/w")
    assert list(root.iterdir()) == []


def test_the_etag_changes_with_time_and_file(store: FolderStore, root: Path) -> None:
    file = root / "sub" / "a.jpg"
    etags = [next(store.list("")).etag]
    os.utime(file, ns=(1, 1))
    etags.append(next(store.list("")).etag)
    copy = root / "copy"
    copy.write_bytes(b"image")
    os.utime(copy, ns=(1, 1))
    copy.rename(file)
    etags.append(next(store.list("")).etag)
    assert len(set(etags)) == 3


@pytest.mark.parametrize("seconds", [-(10**10), 10**12], ids=["before", "beyond"])
def test_a_time_outside_the_range_of_python_is_accepted(store: FolderStore, root: Path, seconds: int) -> None:
    os.utime(root / "sub" / "a.jpg", (seconds, seconds))
    assert listed(store) == ["sub/a.jpg"]


def failing(code: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code), "somewhere")

    return fail


REFUSALS: dict[str, tuple[int, type[StageError], str]] = {
    "no right": (errno.EACCES, StorageRefused, "AccessDenied"),
    "read-only": (errno.EROFS, StorageRefused, "AccessDenied"),
    "full": (errno.ENOSPC, DiskFull, "DiskFull"),
    "over quota": (errno.EDQUOT, DiskFull, "DiskFull"),
    "broken disk": (errno.EIO, StorageRefused, "RequestRefused"),
}


@pytest.mark.parametrize(("code", "kind", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_disk_errors_are_explained(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[StageError], reason: str
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "open": lambda: store.get("sub/a.jpg", max_bytes=9),
        "scandir": lambda: listed(store),
        "replace": lambda: store.put("k", b"x"),
        "link": lambda: store.put("k", b"x", if_absent=True),
        "unlink": lambda: store.delete("sub/a.jpg"),
    }
    for name, call in calls.items():
        if name == "link" and code == errno.EPERM:
            continue
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing(code))
            with pytest.raises(kind) as caught:
                call()
        assert caught.value.reason == reason
        assert f"Errno {code}" not in caught.value.message
        assert store.bucket in caught.value.message
        assert caught.value.hint


def test_a_refused_write_leaves_nothing(
    store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "replace", failing(errno.ENOSPC))
    with pytest.raises(DiskFull):
        store.upload("k", io.BytesIO(b"abc"), size=3)
    assert [path.name for path in root.iterdir()] == ["sub"]


def test_without_hard_links_only_the_first_conditional_put_succeeds(
    store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.ENOTSUP))
    assert store.put("k", b"1", if_absent=True)
    assert not store.put("k", b"2", if_absent=True)
    assert (root / "k").read_bytes() == b"1"
    assert sorted(path.name for path in root.iterdir()) == ["k", "sub"]


def test_many_writers_of_one_key_have_one_winner(store: FolderStore) -> None:
    won: list[bool] = []
    start = threading.Barrier(8)

    def put(number: int) -> None:
        start.wait()
        won.append(store.put("k", str(number).encode(), if_absent=True))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_what_lies_around_a_folder_can_be_looked_at_but_not_the_whole_file_system(root: Path) -> None:
    wider = FolderStore(root).wider()
    assert wider is not None
    store, key = wider
    assert key.endswith("/images/")
    assert [info.key for info in store.list(key)] == [f"{key}sub/a.jpg"]
    assert FolderStore(Path("/usr")).wider() is None
    assert FolderStore(Path("/usr/lib")).bucket == "/usr/lib"
    around = FolderStore(Path("/usr/lib")).wider()
    assert around is not None
    assert (around[0].bucket, around[1]) == ("/usr", "lib/")
