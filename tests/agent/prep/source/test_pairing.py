"""Pairing of images and label files, and files that are left without a partner."""

from __future__ import annotations

import unicodedata
from itertools import product

import pytest

from trainingrun_agent.prep.source import matching, pairing
from trainingrun_agent.prep.source.listing import Entry, Listing
from trainingrun_agent.prep.source.pairing import pair

UNLABELLED, ORPHAN, CLASH = "ImageWithoutAnnotation", "AnnotationWithoutImage", "NameClash"
CASES: dict[str, tuple[list[str], dict[str, str], list[tuple[str, str]], list[tuple[str, str]]]] = {
    "side by side": (["a.jpg"], {"a.xml": ""}, [("a.jpg", "a.xml")], []),
    "case differs": (["A.JPG"], {"a.XML": ""}, [("A.JPG", "a.XML")], []),
    "doubled suffix": (["a.jpg"], {"a.xml.xml": ""}, [("a.jpg", "a.xml.xml")], []),
    "image suffix kept": (["a.jpg"], {"a.jpg.xml": ""}, [("a.jpg", "a.jpg.xml")], []),
    "dots in the name": (["a.1.jpg", "a.2.jpg"], {"a.2.xml": ""}, [("a.2.jpg", "a.2.xml")], [(UNLABELLED, "a.1.jpg")]),
    "same name in two folders": (
        ["x/a.jpg", "y/a.jpg"],
        {"x/a.xml": "", "y/a.xml": ""},
        [("x/a.jpg", "x/a.xml"), ("y/a.jpg", "y/a.xml")],
        [],
    ),
    "image and label without a partner": (["a.jpg"], {"b.xml": ""}, [], [(UNLABELLED, "a.jpg"), (ORPHAN, "b.xml")]),
    "paired by <filename>": (["a.jpg"], {"b.xml": "A.jpg"}, [("a.jpg", "b.xml")], []),
    "<filename> with a path": (["a.jpg"], {"b.xml": "C:\\pics\\a.jpg"}, [("a.jpg", "b.xml")], []),
    "two images, <filename> decides": (
        ["a.jpg", "a.png"],
        {"a.xml": "a.png"},
        [("a.png", "a.xml")],
        [(UNLABELLED, "a.jpg"), (CLASH, "a.png")],
    ),
    "two images, nothing decides": (
        ["a.jpg", "a.png"],
        {"a.xml": "a"},
        [],
        [(UNLABELLED, "a.jpg"), (UNLABELLED, "a.png"), (ORPHAN, "a.xml"), (CLASH, "a.png")],
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
        ["JPEGImages/a.jpg", "SegmentationClass/a.png"],
        {"Annotations/a.xml": ""},
        [("JPEGImages/a.jpg", "Annotations/a.xml")],
        [],
    ),
}


@pytest.mark.parametrize(("images", "labels", "pairs", "findings"), CASES.values(), ids=CASES)
def test_pairs(
    images: list[str], labels: dict[str, str], pairs: list[tuple[str, str]], findings: list[tuple[str, str]]
) -> None:
    listing = Listing([Entry(path, 1) for path in images], [Entry(path, 1) for path in labels])
    made = pair(listing, lambda entry: labels[entry.path])
    assert [(item.image.path, item.annotation.path) for item in made.pairs] == pairs
    assert sorted((finding.code, finding.file) for finding in made.findings) == sorted(findings)


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
    stem = pairing._stem
    monkeypatch.setattr(pairing, "_stem", lambda path, format_: looked_at.append(path) or stem(path, format_))
    listing = Listing([Entry(f"{name}.jpg", 1) for name in names], [Entry(f"{name}.xml", 1) for name in names])
    found = pair(listing, lambda _: "")
    assert {one.image.path for one in found.pairs} == {f"{name}.jpg" for name in names}
    assert len(looked_at) <= 6 * len(names)


def test_a_name_in_very_many_folders_is_compared_with_one() -> None:
    """Label files name images by their path on another machine; each was compared with all of that name."""
    images = [Entry(f"train/{number}/0001.jpg", 1) for number in range(500)]
    names = matching.Names.from_images(images)
    assert {len(group) for group in names._ends.values()} == {1}
    assert names.find("77/0001.jpg", "") == ["train/77/0001.jpg"]
    assert len(names.find("0001.jpg", "")) == 500
