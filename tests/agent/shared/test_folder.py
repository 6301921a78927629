"""The shared folder of a malicious trainer that tries to make the agent read or write elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.errors import Outcome
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.shared.trainer_documents import (
    Restored,
    is_complete,
    read_done,
    read_progress,
    read_ready,
    ready_steps,
)

pytestmark = pytest.mark.contract
SECRET = b"the agent's own credentials"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(SECRET)
    shared = tmp_path / "shared"
    shared.mkdir()
    return shared


@pytest.fixture
def folder(root: Path) -> Iterator[Folder]:
    with Folder.open(root) as opened:
        yield opened


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.symlink_to(path.parent.parent / "secret"), id="symbolic link"),
        pytest.param(lambda path: path.symlink_to("/nowhere"), id="dangling link"),
        pytest.param(os.mkfifo, id="FIFO"),
        pytest.param(lambda path: path.mkdir(), id="folder"),
        pytest.param(sparse, id="sparse file of a terabyte"),
        pytest.param(lambda path: path.write_bytes(b"x" * 2000), id="longer than allowed"),
    ],
)
def test_odd_files_are_refused_without_waiting(folder: Folder, root: Path, make: Callable[[Path], None]) -> None:
    make(root / "file")
    with pytest.raises(UnsafeFileError):
        folder.read("file", max_bytes=1000)


@pytest.mark.parametrize("name", ["", ".", "..", "../secret", "a/b", "/etc/passwd", "a\0b", "x" * 300])
def test_invalid_names_are_refused(folder: Folder, name: str) -> None:
    with pytest.raises(UnsafeFileError):
        folder.read(name, max_bytes=1000)
    with pytest.raises(UnsafeFileError):
        folder.write(name, b"")
    with pytest.raises(UnsafeFileError):
        folder.sub(name, create=True)


def test_folder_that_is_a_link_is_not_entered(folder: Folder, root: Path) -> None:
    (root / "model").symlink_to(root.parent / "outside")
    with pytest.raises(UnsafeFileError):
        folder.sub("model", create=True)
    with pytest.raises(UnsafeFileError):
        folder.walk("model")


def test_write_replaces_a_link_and_leaves_its_target(folder: Folder, root: Path) -> None:
    (root / "spec.json").symlink_to(root.parent / "secret")
    (root / f".spec.json.{os.getpid()}").symlink_to(root.parent / "secret")
    folder.write("spec.json", b"{}")
    assert (root.parent / "secret").read_bytes() == SECRET
    assert (root / "spec.json").read_bytes() == b"{}"
    assert not (root / "spec.json").is_symlink()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.symlink_to(path.parent.parent / "secret"), id="symbolic link"),
        pytest.param(os.mkfifo, id="FIFO"),
    ],
)
def test_only_regular_files_are_linked(folder: Folder, root: Path, make: Callable[[Path], None]) -> None:
    make(root / "file")
    spool = folder.sub("spool", create=True)
    with spool, pytest.raises(UnsafeFileError):
        folder.link("file", spool)
    assert list((root / "spool").iterdir()) == []


def test_path_leads_to_the_opened_folder_after_it_was_swapped(folder: Folder, root: Path) -> None:
    with folder.sub("dataset", create=True) as dataset:
        (root / "dataset").rename(root / "moved")
        (root / "dataset").symlink_to(root.parent / "outside")
        dataset.path("file").write_bytes(b"data")
    assert (root.parent / "outside" / "file").read_bytes() == SECRET
    assert (root / "moved" / "file").read_bytes() == b"data"


def ready_document(step: int = 7, **changes: Any) -> dict[str, Any]:
    names = [f"model.ckpt-{step}.data-00000-of-00001", f"model.ckpt-{step}.index"]
    return {"contractVersion": 1, "step": step, "files": [{"name": n, "size": 3} for n in names]} | changes


def put(root: Path, name: str, document: Any) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def test_ready_names_the_files_of_its_step(folder: Folder, root: Path, contract: Callable[[str, Any], None]) -> None:
    contract("shared-ready", ready_document())
    put(root, "ready/00000007.json", ready_document())
    put(root, "ready/00000012.json", ready_document(12))
    put(root, "ready/latest.json", ready_document())
    assert ready_steps(folder) == [7, 12]
    ready = read_ready(folder, 7)
    assert ready is not None
    assert ready.files == (("model.ckpt-7.data-00000-of-00001", 3), ("model.ckpt-7.index", 3))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("", id="empty"),
        pytest.param("[" * 50_000, id="deeply nested"),
        pytest.param("[]", id="no object"),
        pytest.param(ready_document(contractVersion=99), id="unknown contract"),
        pytest.param(ready_document(step=8), id="another step's content"),
        pytest.param(ready_document(step=True), id="step is a boolean"),
        pytest.param(ready_document(files=[]), id="no files"),
        pytest.param(ready_document(files="model.ckpt-7.index"), id="files is text"),
        pytest.param(ready_document(files=[{"name": "../../secret", "size": 3}] * 2), id="path traversal"),
        pytest.param(
            ready_document(files=[*ready_document()["files"], {"name": "../secret", "size": 3}]), id="one name too many"
        ),
        pytest.param(ready_document(files=ready_document()["files"][:1]), id="no index"),
        pytest.param(ready_document(files=[ready_document()["files"][1]] * 2), id="the same name twice"),
        pytest.param(ready_document(files=ready_document(70)["files"]), id="files of step 70"),
        pytest.param(
            ready_document(files=[{"name": n["name"], "size": -1} for n in ready_document()["files"]]),
            id="negative size",
        ),
        pytest.param(ready_document(files=ready_document()["files"] * 50), id="too many"),
    ],
)
def test_ready_that_breaks_the_contract_is_no_checkpoint(folder: Folder, root: Path, document: Any) -> None:
    put(root, "ready/00000007.json", document)
    assert read_ready(folder, 7) is None


@pytest.mark.parametrize(
    ("names", "complete"),
    [
        pytest.param({"model.ckpt-5.index", "model.ckpt-5.data-00000-of-00001"}, True, id="one data file"),
        pytest.param(
            {"model.ckpt-5.index", "model.ckpt-5.data-00000-of-00002", "model.ckpt-5.data-00001-of-00002"},
            True,
            id="two",
        ),
        pytest.param({"model.ckpt-5.index", "model.ckpt-5.data-00000-of-00002"}, False, id="one of two"),
        pytest.param({"model.ckpt-5.index"}, False, id="index only"),
        pytest.param({"model.ckpt-5.data-00000-of-00001"}, False, id="data only"),
        pytest.param({"model.ckpt-50.index", "model.ckpt-50.data-00000-of-00001"}, False, id="step 50"),
    ],
)
def test_checkpoint_is_complete_with_index_and_all_data(names: set[str], complete: bool) -> None:
    assert is_complete(names, 5) is complete


def test_progress_keeps_what_fits_and_drops_the_rest(folder: Folder, root: Path) -> None:
    put(
        root,
        "progress.json",
        '{"contractVersion": 1, "phase": "training", "updated": 5.0, "lastAdvance": 4, '
        '"step": "9", "loss": NaN, "ap50": 1e999, "mAP": 0.5}',
    )
    progress = read_progress(folder)
    assert progress is not None
    assert (progress.phase, progress.last_advance, progress.mean_ap) == ("training", 4.0, 0.5)
    assert (progress.step, progress.loss, progress.ap50) == (None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="half a document"),
        pytest.param('{"contractVersion": 1, "phase": "dancing", "updated": 1, "lastAdvance": 1}', id="unknown phase"),
        pytest.param(
            '{"contractVersion": 1, "phase": ["training"], "updated": 1, "lastAdvance": 1}', id="phase is a list"
        ),
        pytest.param('{"contractVersion": [1], "phase": "training", "updated": 1, "lastAdvance": 1}', id="odd version"),
        pytest.param('{"contractVersion": 1, "phase": "training", "updated": 1}', id="field missing"),
        pytest.param(
            '{"contractVersion": 1, "phase": "training", "updated": 1, "lastAdvance": 1' + "0" * 400 + "}",
            id="huge number",
        ),
        pytest.param("\xff\xfe", id="no UTF-8 JSON"),
    ],
)
def test_malformed_progress_is_ignored(folder: Folder, root: Path, text: str) -> None:
    (root / "progress.json").write_bytes(text.encode("latin-1"))
    assert read_progress(folder) is None


@pytest.mark.parametrize(
    ("restored", "found"),
    [
        ({"loaded": 3, "total": 4, "startsAnew": "class heads"}, Restored(3, 4, "class heads")),
        ({"loaded": 4, "total": 4}, Restored(4, 4, "")),
        ({"loaded": 0, "total": 4, "startsAnew": "x" * 999}, Restored(0, 4, "x" * 200)),
        ({"loaded": 1, "total": 4, "startsAnew": ["all"]}, Restored(1, 4, "")),
        ({"loaded": 5, "total": 4}, None),
        ({"loaded": -1, "total": 4}, None),
        ({"loaded": True, "total": 4}, None),
        ({"total": 4}, None),
        ([3, 4], None),
        ("3 of 4", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_training_started_from_is_kept_or_dropped(
    folder: Folder, root: Path, restored: Any, found: Restored | None
) -> None:
    good = {"contractVersion": 1, "phase": "building", "updated": 5.0, "lastAdvance": 4}
    put(root, "progress.json", {**good, "restored": restored})
    progress = read_progress(folder)
    assert progress is not None
    assert progress.restored == found


def test_done_is_cut(folder: Folder, root: Path) -> None:
    put(
        root,
        "done.json",
        {"contractVersion": 1, "outcome": "diverged", "reason": "NaN", "message": "b" * 5000},
    )
    done = read_done(folder)
    assert done is not None
    assert (done.outcome, len(done.message)) == (Outcome.DIVERGED, 1500)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"outcome": "great", "reason": "Fine"}, id="unknown outcome"),
        pytest.param({"outcome": ["succeeded"], "reason": "Fine"}, id="outcome is a list"),
        pytest.param({"outcome": "succeeded", "reason": "not camel case"}, id="reason is no reason"),
        pytest.param({"outcome": "succeeded"}, id="no reason"),
    ],
)
def test_done_that_breaks_the_contract_is_ignored(folder: Folder, root: Path, fields: dict[str, Any]) -> None:
    put(root, "done.json", {"contractVersion": 1, "message": "m"} | fields)
    assert read_done(folder) is None


def test_a_repeated_problem_is_logged_once(folder: Folder, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "progress.json").write_text("{ the same trouble")
    for _ in range(5):
        assert read_progress(folder) is None
    assert len(caplog.records) == 1
