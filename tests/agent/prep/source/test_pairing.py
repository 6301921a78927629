"""Pairing of images and label files, and files that are left without a partner."""

from __future__ import annotations

import unicodedata
from itertools import product

import pytest

from trainingrun_agent.prep.source import pairing
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.pairing import Pairing, pair
from trainingrun_agent.prep.source.readers import FORMATS, FileFormat
from trainingrun_agent.terms import TRAININGRUN

UNLABELLED, ORPHAN, CLASH = "ImageWithoutAnnotation", "AnnotationWithoutImage", "NameClash"
FOUND, IGNORED, ELSEWHERE, AMBIGUOUS = "FoundByName", "ImagesIgnored", "ImageElsewhere", "ImageAmbiguous"
NOTHING = "NothingPaired"
Labels = dict[str, str]
"""By path, the name of the image inside the file."""
Told = list[tuple[str, str]]
"""Codes of findings, and the file that each is about; or, where it is about many, its case."""


def listing(images: list[str], labels: list[str]) -> Listing:
    return Listing([Entry(path, 1) for path in images], [Entry(path, 1) for path in labels])


def paired(images: list[str], labels: Labels, format_: str = "pascalVOC") -> Pairing:
    chosen = FORMATS[format_]
    assert isinstance(chosen, FileFormat)
    made = pair(listing(images, list(labels)), lambda entry: labels[entry.path], format_=chosen)
    every = {entry.path for one in made.pairs for entry in one} | {entry.path for entry in made.unpaired}
    assert every <= {*images, *labels}
    return made


def names(made: Pairing) -> list[tuple[str, str]]:
    return [(one.image.path, one.annotation.path) for one in made.pairs]


def told(made: Pairing) -> Told:
    return sorted((finding.code, finding.file or str(finding.fields["case"])) for finding in made.findings)


