"""Which file is being read, as the kubelet finds it after it has killed the container for memory."""

from __future__ import annotations

import pickle
from pathlib import Path

from trainingrun_agent.current_file import SLOT_BYTES, SLOTS, CurrentFile
from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.model.annotation import Annotation


def lines(path: Path) -> list[str]:
    data = path.read_bytes()
    assert len(data) <= SLOTS * SLOT_BYTES <= 4096  # the kubelet reads no more
    return [line.strip() for line in data.decode().splitlines() if line.strip()]


def test_each_process_has_a_line(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    main = CurrentFile(log)
    workers = [pickle.loads(pickle.dumps(main.in_slot(slot))) for slot in (1, 4)]  # noqa: S301 - pickled here
    main.reading("labels.json")
    for number, worker in enumerate(workers):
        worker.reading(f"photos/{number}.png")
    assert lines(log) == ["reading labels.json", "reading photos/0.png", "reading photos/1.png"]
    workers[0].reading("photos/2.png")
    main.reading("")
    assert lines(log) == ["reading photos/2.png", "reading photos/1.png"]


def test_of_a_long_name_the_end_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    CurrentFile(log).reading("ü/" * 2000 + "a\nb.png")
    [line] = lines(log)
    assert line.endswith("/a b.png")
    CurrentFile(log, SLOTS - 1).reading("\ud800.png")
    assert lines(log)[-1] == "reading ?.png"


def test_a_log_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    CurrentFile(tmp_path / "none" / "termination-log").reading("a.png")
    CurrentFile().reading("a.png")


def test_the_image_that_is_checked_is_named(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    checker = Checker(("tire",), 100, current=CurrentFile(log, 2))
    labels = Annotation("", 0, 0, ())
    checker("photos/a.png", "a.xml", b"no image", labels, format_="")
    assert lines(log) == ["reading photos/a.png"]
