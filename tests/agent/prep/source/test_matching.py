"""Which image a name in a label file means, and which it does not mean."""

from __future__ import annotations

import time
import unicodedata

import pytest

from trainingrun_agent.prep.source import fallbacks
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.index import Listed
from trainingrun_agent.prep.source.matching import Matches, Names, match
from trainingrun_agent.terms import TRAININGRUN

UNLISTED, MISSING, ELSEWHERE = "ImageWithoutAnnotation", "ImageMissing", "ImageElsewhere"
AMBIGUOUS, FOUND, IGNORED = "ImageAmbiguous", "FoundByName", "ImagesIgnored"
NOTHING = "NothingPaired"
OTHER = "other.jpg"
"""An image that is there and listed, so that findings are about single names."""


def matched(images: list[str], names: list[str], *, file: str = "labels.json", alias: str = "") -> Matches:
    entries = [Entry(path, 1) for path in (*images, OTHER)]
    listed = [Listed(at, file, name, alias) for at, name in enumerate(names)]
    listed.append(Listed(len(names), "labels.json", OTHER, ""))
    return match(Names.from_images(entries), listed, entries, complete=True)


def found(made: Matches, names: list[str]) -> dict[str, str]:
    """The image of each name that has one."""
    return {names[number]: path for path, number in made.ids.items() if number < len(names)}


def told(made: Matches) -> list[tuple[str, str]]:
    return sorted((finding.code, finding.file or str(finding.fields["case"])) for finding in made.findings)


MEANT: dict[str, tuple[list[str], str, str, str]] = {
    "its path": (["x/1.jpg", "y/1.jpg"], "x/1.jpg", "x/1.jpg", ""),
    "in another case": (["IMG.JPG"], "img.jpg", "IMG.JPG", ""),
    "exactly, not in another case": (["a.jpg", "A.jpg"], "a.jpg", "a.jpg", ""),
    "in another Unicode form": (
        [unicodedata.normalize("NFD", "größe.jpg")],
        unicodedata.normalize("NFC", "größe.jpg"),
        unicodedata.normalize("NFD", "größe.jpg"),
        "",
    ),
    "without suffix": (["0001.jpg"], "0001", "0001.jpg", ""),
    "its name alone": (["images/deep/1.jpg"], "1.jpg", "images/deep/1.jpg", "folder"),
    "its name alone, without suffix": (["images/0001.jpg"], "0001", "images/0001.jpg", "folder"),
    "with another suffix": (["a.jpg"], "a.png", "a.jpg", "suffix"),
    "with another suffix in its folder": (["x/a.jpg", "a.jpg"], "x/a.png", "x/a.jpg", "suffix"),
    "the suffix decides": (["x/a.jpg", "x/a.png"], "a.png", "x/a.png", "folder"),
    "saved twice": (["a.webp.jpg"], "a.webp", "a.webp.jpg", "suffix"),
    "by the end of a path": (["p/x/1.jpg", "p/y/1.jpg"], "x/1.jpg", "p/x/1.jpg", "folder"),
    "Windows": (["a.jpg"], "C:\\Users\\bob\\pics\\a.jpg", "a.jpg", "folder"),
    "Windows, into another folder": (["tires/a.jpg"], "C:\\Users\\bob\\pics\\a.jpg", "tires/a.jpg", "folder"),
    "Windows, the folder decides": (["x/1.jpg", "y/1.jpg"], "C:\\pics\\y\\1.jpg", "y/1.jpg", "folder"),
    "an address": (["photos/a b.jpg"], "https://example.org/7/a%20b.jpg", "photos/a b.jpg", "folder"),
    "out of the folder": (["images/a.jpg", "old/a.jpg"], "../images/a.jpg", "images/a.jpg", "spelling"),
    "Label Studio": (["a.jpg"], "/data/upload/1/0a1b2c3d-a.jpg", "a.jpg", "upload"),
    "Label Studio, folders with numbers": (
        ["1/b.jpg", "2/a.jpg"],
        "/data/upload/1/0a1b2c3d-a.jpg",
        "2/a.jpg",
        "upload",
    ),
    "a folder of the same kind": (["photos/1.jpg"], "images/1.jpg", "photos/1.jpg", "folder"),
    "a folder above is missing": (["images/1.jpg"], "project/images/1.jpg", "images/1.jpg", "folder"),
    "percent-encoded": (["my photo.jpg"], "my%20photo.jpg", "my photo.jpg", "spelling"),
    "percent-encoded there": (["my%20photo.jpg"], "my photo.jpg", "my%20photo.jpg", "spelling"),
    "a plus for a blank": (["my photo.jpg"], "my+photo.jpg", "my photo.jpg", "spelling"),
    "a mask that is listed": (["masks/2.png", "images/2.jpg"], "masks/2.png", "masks/2.png", ""),
}


