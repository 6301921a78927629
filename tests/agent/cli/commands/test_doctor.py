"""`trainingrun doctor`: the same findings as in a pod, printed on a terminal, and an exit code by their severity."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_shell import Shell
from label_sets import CLASSES, SETS, images
from prep_in_memory import Preparation
from trainingrun_agent.cli import main, preparation
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.stopping import raise_if_stopped
from voc_data import encoded, jpeg, labelled, picture, voc

SWAPPED = voc([labelled(box=(60, 80, 10, 20))])
OUTSIDE = voc([labelled(), labelled(box=(500, 500, 600, 600))])
INFO = voc([labelled()], size=None)
CLEAN = """\
3 usable images with 3 objects of 1 class, pascalVOC labels
No --classes given, so all names in the labels are used: --classes tire

                     train
images                   3
  without objects        0
bad files                0
objects                  3
  tire                   3

No findings. This data can be used for training.

The dataset of a TrainingRun that trains on it:

dataset:
  train:
    uri: "s3://BUCKET/images/"
    format: pascalVOC
  evalFraction: "0.15"
  splitSeed: 5
  classes: [tire]
"""


def test_clean_data_has_no_findings(shell: Shell) -> None:
    ended = shell.run("doctor", "images")
    assert (ended.code, ended.out, ended.err) == (0, CLEAN, "")
    assert shell.names() == ["images"]


def test_findings_are_printed_by_code_with_examples(shell: Shell) -> None:
    for index in range(5):
        shell.add(f"images/swapped{index}", jpeg(seed=10 + index), SWAPPED)
    shell.add("images/cut", jpeg(seed=20)[:-30])
    shell.add("test/e0", jpeg(seed=30))
    ended = shell.run("doctor", "images", "--eval", "test", "--classes", "tire", "--max-bad-files", "1")
    assert ended.code == 1
    text = ended.out
    assert text.startswith("9 usable images with 9 objects of 1 class, pascalVOC labels\n\n")
    assert "                     train     eval\nimages                   8        1\n" in text
    assert "\nerror ImageTruncated: file skipped\n    train cut.jpg: image file is truncated" in text
    assert "\n  → The end of the file is missing: replace the file with a complete copy.\n" in text
    swapped = "'tire' (xmin, ymin, xmax, ymax) = (60, 80, 10, 20)"
    assert "\nwarning BoxSwapped, 5 times: swapped the corners\n" in text
    assert "".join(f"    train swapped{index}.xml object 0: {swapped}\n" for index in range(3)) in text
    assert "\n    … and 2 more\n  → Draw the box again in the label tool.\n" in text
    assert "\nWhat a code means for a detector, with an example: trainingrun explain ImageTruncated\n" in text
    assert "\n1 error, 5 warnings\nThis data can be used for training, without the files that have errors.\n" in text


def report_of(shell: Shell, *words: str) -> Any:
    code = shell.run("doctor", *words, "--json", "report.json").code
    assert code in (0, 1)
    return json.loads((shell.root / "report.json").read_text())


@pytest.mark.parametrize("name", SETS)
def test_doctor_finds_what_preparation_finds_in_every_format(
    shell: Shell, prep: Preparation, contract: Callable[[str, Any], None], name: str
) -> None:
    written = SETS[name][1]()
    for split in ("train", "eval"):
        files = {**images(split=split), **written, "broken.jpg": b"no image", "cut.png": encoded(picture(), "PNG")[:40]}
        for path, data in files.items():
            shell.write(f"{split}/{path}", data)
            prep.memory.objects[f"{split}/{path}"] = data
    prep.classes, prep.max_bad_files = CLASSES, "50%"
    prep.run()
    options = ("--eval", "eval", "--max-bad-files", "50%", "--classes", ",".join(CLASSES))
    found = report_of(shell, "train", *options)
    contract("report", found)
    assert found["counts"]
    assert found.pop("dataset")["classes"] == list(CLASSES)
    assert {**found, "digest": ""} == {**prep.document("report.json"), "digest": ""}


def test_doctor_finds_what_preparation_finds_in_refused_data(shell: Shell, prep: Preparation) -> None:
    for index, xml in enumerate((SWAPPED, OUTSIDE, INFO, voc([labelled("Tire")]), b"<annotation>", voc([]))):
        shell.add(f"train/{index}", jpeg(seed=index), xml)
        prep.add(str(index), jpeg(seed=index), xml)
    prep.eval = None  # type: ignore[assignment]
    with pytest.raises(Exception, match="TooManyBadFiles"):
        prep.run()
    found = report_of(shell, "train", "--classes", "tire")
    assert set(found["counts"]) >= {"BoxSwapped", "BoxOutside", "SizeMissing", "ClassSpelling", "AnnotationMalformed"}
    in_pod = prep.document("report.json")
    assert {**found, "digest": "", "verdict": ""} == {**in_pod, "digest": "", "verdict": ""}
    assert found["verdict"]["reason"] == in_pod["verdict"]["reason"] == "TooManyBadFiles"
    assert "spec." not in json.dumps(found)


SEVERITIES: dict[str, tuple[bytes, tuple[int, int, int]]] = {
    "nothing": (voc(), (0, 0, 0)),
    "an info": (INFO, (0, 0, 0)),
    "a warning": (OUTSIDE, (0, 1, 0)),
    "an error": (voc([labelled("Tire")]), (1, 1, 0)),
}


@pytest.mark.parametrize("allowed", ["0", "50%"])
@pytest.mark.parametrize(("xml", "codes"), SEVERITIES.values(), ids=SEVERITIES)
def test_the_exit_code_follows_the_severity(
    shell: Shell, xml: bytes, codes: tuple[int, int, int], allowed: str
) -> None:
    shell.add("images/t9", jpeg(seed=9), xml)
    words = ("doctor", "images", "--classes", "tire", "--max-bad-files", allowed, "--fail-on")
    assert tuple(shell.run(*words, limit).code for limit in ("error", "warning", "never")) == codes


def test_too_many_bad_files_are_reported_with_command_line_options(shell: Shell) -> None:
    shell.add("images/t9", b"")
    ended = shell.run("doctor", "images")
    assert ended.code == 1
    end = ended.out.partition("\n1 error\n")[2]
    assert end == (
        "This data cannot be used for training (TooManyBadFiles): 1 bad file among 4 images (--max-bad-files 0 allows"
        " 0)\n"
        "Correct the files that the report names, then run the command again; or use a higher --max-bad-files.\n"
    )


def test_without_evaluation_data_the_report_has_no_eval_split(shell: Shell) -> None:
    found = report_of(shell, "images")
    assert set(found["splits"]) == {"train"}
    assert found["counts"] == {}


def test_a_fraction_is_kept_for_evaluation(shell: Shell) -> None:
    for index in range(40):
        shell.add(f"images/folder{index}/{index}", jpeg(seed=100 + index))
    words = ("images", "--eval-fraction", "0.25", "--split-group", "folder", "--split-seed")
    found = [report_of(shell, *words, seed)["splits"] for seed in ("1", "1", "2")]
    assert all(splits["train"]["images"] + splits["eval"]["images"] == 43 for splits in found)
    assert found[0] == found[1]
    assert 1 <= found[0]["eval"]["images"] <= 25


def test_labels_may_be_in_a_folder_of_their_own(shell: Shell) -> None:
    boxes = [labelled(box=(10 + at, 20, 60 + at, 80)) for at in (0, 30, 60)]
    for index in range(2):
        shell.write(f"photos/{index}.jpg", jpeg(seed=index))
        shell.write(f"test/{index}.jpg", jpeg(seed=10 + index))
        shell.write(f"truth/photos/{index}.xml", voc(boxes[: index + 1]))
        shell.write(f"truth/test/{index}.xml", voc(boxes))
    words = ("photos", "--labels", "truth/photos", "--eval", "test", "--eval-labels", "truth/test")
    found = report_of(shell, *words)
    assert found["splits"]["train"]["perClass"] == {"tire": 3}
    assert found["splits"]["eval"]["perClass"] == {"tire": 6}
    assert report_of(shell, "photos", "--labels", "truth/photos")["classes"] == ["tire"]


@pytest.mark.parametrize("folder", ["set/images/train", "set/images", "set", "set/images/../images/train/"])
def test_labels_beside_a_local_folder_are_found_as_in_a_bucket(shell: Shell, folder: str) -> None:
    for index in range(2):
        shell.write(f"set/images/train/{index}.jpg", jpeg(seed=index))
        shell.write(f"set/labels/train/{index}.txt", b"0 0.5 0.5 0.25 0.5\n")
    found = report_of(shell, folder, "--classes", "tire")
    assert found["splits"]["train"]["perClass"] == {"tire": 2}
    told = [one["file"] for one in found["findings"] if one["code"] == "LabelsElsewhere"]
    beside = {"set/images": "../labels/", "set": None}.get(folder, "../../labels/train/")
    assert told == ([beside] if beside else [])


def test_labels_beside_a_local_folder_that_holds_splits_are_found_for_each_split(shell: Shell) -> None:
    for split, boxes in (("train", b"0 0.5 0.5 0.25 0.5\n"), ("val", b"0 0.5 0.5 0.25 0.5\n0 0.5 0.5 0.5 0.5\n")):
        shell.write(f"set/images/{split}/1.jpg", jpeg(seed=len(boxes)))
        shell.write(f"set/labels/{split}/1.txt", boxes)
    found = report_of(shell, "set/images", "--classes", "tire")
    assert {split: numbers["perClass"] for split, numbers in found["splits"].items()} == {
        "train": {"tire": 1},
        "eval": {"tire": 2},
    }
    told = [one["file"] for one in found["findings"] if one["code"] == "LabelsElsewhere"]
    assert told == ["../../labels/train/", "../../labels/val/"]


def test_image_sets_of_a_voc_tree_divide_one_folder(shell: Shell) -> None:
    for index in range(3):
        shell.write(f"voc/JPEGImages/{index}.jpg", jpeg(seed=index))
        shell.write(f"voc/Annotations/{index}.xml", voc([labelled("tire" if index < 2 else "hub")]))
    shell.write("voc/ImageSets/Main/train.txt", b"1\n2\n")
    shell.write("voc/ImageSets/Main/val.txt", b"0\n")
    found = report_of(shell, "voc", "--image-set", "train", "--eval-image-set", "val", "--classes", "tire,hub")
    assert {split: numbers["images"] for split, numbers in found["splits"].items()} == {"train": 2, "eval": 1}
    assert report_of(shell, "voc", "--image-set", "val")["classes"] == ["tire"]


def test_without_classes_the_names_in_the_labels_are_used_and_printed(shell: Shell) -> None:
    shell.add("images/t9", jpeg(seed=9), voc([labelled("winter hub"), labelled("Tire")]))
    shell.add("images/bad", b"", b"<annotation>")
    ended = shell.run("doctor", "images", "--max-bad-files", "1", "--json", "-")
    assert json.loads(ended.out)["classes"] == ["Tire", "tire", "winter hub"]
    assert "so all names in the labels are used: --classes 'Tire,tire,winter hub'\n" in ended.err


@pytest.mark.parametrize("name", SETS)
def test_names_are_found_in_every_format(shell: Shell, name: str) -> None:
    for path, data in {**images(), **SETS[name][1]()}.items():
        shell.write(f"set/{path}", data)
    found = report_of(shell, "set")
    assert found["classes"] == sorted(CLASSES)
    assert found["counts"] == {}


def test_classes_can_be_read_from_a_file(shell: Shell) -> None:
    shell.write("names.txt", "\ufeffhub\n\n tire \n".encode())
    shell.add("images/t9", jpeg(seed=9), voc([labelled("hub")]))
    assert report_of(shell, "images", "--classes-file", "names.txt")["classes"] == ["hub", "tire"]


YOLO = ("doctor", "yolo", "--format", "yolo")


def test_numeric_labels_need_class_names(shell: Shell) -> None:
    shell.write("yolo/a.jpg", jpeg())
    shell.write("yolo/a.txt", b"1 0.5 0.5 0.2 0.2\n")
    ended = shell.run(*YOLO)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "trainingrun: error: yolo labels hold numbers, and there is no classes.txt or data.yaml with their names: name"
        " the classes with --classes, in the order of the numbers\n"
    )
    assert shell.run(*YOLO, "--classes", "hub,tire").code == 2  # no hub
    shell.write("yolo/data.yaml", b"names: [tire, hub]\n")
    shell.write("yolo/a.txt", b"1 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n")
    assert report_of(shell, "yolo")["classes"] == ["tire", "hub"]
    shell.write("yolo/a.txt", b"1 0.5 0.5 0.2 0.2\n")
    assert report_of(shell, "yolo")["classes"] == ["hub"]


def test_ignored_paths_are_warnings(shell: Shell) -> None:
    (shell.root / "images" / "t9.jpg").symlink_to(shell.root / "elsewhere.jpg")
    Path(os.fsdecode(os.fsencode(shell.root) + b"/images/caf\xe9.jpg")).write_bytes(b"x")
    ended = shell.run("doctor", "images", "--fail-on", "warning")
    assert ended.code == 1
    assert "\nwarning PathIgnored, 2 times: ignored the path\n" in ended.out
    assert "    caf\ufffd.jpg: the name is not UTF-8\n" in ended.out
    assert "    t9.jpg: a link that leads out of the folder\n" in ended.out
    assert "\n2 warnings\nThis data can be used for training, with 2 warnings.\n" in ended.out
    assert shell.run("doctor", "images").code == 0


def test_no_file_name_sends_control_characters_to_the_terminal(shell: Shell) -> None:
    shell.add("images/\x1b[31mred\n", jpeg(seed=9), OUTSIDE)
    ended = shell.run("doctor", "images")
    assert "    \ufffd[31mred .xml object 1: " in ended.out
    assert "\x1b" not in ended.out + ended.err


def test_names_found_in_the_labels_can_be_pasted_into_a_shell(shell: Shell) -> None:
    name = "it's\x1b[31m $(id)"
    label = {"label": name, "points": [[1, 1], [90, 90]], "shape_type": "rectangle"}
    shell.write("named/a.jpg", jpeg())
    shell.write("named/a.json", json.dumps({"shapes": [label], "imagePath": "a.jpg"}).encode())
    printed = next(line for line in shell.run("doctor", "named").out.splitlines() if "--classes given" in line)
    assert shlex.split(printed.partition("--classes ")[2].partition("--classes ")[2]) == ["it's\ufffd[31m $(id)"]


def test_json_goes_to_a_file_or_to_standard_output(shell: Shell, contract: Callable[[str, Any], None]) -> None:
    shell.add("images/t9", jpeg(seed=9), OUTSIDE)
    ended = shell.run("doctor", "images", "--json", "-")
    document = json.loads(ended.out)
    contract("report", document)
    assert "\n1 warning\nThis data can be used for training, with 1 warning.\n" in ended.err
    assert document == report_of(shell, "images")


def test_the_page_goes_to_a_file_also_when_data_is_refused(shell: Shell) -> None:
    assert shell.run("doctor", "images", "--html", "report.html").code == 0
    shell.add("images/t9", b"")
    assert shell.run("doctor", "images", "--html", "refused.html").code == 1
    for name in ("report.html", "refused.html"):
        page = (shell.root / name).read_text()
        assert page.startswith("<!doctype html>")
        assert ("ImageEmpty" in page) is (name == "refused.html")


def test_data_that_was_refused_before_it_was_read_has_reports_with_the_same_verdict(
    shell: Shell, contract: Callable[[str, Any], None]
) -> None:
    shell.write("data/a.jpg", jpeg())
    ended = shell.run("doctor", "data", "--html", "report.html", "--json", "report.json")
    document = json.loads((shell.root / "report.json").read_text())
    contract("report", document)
    given = document["verdict"]
    assert (ended.code, given["outcome"], given["reason"]) == (2, "refused", "FormatNotRecognised")
    assert ended.out == (
        f"This data cannot be used for training (FormatNotRecognised): {given['message']}\n{given['nextStep']}\n"
    )
    page = (shell.root / "report.html").read_text()
    assert "This data cannot be used for training (FormatNotRecognised)" in page
    assert "No findings" not in page + ended.out


VERDICTS: dict[str, tuple[bytes, str, str]] = {
    "clean": (voc(), "0", "clean"),
    "an info": (INFO, "0", "clean"),
    "a warning": (OUTSIDE, "0", "warnings"),
    "an error": (voc([labelled("Tire")]), "50%", "errors"),
    "too many errors": (voc([labelled("Tire")]), "0", "refused"),
}


@pytest.mark.parametrize(("xml", "allowed", "outcome"), VERDICTS.values(), ids=VERDICTS)
def test_text_page_and_json_have_one_verdict(shell: Shell, xml: bytes, allowed: str, outcome: str) -> None:
    """`No findings` stood next to `cannot be used for training`."""
    shell.add("images/t9", jpeg(seed=9), xml)
    words = ("doctor", "images", "--classes", "tire", "--max-bad-files", allowed)
    ended = shell.run(*words, "--json", "report.json", "--html", "report.html")
    document, page = json.loads((shell.root / "report.json").read_text()), (shell.root / "report.html").read_text()
    refused = outcome == "refused"
    assert document["verdict"]["outcome"] == outcome
    assert ("dataset" in document) is ("\ndataset:\n" in ended.out) is (">dataset:\n" in page) is not refused
    for text in (ended.out, page):
        assert ("This data can be used for training" in text) is not refused
        assert ("This data cannot be used for training (TooManyBadFiles)" in text) is refused
        assert ("No findings" in text) is (outcome == "clean" and not document["counts"])


def test_text_that_the_output_cannot_encode_is_printed_with_replacements(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.add("images/größe", jpeg(seed=9), OUTSIDE)
    with (shell.root / "out.txt").open("w", encoding="ascii") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        assert main(["doctor", "images"]) == 0
    assert "gr??e.xml object 1" in (shell.root / "out.txt").read_text()


def test_no_space_is_needed_for_records(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    replace = os.replace

    def seen(source: Any, target: Any) -> None:
        written.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", seen)
    assert shell.run("doctor", "images").code == 0
    assert "report.json" in written
    assert not [name for name in written if name.endswith((".tfrecord", ".gz"))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_prints_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    def interrupted(request: PrepareRequest) -> None:
        os.kill(os.getpid(), number)
        raise_if_stopped(request.stop)

    monkeypatch.setattr(preparation, "prepare", interrupted)
    before = signal.getsignal(number)
    ended = shell.run("doctor", "images")
    assert (ended.code, ended.out, ended.err) == (128 + number, "", "trainingrun: stopped\n")
    assert shell.names() == ["images"]
    assert signal.getsignal(number) is before


def test_being_interrupted_twice_ends_at_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def ignore_the_signal(_: PrepareRequest) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("went on")

    monkeypatch.setattr(preparation, "prepare", ignore_the_signal)
    ended = shell.run("doctor", "images")
    assert (ended.code, ended.err) == (130, "trainingrun: stopped\n")