CASES: dict[str, tuple[list[str], Labels, list[tuple[str, str]], Told]] = {
    "side by side": (["a.jpg"], {"a.xml": ""}, [("a.jpg", "a.xml")], []),
    "case differs": (["A.JPG"], {"a.XML": ""}, [("A.JPG", "a.XML")], []),
    "doubled suffix": (["a.jpg"], {"a.xml.xml": ""}, [("a.jpg", "a.xml.xml")], []),
    "image suffix kept": (["a.jpg"], {"a.jpg.xml": ""}, [("a.jpg", "a.jpg.xml")], []),
    "image saved twice": (["a.webp.jpg"], {"a.webp.xml": ""}, [("a.webp.jpg", "a.webp.xml")], []),
    "image saved twice, beside another": (
        ["a.jpg", "a.webp.jpg"],
        {"a.xml": "", "a.webp.xml": ""},
        [("a.jpg", "a.xml"), ("a.webp.jpg", "a.webp.xml")],
        [(CLASH, "a.webp.jpg")],
    ),
    "dots in the name": (["a.1.jpg", "a.2.jpg"], {"a.2.xml": ""}, [("a.2.jpg", "a.2.xml")], [(UNLABELLED, "a.1.jpg")]),
    "same name in two folders": (
        ["x/a.jpg", "y/a.jpg"],
        {"x/a.xml": "", "y/a.xml": ""},
        [("x/a.jpg", "x/a.xml"), ("y/a.jpg", "y/a.xml")],
        [],
    ),
    "image and label without a partner": (
        ["a.jpg", "c.jpg"],
        {"b.xml": "", "c.xml": ""},
        [("c.jpg", "c.xml")],
        [(ORPHAN, "b.xml"), (UNLABELLED, "a.jpg")],
    ),
    "paired by <filename>": (["a.jpg"], {"b.xml": "A.jpg"}, [("a.jpg", "b.xml")], [(FOUND, "inside")]),
    "<filename> with a path": (["a.jpg"], {"b.xml": "C:\\pics\\a.jpg"}, [("a.jpg", "b.xml")], [(FOUND, "inside")]),
    "two images, <filename> decides": (
        ["a.jpg", "a.png"],
        {"a.xml": "a.png"},
        [("a.png", "a.xml")],
        [(FOUND, "inside"), (UNLABELLED, "a.jpg"), (CLASH, "a.png")],
    ),
    "two images, the suffix kept decides": (
        ["a.jpg", "a.png"],
        {"a.png.xml": "", "a.jpg.xml": ""},
        [("a.jpg", "a.jpg.xml"), ("a.png", "a.png.xml")],
        [(CLASH, "a.png")],
    ),
    "two images, nothing decides": (
        ["a.jpg", "a.png", "b.jpg"],
        {"a.xml": "a", "b.xml": ""},
        [("b.jpg", "b.xml")],
        [(AMBIGUOUS, "a.xml"), (UNLABELLED, "a.jpg"), (UNLABELLED, "a.png"), (CLASH, "a.png")],
    ),
    "names that differ by case": (
        ["A.jpg", "a.jpg"],
        {"A.xml": "", "a.xml": ""},
        [("A.jpg", "A.xml"), ("a.jpg", "a.xml")],
        [(CLASH, "a.jpg")],
    ),
    "names that differ by case, one label": (
        ["A.jpg", "a.jpg"],
        {"a.xml": ""},
        [("a.jpg", "a.xml")],
        [(UNLABELLED, "A.jpg"), (CLASH, "a.jpg")],
    ),
    "Unicode form differs": (
        [unicodedata.normalize("NFD", "größe.jpg")],
        {unicodedata.normalize("NFC", "größe.xml"): ""},
        [(unicodedata.normalize("NFD", "größe.jpg"), unicodedata.normalize("NFC", "größe.xml"))],
        [],
    ),
    "VOC tree": (
        ["JPEGImages/a.jpg", "SegmentationClass/a.png", "more/b.png"],
        {"Annotations/a.xml": ""},
        [("JPEGImages/a.jpg", "Annotations/a.xml")],
        [(IGNORED, "masks"), (IGNORED, "tree")],
    ),
    "VOC tree with two folders of images": (
        ["JPEGImages/1.jpg", "JPEGImages-new/1.jpg", "JPEGImages-old/1.jpg"],
        {"Annotations/1.xml": "", "Annotations-new/1.xml": "", "Annotations-old/1.xml": ""},
        [
            ("JPEGImages-new/1.jpg", "Annotations-new/1.xml"),
            ("JPEGImages-old/1.jpg", "Annotations-old/1.xml"),
            ("JPEGImages/1.jpg", "Annotations/1.xml"),
        ],
        [(FOUND, "folder")],
    ),
    "VOC trees below": (
        [f"VOCdevkit/VOC{year}/JPEGImages/1.jpg" for year in (2007, 2012)],
        {f"VOCdevkit/VOC{year}/Annotations/1.xml": "" for year in (2007, 2012)},
        [(f"VOCdevkit/VOC{year}/JPEGImages/1.jpg", f"VOCdevkit/VOC{year}/Annotations/1.xml") for year in (2007, 2012)],
        [(FOUND, "folder")],
    ),
    "two folders": (
        ["images/a.jpg", "images/b.png"],
        {"annots/a.xml": "", "annots/b.xml": ""},
        [("images/a.jpg", "annots/a.xml"), ("images/b.png", "annots/b.xml")],
        [(FOUND, "folder")],
    ),
    "two folders of any names and depth": (
        ["kitchen/2024/a.jpg"],
        {"boxes by bob/final/a.xml": ""},
        [("kitchen/2024/a.jpg", "boxes by bob/final/a.xml")],
        [(FOUND, "folder")],
    ),
    "two folders, suffix of the image kept": (
        ["images/a.jpg"],
        {"labels/a.jpg.xml": ""},
        [("images/a.jpg", "labels/a.jpg.xml")],
        [(FOUND, "folder")],
    ),
    "folders of images below one": (
        ["photos/x/a.jpg", "photos/y/b.jpg"],
        {"xml/a.xml": "", "xml/b.xml": ""},
        [("photos/x/a.jpg", "xml/a.xml"), ("photos/y/b.jpg", "xml/b.xml")],
        [(FOUND, "folder")],
    ),
    "one name, folders decide": (
        ["a/1.jpg", "b/1.jpg"],
        {"xml/a/1.xml": "", "xml/b/1.xml": ""},
        [("a/1.jpg", "xml/a/1.xml"), ("b/1.jpg", "xml/b/1.xml")],
        [(FOUND, "folder")],
    ),
    "one name, a split with its year": (
        ["images/train2017/1.jpg", "images/val2017/1.jpg"],
        {"labels_train/1.xml": "", "labels_val/1.xml": ""},
        [("images/train2017/1.jpg", "labels_train/1.xml"), ("images/val2017/1.jpg", "labels_val/1.xml")],
        [(FOUND, "folder")],
    ),
    "one name, splits decide": (
        ["train/images/1.jpg", "val/images/1.jpg"],
        {"train/annotations/1.xml": "", "val/annotations/1.xml": ""},
        [("train/images/1.jpg", "train/annotations/1.xml"), ("val/images/1.jpg", "val/annotations/1.xml")],
        [(FOUND, "folder")],
    ),
    "one name, nothing decides": (
        ["a/1.jpg", "b/1.jpg", "c.jpg"],
        {"xml/1.xml": "", "c.xml": ""},
        [("c.jpg", "c.xml")],
        [(AMBIGUOUS, "xml/1.xml"), (UNLABELLED, "a/1.jpg"), (UNLABELLED, "b/1.jpg")],
    ),
    "labels of another split": (
        ["val/images/1.jpg", "c.jpg"],
        {"train/xml/1.xml": "", "c.xml": ""},
        [("c.jpg", "c.xml")],
        [(ELSEWHERE, "train/xml/1.xml"), (UNLABELLED, "val/images/1.jpg")],
    ),
    "labels of another folder of images": (
        ["images/a/2.jpg", "images/b/1.jpg", "c.jpg"],
        {"xml/a/1.xml": "", "xml/a/2.xml": "", "c.xml": ""},
        [("c.jpg", "c.xml"), ("images/a/2.jpg", "xml/a/2.xml")],
        [(FOUND, "folder"), (ELSEWHERE, "xml/a/1.xml"), (UNLABELLED, "images/b/1.jpg")],
    ),
    "a lost image, and one of its name without labels": (
        ["one/2.jpg", "one/3.jpg", "two/1.jpg"],
        {"one/1.xml": "", "one/2.xml": "", "one/3.xml": ""},
        [("one/2.jpg", "one/2.xml"), ("one/3.jpg", "one/3.xml")],
        [(ELSEWHERE, "one/1.xml"), (UNLABELLED, "two/1.jpg")],
    ),
    "labels of an image that has others": (
        ["a.jpg", "b.jpg"],
        {"a.xml": "", "old/a.xml": ""},
        [("a.jpg", "a.xml")],
        [(ELSEWHERE, "old/a.xml"), (UNLABELLED, "b.jpg")],
    ),
    "two labels for one image": (
        ["images/a.jpg", "c.jpg"],
        {"x/a.xml": "", "y/a.xml": "", "c.xml": ""},
        [("c.jpg", "c.xml")],
        [(ELSEWHERE, "x/a.xml"), (ELSEWHERE, "y/a.xml"), (UNLABELLED, "images/a.jpg")],
    ),
    "masks in a folder": (
        ["images/a.jpg", "masks/a.png", "annotations/trimaps/a.png"],
        {"annotations/xmls/a.xml": ""},
        [("images/a.jpg", "annotations/xmls/a.xml")],
        [(FOUND, "folder"), (IGNORED, "masks")],
    ),
    "masks by their name": (["a.jpg", "a_mask.png"], {"a.xml": ""}, [("a.jpg", "a.xml")], [(IGNORED, "masks")]),
    "a mask is no image": (
        ["masks/2.png", "c.jpg"],
        {"xml/2.xml": "", "c.xml": ""},
        [("c.jpg", "c.xml")],
        [(ELSEWHERE, "xml/2.xml"), (UNLABELLED, "masks/2.png")],
    ),
    "photos of masks": (
        ["mask/1.jpg", "no_mask/1.jpg"],
        {"mask/1.xml": "", "no_mask/1.xml": ""},
        [("mask/1.jpg", "mask/1.xml"), ("no_mask/1.jpg", "no_mask/1.xml")],
        [],
    ),
    "percent-encoded": (
        ["my%20photo.jpg", "b+c.jpg"],
        {"my photo.xml": "", "b c.xml": ""},
        [("b+c.jpg", "b c.xml"), ("my%20photo.jpg", "my photo.xml")],
        [(FOUND, "spelling")],
    ),
    "percent-encoded, not the only one": (
        ["a b.jpg", "a%20b.jpg"],
        {"a+b.xml": "", "a b.xml": ""},
        [("a b.jpg", "a b.xml")],
        [(AMBIGUOUS, "a+b.xml"), (UNLABELLED, "a%20b.jpg")],
    ),
    "<filename> in another folder": (
        ["images/a.jpg", "images/b.jpg"],
        {"xml/1.xml": "a.jpg", "xml/2.xml": "../images/b.jpg"},
        [("images/a.jpg", "xml/1.xml"), ("images/b.jpg", "xml/2.xml")],
        [(FOUND, "inside")],
    ),
    "nothing fits": (
        [f"images/{number}.jpg" for number in range(30)],
        {f"xml/p{number}.xml": "" for number in range(40)},
        [],
        [(NOTHING, "names")],
    ),
    "hardly anything fits": (
        [f"images/{number}.jpg" for number in range(30)],
        {f"xml/p{number}.xml": "" for number in range(40)} | {"xml/1.xml": ""},
        [("images/1.jpg", "xml/1.xml")],
        [(FOUND, "folder"), (NOTHING, "names")],
    ),
    "two files name one image": (
        ["images/1.jpg", "images/2.jpg", "images/3.jpg"],
        {"xml/1.xml": "", "xml/2.xml": "", "a/x.xml": "3.jpg", "b/y.xml": "3.jpg"},
        [("images/1.jpg", "xml/1.xml"), ("images/2.jpg", "xml/2.xml")],
        [(FOUND, "folder"), (ELSEWHERE, "a/x.xml"), (ELSEWHERE, "b/y.xml"), (UNLABELLED, "images/3.jpg")],
    ),
    "two files of one name": (
        ["images/1.jpg", "images/2.jpg"],
        {"xml/1.xml": "1.jpg", "a/2.xml": "2.jpg", "b/2.xml": "2.jpg"},
        [("images/1.jpg", "xml/1.xml")],
        [(FOUND, "folder"), (ELSEWHERE, "a/2.xml"), (ELSEWHERE, "b/2.xml"), (UNLABELLED, "images/2.jpg")],
    ),
    "nothing is unique": (
        [f"{folder}/{number}.jpg" for folder in "ab" for number in range(5)],
        {f"xml/{number}.xml": "" for number in range(5)},
        [],
        [(NOTHING, "several")],
    ),
}


