"""Commands that cannot work end with exit code 2 and a sentence or two about what to do, never with a traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_shell import Shell
from voc_data import jpeg

DOCTOR = ("doctor", "images")
CONVERT = ("convert", "images", "--out", "records")

CASES: dict[str, tuple[Callable[[Shell], object], tuple[str, ...], str]] = {
    "no such folder": (
        lambda shell: None,
        ("doctor", "nothing"),
        "error: nothing: No such file or directory: name a folder with images",
    ),
    "a file": (
        lambda shell: shell.write("a.jpg", jpeg()),
        ("doctor", "a.jpg"),
        "error: a.jpg: Not a directory: name a folder with images",
    ),
    "no such folder for evaluation": (lambda shell: None, (*DOCTOR, "--eval", "test"), "error: test: No such file"),
    "the same folder twice": (
        lambda shell: None,
        (*DOCTOR, "--eval", "./images/../images"),
        "is also the folder for training: name another one",
    ),
    "evaluation inside training": (
        lambda shell: shell.add("images/test/e0"),
        (*DOCTOR, "--eval", "images/test"),
        "error: images/test is inside images, so its images would be in both splits",
    ),
    "training inside evaluation": (
        lambda shell: shell.add("images/train/e0"),
        ("doctor", "images/train", "--eval", "images"),
        "error: images/train is inside images, so its images would be in both splits",
    ),
    "a list for evaluation only": (
        lambda shell: None,
        (*DOCTOR, "--eval-image-set", "val"),
        "--eval-image-set without --image-set would train on the evaluation images",
    ),
    "two ways to choose": (
        lambda shell: None,
        (*DOCTOR, "--eval-fraction", "0.1", "--eval-image-set", "val"),
        "both choose the images for evaluation",
    ),
    "labels without images for evaluation": (
        lambda shell: None,
        (*DOCTOR, "--eval-labels", "labels"),
        "--eval-labels needs --eval",
    ),
    "labels of an image set": (
        lambda shell: None,
        (*DOCTOR, "--labels", "labels", "--image-set", "train"),
        "--labels cannot be used with an image set",
    ),
    "labels in a bucket for a local folder": (
        lambda shell: None,
        (*DOCTOR, "--labels", "s3://photos/labels/"),
        "images and --labels s3://photos/labels/ must both be local folders, or both be in buckets",
    ),
    "no such folder of labels": (lambda shell: None, (*DOCTOR, "--labels", "labels"), "error: labels: No such file"),
    "a report among the labels": (
        lambda shell: shell.write("labels/t0.xml", b""),
        (*DOCTOR, "--labels", "labels", "--html", "labels/report.html"),
        "--html labels/report.html is inside labels",
    ),
    "a seed without a fraction": (
        lambda shell: None,
        (*DOCTOR, "--split-seed", "3"),
        "--split-seed and --split-group need --eval-fraction",
    ),
    "a report among the data": (
        lambda shell: None,
        (*DOCTOR, "--json", "images/report.json"),
        "--json images/report.json is inside images, where it would be read as data",
    ),
    "a report in no folder": (
        lambda shell: None,
        (*DOCTOR, "--html", "no/such/report.html"),
        "--html no/such/report.html: folder no/such does not exist",
    ),
    "a report that is a folder": (
        lambda shell: (shell.root / "reports").mkdir(),
        (*DOCTOR, "--json", "reports"),
        "--json reports is a folder: name a file in it",
    ),
    "records among the data": (
        lambda shell: None,
        ("convert", "images", "--out", "images/records"),
        "--out images/records is inside images",
    ),
    "records where something else is": (
        lambda shell: shell.write("records/thesis.docx", b"x"),
        CONVERT,
        "--out records is not empty, it holds thesis.docx: name another folder",
    ),
    "records where a file is": (lambda shell: shell.write("records", b"x"), CONVERT, "--out records: File exists"),
    "a list that is not there": (
        lambda shell: shell.add("images/JPEGImages/x"),
        (*DOCTOR, "--image-set", "trainval", "--classes", "tire"),
        "--image-set: images/ImageSets/Main/trainval.txt does not exist; sets there: none",
    ),
    "no prune of nothing": (lambda shell: None, ("prune", "--folder", "nothing"), "--folder nothing: no such folder"),
}


@pytest.mark.parametrize(("arrange", "words", "message"), CASES.values(), ids=CASES)
def test_is_refused(shell: Shell, arrange: Callable[[Shell], object], words: tuple[str, ...], message: str) -> None:
    arrange(shell)
    before = shell.names()
    ended = shell.run(*words)
    printed = ended.out + ended.err
    assert ended.code == 2, printed
    assert message in printed
    assert "spec." not in printed
    assert shell.names() == before


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no command": ((), "the following arguments are required: COMMAND"),
    "no folder": (("doctor",), "the following arguments are required: FOLDER"),
    "no place": (("convert", "images"), "the following arguments are required: --out"),
    "no bucket": (("prune",), "one of the arguments --bucket --folder is required"),
    "format": ((*DOCTOR, "--format", "xml"), "invalid choice: 'xml'"),
    "network": ((*DOCTOR, "--network", "yolo"), "invalid choice: 'yolo'"),
    "fraction": ((*DOCTOR, "--eval-fraction", "1.5"), "'1.5' is not a fraction between 0 and 1, such as 0.15"),
    "no fraction": ((*DOCTOR, "--eval-fraction", "0.0"), "'0.0' is not a fraction"),
    "both": ((*DOCTOR, "--eval", "x", "--eval-fraction", "0.1"), "not allowed with argument --eval"),
    "seed": ((*DOCTOR, "--split-seed", "-1"), "'-1' is not a whole number, 0 or more"),
    "bad files": ((*DOCTOR, "--max-bad-files", "few"), "'few' is neither a count such as \"5\" nor a percentage"),
    "side": ((*DOCTOR, "--max-image-side", "9"), "'9' is not a number of pixels from 64 to 8192"),
    "intensities": ((*DOCTOR, "--intensity-range", "0-9"), "'0-9' is not two whole numbers, such as 0,16383"),
    "intensities the wrong way round": (
        (*DOCTOR, "--intensity-range", "9,4"),
        "the first value must be below the second",
    ),
    "a class twice": ((*DOCTOR, "--classes", "a,b,a"), "'a' is listed twice"),
    "an empty class": ((*DOCTOR, "--classes", "a,,b"), "'' is not a class name: 1 to 100 printable characters"),
    "too many classes": (
        (*DOCTOR, "--classes", ",".join(map(str, range(501)))),
        "501 class names, but there can be 1 to 500",
    ),
    "no file of classes": ((*DOCTOR, "--classes-file", "no.txt"), "no.txt cannot be read: No such file or directory"),
    "an age": (("prune", "--folder", "x", "--older-than", "soon"), "'soon' is not an age such as 24h, 30d or 8w"),
    "half an option": ((*DOCTOR, "--max-bad", "3"), "unrecognized arguments: --max-bad"),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_named(shell: Shell, words: tuple[str, ...], message: str) -> None:
    ended = shell.run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_a_file_of_classes_that_is_no_text_is_refused(shell: Shell) -> None:
    shell.write("names.txt", b"caf\xe9\n")
    assert "names.txt cannot be read: it is not UTF-8" in shell.run(*DOCTOR, "--classes-file", "names.txt").err


REFUSED: dict[str, tuple[Callable[[Shell], object], str]] = {
    "an empty folder": (lambda shell: (shell.root / "data").mkdir(), "(EmptyTrainSet): data: no image file in it"),
    "images only": (
        lambda shell: shell.write("data/a.jpg", jpeg()),
        "(FormatNotRecognised): --format: auto found no labels; images: 1",
    ),
    "labels only": (
        lambda shell: shell.write("data/a.xml", b"<annotation/>"),
        "(EmptyTrainSet): data: no image file in it",
    ),
    "no image that can be used": (
        lambda shell: shell.add("data/a", b"no image"),
        "(EmptyTrainSet): data: none of its 1 image can be used\n",
    ),
}


@pytest.mark.parametrize(("arrange", "message"), REFUSED.values(), ids=REFUSED)
def test_data_that_cannot_be_trained_on_is_reported(
    shell: Shell, arrange: Callable[[Shell], object], message: str
) -> None:
    arrange(shell)
    for words in (
        ("doctor", "data"),
        ("doctor", "data", "--fail-on", "never"),
        ("convert", "data", "--out", "records"),
    ):
        ended = shell.run(*words)
        assert ended.code == 2
        assert f"This data cannot be used for training {message}" in ended.out
        assert "spec." not in ended.out + ended.err


def test_a_class_without_objects_is_reported_with_the_nearest_name(shell: Shell) -> None:
    ended = shell.run(*DOCTOR, "--classes", "Tire")
    assert ended.code == 2
    assert "--classes: no object of class 'Tire' (did you mean 'tire'?) in images" in ended.out


@pytest.mark.parametrize(("code", "text"), [(errno.EACCES, "Permission denied"), (errno.EIO, "Input/output error")])
def test_a_file_that_cannot_be_read_ends_the_command(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, code: int, text: str
) -> None:
    opened = os.open

    def refused(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("t1.jpg"):
            raise OSError(code, os.strerror(code), path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refused)
    ended = shell.run(*DOCTOR)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"trainingrun: error: images/t1.jpg: {text}\ntrainingrun: ")
    assert shell.names() == ["images"]


def test_a_full_disk_ends_the_command(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    ended = shell.run(*CONVERT)
    assert ended.code == 2
    assert "No space left on device" in ended.err
    assert "Free some space" in ended.err


@pytest.mark.parametrize("name", ["mkdir", "touch"])
def test_a_folder_that_cannot_be_written_to_is_reported_before_the_work(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, name, refused)
    ended = shell.run(*CONVERT)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "trainingrun: error: --out records: Permission denied: name a folder that can be written to\n"


def test_a_report_that_cannot_be_written_is_reported(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    ended = shell.run(*DOCTOR, "--json", "report.json")
    assert ended.code == 2
    assert "--json report.json: folder" in ended.err
    assert "cannot be written to" in ended.err