@pytest.mark.parametrize(("images", "name", "image", "case"), MEANT.values(), ids=MEANT)
def test_the_image_that_is_meant(images: list[str], name: str, image: str, case: str) -> None:
    made = matched(images, [name], file="json/a.json" if name.startswith("..") else "labels.json")
    assert found(made, [name]) == {name: image}
    assert [finding.fields["case"] for finding in made.findings if finding.code == FOUND] == [case] * bool(case)


NOT_MEANT: dict[str, tuple[list[str], str, str]] = {
    "another split": (["val/2.jpg"], "train/2.jpg", ELSEWHERE),
    "another split of COCO": (["val2017/2.jpg"], "train2017/2.jpg", ELSEWHERE),
    "another split on another machine": (["images/val/2.jpg"], "/home/bob/set/train/2.jpg", ELSEWHERE),
    "a mask": (["masks/2.png"], "train/2.jpg", ELSEWHERE),
    "a mask, name alone": (["masks/2.png"], "2.jpg", ELSEWHERE),
    "a mask by its folder in a VOC tree": (["SegmentationClass/2.png"], "2.jpg", ELSEWHERE),
    "another class": (["dogs/2.jpg"], "cats/2.jpg", ELSEWHERE),
    "a folder that is there": (["train/1.jpg", "more/2.jpg"], "train/2.jpg", ELSEWHERE),
    "a folder that is there, from another machine": (["x/1.jpg", "y/2.jpg"], "C:\\pics\\x\\2.jpg", ELSEWHERE),
    "several": (["x/1.jpg", "y/1.jpg"], "1.jpg", AMBIGUOUS),
    "several of another suffix": (["a.jpg", "a.bmp"], "a.png", AMBIGUOUS),
    "several, written as in an address": (["a b.jpg", "a+b.jpg"], "a%20b.jpg", AMBIGUOUS),
    "none": (["1.jpg"], "2.jpg", MISSING),
}


@pytest.mark.parametrize(("images", "name", "code"), NOT_MEANT.values(), ids=NOT_MEANT)
def test_never_another_image(images: list[str], name: str, code: str) -> None:
    """The box of train/2.jpg was drawn on val/2.jpg, with nothing to complain about."""
    made = matched(images, [name])
    assert found(made, [name]) == {}
    assert told(made) == sorted([(code, name), *((UNLISTED, image) for image in images)])


@pytest.mark.parametrize(
    ("file", "image", "code"),
    [
        ("annotations/instances_train.json", "val/2.jpg", ELSEWHERE),
        ("annotations/instances_val.json", "val/2.jpg", FOUND),
        ("train/labels.json", "valid/2.jpg", ELSEWHERE),
    ],
)
def test_a_label_file_that_is_named_for_a_split_means_no_image_of_another(file: str, image: str, code: str) -> None:
    made = matched([image], ["2.jpg"], file=file)
    assert code in dict(told(made))
    assert (image in made.ids) == (code == FOUND)


FILES = {
    "each of its split": (
        {"train.json": ["1.jpg", "2.jpg"], "val.json": ["1.jpg"]},
        ["train/1.jpg", "train/2.jpg", "val/1.jpg"],
        {"train/1.jpg": "train.json", "train/2.jpg": "train.json", "val/1.jpg": "val.json"},
    ),
    "not one of another split, whichever is first": (
        {"a_val.json": ["1.jpg"], "b_train.json": ["1.jpg"]},
        ["train/1.jpg"],
        {"train/1.jpg": "b_train.json"},
    ),
    "of its split, not of none": (
        {"train.json": ["1.jpg"]},
        ["train2017/1.jpg", "old/1.jpg"],
        {"train2017/1.jpg": "train.json"},
    ),
    "a file for all cannot tell": ({"all.json": ["1.jpg"]}, ["train/1.jpg", "val/1.jpg"], {}),
    "files that name no split cannot tell": ({"a.json": ["1.jpg"], "b.json": ["1.jpg"]}, ["a/1.jpg", "b/1.jpg"], {}),
}


@pytest.mark.parametrize(("files", "images", "meant"), FILES.values(), ids=FILES)
def test_one_name_in_the_files_of_two_splits_means_two_images(
    files: dict[str, list[str]], images: list[str], meant: dict[str, str]
) -> None:
    names = [(file, name) for file, names in files.items() for name in names]
    listed = [Listed(at, file, name, "") for at, (file, name) in enumerate(names)]
    entries = [Entry(path, 1) for path in images]
    made = match(Names.from_images(entries), listed, entries, complete=True)
    assert {path: names[number][0] for path, number in made.ids.items()} == meant
    assert made.repeats == {}


def test_a_file_for_all_repeats_those_of_the_splits() -> None:
    entries = [Entry(path, 1) for path in ("train/1.jpg", "val/2.jpg")]
    files = (("all.json", "1.jpg"), ("all.json", "2.jpg"), ("train.json", "1.jpg"), ("val.json", "2.jpg"))
    listed = [Listed(at, file, name, "") for at, (file, name) in enumerate(files)]
    made = match(Names.from_images(entries), listed, entries, complete=True)
    assert (made.ids, made.repeats) == ({"train/1.jpg": 0, "val/2.jpg": 1}, {"train/1.jpg": [2], "val/2.jpg": [3]})