@pytest.mark.parametrize(("images", "labels", "pairs", "findings"), CASES.values(), ids=CASES)
def test_pairs(images: list[str], labels: Labels, pairs: list[tuple[str, str]], findings: Told) -> None:
    made = paired(images, labels)
    assert names(made) == pairs
    assert told(made) == sorted(findings)


OTHER_FORMATS: dict[str, tuple[str, list[str], Labels, list[tuple[str, str]], Told]] = {
    "YOLO in two folders": ("yolo", ["images/a.jpg"], {"labels/a.txt": ""}, [("images/a.jpg", "labels/a.txt")], []),
    "YOLO, image saved twice": ("yolo", ["a.webp.jpg"], {"a.webp.txt": ""}, [("a.webp.jpg", "a.webp.txt")], []),
    "YOLO, suffix of the image kept": ("yolo", ["a.jpg"], {"a.jpg.txt": ""}, [("a.jpg", "a.jpg.txt")], []),
    "YOLO, splits": (
        "yolo",
        ["train/images/1.jpg", "valid/images/1.jpg"],
        {"train/labels/1.txt": "", "valid/labels/1.txt": ""},
        [("train/images/1.jpg", "train/labels/1.txt"), ("valid/images/1.jpg", "valid/labels/1.txt")],
        [],
    ),
    "YOLO, groups of images": (
        "yolo",
        ["images/x/a.jpg", "images/y/b.jpg"],
        {"labels/a.txt": "", "labels/b.txt": ""},
        [("images/x/a.jpg", "labels/a.txt"), ("images/y/b.jpg", "labels/b.txt")],
        [(FOUND, "folder")],
    ),
    "YOLO, masks among the labels": (
        "yolo",
        ["images/a.jpg", "labels/a.png"],
        {"labels/a.txt": ""},
        [("images/a.jpg", "labels/a.txt")],
        [(IGNORED, "masks")],
    ),
    "YOLO of Label Studio": (
        "yolo",
        ["images/0a1b2c3d-a.jpg"],
        {"labels/0a1b2c3d-a.txt": ""},
        [("images/0a1b2c3d-a.jpg", "labels/0a1b2c3d-a.txt")],
        [],
    ),
    "YOLO of Label Studio, images as they were": (
        "yolo",
        ["images/a.jpg"],
        {"labels/0a1b2c3d-a.txt": ""},
        [("images/a.jpg", "labels/0a1b2c3d-a.txt")],
        [(FOUND, "upload")],
    ),
    "LabelMe, another folder of the name inside": (
        "labelMe",
        ["images/a.jpg", "more/b.jpg"],
        {"json/1.json": "..\\images\\a.jpg", "json/2.json": "b.jpg"},
        [("images/a.jpg", "json/1.json"), ("more/b.jpg", "json/2.json")],
        [(FOUND, "inside")],
    ),
}


@pytest.mark.parametrize(
    ("format_", "images", "labels", "pairs", "findings"), OTHER_FORMATS.values(), ids=OTHER_FORMATS
)
def test_pairs_files_of_other_formats(
    format_: str, images: list[str], labels: Labels, pairs: list[tuple[str, str]], findings: Told
) -> None:
    made = paired(images, labels, format_)
    assert names(made) == pairs
    assert told(made) == sorted(findings)


def test_labels_of_another_place_are_compared_below_it() -> None:
    files = listing(["a.jpg"], ["../labels/train/a.xml"])
    made = pair(files, lambda _: "", inner=lambda path: path.removeprefix("../labels/train/"))
    assert names(made) == [("a.jpg", "../labels/train/a.xml")]
    assert made.findings == []


def test_the_finding_about_a_folder_names_what_was_found_where() -> None:
    [finding] = paired(["images/a.jpg", "images/b.jpg"], {"xml/a.xml": "", "xml/b.xml": ""}).findings
    assert finding.seen(TRAININGRUN) == "2 images found in another folder: images/a.jpg for xml/a.xml"


def test_where_nothing_fits_one_finding_says_what_lies_where() -> None:
    images, labels = [f"images/{number}.jpg" for number in range(3)], {f"xml/p{number}.xml": "" for number in range(4)}
    made = paired(images, labels)
    [finding] = made.findings
    assert finding.seen(TRAININGRUN) == (
        "names differ. Labels: 4 in xml/, such as xml/p0.xml. Images: 3 in images/, such as images/0.jpg"
    )
    assert len(made.unpaired) == 3