def test_names_that_several_images_have_are_reported_as_such() -> None:
    entries = [Entry(path, 1) for path in ("a/1.jpg", "b/1.jpg")]
    listed = [Listed(at, file, "1.jpg", "") for at, file in enumerate(("a.json", "b.json"))]
    [told] = match(Names.from_images(entries), listed, entries, complete=True).findings
    assert (told.code, told.fields["case"]) == ("NothingPaired", "several")


def test_the_path_beats_names_that_would_fit_too() -> None:
    names = ["a.jpg", "a.png"]
    made = matched(["a.jpg"], names)
    assert found(made, names) == {"a.jpg": "a.jpg"}
    assert told(made) == [(ELSEWHERE, "a.png")]


def test_two_names_for_one_image_are_both_refused() -> None:
    names = ["x/1.jpg", "y/1.jpg"]
    made = matched(["1.jpg"], names)
    assert found(made, names) == {}
    assert told(made) == [(ELSEWHERE, "x/1.jpg"), (ELSEWHERE, "y/1.jpg"), (UNLISTED, "1.jpg")]


def test_one_name_twice_repeats_its_image_in_another_folder_too() -> None:
    made = matched(["images/1.jpg"], ["1.jpg", "1.jpg"])
    assert told(made) == [(FOUND, "folder")]
    assert (made.ids["images/1.jpg"], made.repeats) == (0, {"images/1.jpg": [1]})


def test_masks_are_one_finding_and_no_images_without_labels() -> None:
    made = matched(["images/1.jpg", "masks/1.png", "images/2.jpg", "images/2_mask.gif"], ["1.jpg", "2.jpg"])
    assert told(made) == [(FOUND, "folder"), (IGNORED, "masks")]
    assert made.ignored == {"masks/1.png", "images/2_mask.gif"}


def test_where_nothing_fits_one_finding_says_what_lies_where() -> None:
    made = matched([f"images/{number}.jpg" for number in range(30)], [f"b{number}.jpg" for number in range(40)])
    [finding] = made.findings
    assert (finding.code, finding.wide) == (NOTHING, True)
    assert finding.seen(TRAININGRUN) == (
        "names differ. Labels: 40 in labels.json, such as b0.jpg. Images: 30 in images/, such as images/0.jpg"
    )


def test_where_folders_contradict_the_finding_says_so() -> None:
    made = matched([f"val/{number}.jpg" for number in range(30)], [f"train/{number}.jpg" for number in range(30)])
    [finding] = made.findings
    assert finding.seen(TRAININGRUN) == (
        "folders contradict. Labels: 30 in labels.json, such as train/0.jpg. Images: 30 in val/, val/0.jpg is in "
        "another folder than the labels mean"
    )


def test_an_entry_without_image_is_no_finding_where_lists_are_never_complete() -> None:
    entries = [Entry("1.jpg", 1)]
    listed = [Listed(0, "a.csv", "1", ""), Listed(1, "a.csv", "2", "")]
    listed.append(Listed(2, "a.csv", "train/1.jpg", ""))
    made = match(Names.from_images(entries), listed, entries, complete=False)
    assert (made.ids, made.findings) == ({"1.jpg": 0}, [])


def test_labels_of_another_place_name_images_from_their_own_folder() -> None:
    entries = [Entry("train/1.jpg", 1)]
    listed = [Listed(0, "s3://other/labels/train/a.json", "1.jpg", "")]
    inner = "s3://other/labels/"
    made = match(
        Names.from_images(entries), listed, entries, complete=True, inner=lambda path: path.removeprefix(inner)
    )
    assert (made.ids, made.findings) == ({"train/1.jpg": 0}, [])


HOSTILE: dict[str, tuple[list[str], list[str]]] = {
    "one name in very many folders": (
        [f"train/{number}/1.jpg" for number in range(3000)],
        [f"C:/x/{number}/1.jpg" for number in range(3000)],
    ),
    "one folder in very many": (
        [f"{number}/a/{number}.jpg" for number in range(3000)],
        [f"q/a/z/{number}.jpg" for number in range(3000)],
    ),
    "very deep": (["a/" * 500 + f"{number}.jpg" for number in range(60)], [f"{number}.jpg" for number in range(60)]),
}


@pytest.mark.parametrize(("images", "names"), HOSTILE.values(), ids=HOSTILE)
def test_time_grows_with_the_number_of_names(
    images: list[str], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparing each name with each image of that name, a hundred thousand took hours."""
    compared: list[object] = []
    answer = fallbacks._Finder._answer
    monkeypatch.setattr(
        fallbacks._Finder, "_answer", lambda *args, **kind: compared.append(args[2]) or answer(*args, **kind)
    )
    begun = time.process_time()
    matched(images, names)
    assert len(compared) <= len(names)
    assert time.process_time() - begun < 5