def test_no_label_file_is_read_whose_image_its_own_name_finds() -> None:
    looked: list[str] = []
    files = listing(["images/a.jpg"], ["xml/a.xml"])
    assert len(pair(files, lambda entry: looked.append(entry.path) or "").pairs) == 1
    assert looked == []


def test_an_image_set_takes_its_members_only() -> None:
    paths = ["a", "b", "c"]
    listing = Listing(
        [Entry(f"JPEGImages/{name}.jpg", 1) for name in paths],
        [Entry(f"Annotations/{name}.xml", 1) for name in paths],
        members=["A", "c", "gone"],
    )
    made = pair(listing, lambda _: "")
    assert [item.image.path for item in made.pairs] == ["JPEGImages/a.jpg", "JPEGImages/c.jpg"]
    assert [(finding.code, finding.file) for finding in made.findings] == [("ImageMissing", "JPEGImages/gone")]
    assert len(made.pairs) + len(made.unpaired) == 2


def test_very_many_names_that_differ_by_case_are_each_looked_at_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing each with each, a hundred thousand took hours."""
    names = ["".join(letter) for letter in product(*zip("abcdefghi", "ABCDEFGHI", strict=True))]
    looked_at: list[str] = []
    plain = pairing._without_suffixes
    monkeypatch.setattr(pairing, "_without_suffixes", lambda path, more: looked_at.append(path) or plain(path, more))
    found = pair(listing([f"{name}.jpg" for name in names], [f"{name}.xml" for name in names]), lambda _: "")
    assert {one.image.path for one in found.pairs} == {f"{name}.jpg" for name in names}
    assert len(looked_at) <= 6 * len(names)
