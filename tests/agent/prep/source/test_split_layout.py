"""Splits that a data set came with are named, and folders that hold each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prep_in_memory import Preparation, seen
from trainingrun_agent.config import Source
from trainingrun_agent.prep.model.findings import Finding, Split
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.split_layout import findings, published
from trainingrun_agent.terms import TRAININGRUN
from voc_data import jpeg, voc

BUCKET = "detectors"


def told(
    images: dict[str, int], train: Source, evaluation: Source | None = None, *, sets: tuple[str, ...] = ()
) -> list[Finding]:
    """The findings about a folder with so many images in each of its folders."""
    paths = [f"{folder}{number}.jpg" for folder, count in images.items() for number in range(count)]
    listing = Listing(images=[Entry(path, 1) for path in paths], sets=[f"ImageSets/Main/{name}.txt" for name in sets])
    sources: dict[Split, Source] = {"train": train} if evaluation is None else {"train": train, "eval": evaluation}
    return list(findings(sources, dict.fromkeys(sources, listing), str))


ROOT = Source(BUCKET, "set/")
AT = "train on s3://detectors/set/{} and evaluate on s3://detectors/set/{}"
POOLED = {
    "Roboflow": (
        {"train/images/": 7, "valid/images/": 2, "test/images/": 1},
        "./: SplitsPooled: there are splits, with images: train/ 7, valid/ 2, test/ 1; to keep them apart, "
        + AT.format("train/", "valid/"),
    ),
    "Ultralytics": (
        {"images/train/": 7, "images/val/": 2},
        "images/: SplitsPooled: there are splits, with images: train/ 7, val/ 2; to keep them apart, "
        + AT.format("images/train/", "images/val/"),
    ),
    "COCO": (
        {"train2017/": 7, "val2017/": 2, "test2017/": 8},
        "./: SplitsPooled: there are splits, with images: test2017/ 8, train2017/ 7, val2017/ 2; to keep them apart, "
        + AT.format("train2017/", "val2017/"),
    ),
    "COCO with its panoptic masks, of which there are as many": (
        {"annotations/panoptic_train2017/": 7, "annotations/panoptic_val2017/": 2, "train2017/": 7, "val2017/": 2},
        "./: SplitsPooled: there are splits, with images: train2017/ 7, val2017/ 2; to keep them apart, "
        + AT.format("train2017/", "val2017/"),
    ),
    "only train and test, a folder deeper": (
        {"data/Training/": 7, "data/Testing/": 2},
        "data/: SplitsPooled: there are splits, with images: Training/ 7, Testing/ 2; to keep them apart, "
        + AT.format("data/Training/", "data/Testing/"),
    ),
}


@pytest.mark.parametrize(("images", "line"), POOLED.values(), ids=POOLED)
def test_a_folder_that_holds_splits_says_how_to_name_them(images: dict[str, int], line: str) -> None:
    [finding] = told(images, ROOT)
    assert finding.line(TRAININGRUN) == line
    assert [finding.code for finding in told(images, ROOT, Source(BUCKET, "other/"))] == ["SplitsPooled"]


SETS = [
    (("train", "val", "trainval", "test", "car_test"), ("trainval", "test")),
    (("train", "val"), ("train", "val")),
    (("trainval", "val"), None),
    (("trainval",), None),
]


@pytest.mark.parametrize(("sets", "named"), SETS)
def test_lists_of_splits_are_named(sets: tuple[str, ...], named: tuple[str, str] | None) -> None:
    found = told({"JPEGImages/": 3}, ROOT, sets=sets)
    assert [(one.fields["train"], one.fields["eval"]) for one in found] == ([named] if named else [])
    assert told({"JPEGImages/": 3}, replace(ROOT, image_set="trainval"), sets=sets) == []


def test_image_sets_of_a_tree_below_the_folder_are_named_with_the_tree() -> None:
    sets = [Entry(f"VOCdevkit/VOC2007/ImageSets/Main/{name}.txt", 9) for name in ("trainval", "test", "car_test")]
    images = [Entry(f"VOCdevkit/VOC2007/JPEGImages/{number}.jpg", 1) for number in range(3)]
    listing = Listing(images=images, annotations=sets)
    [finding] = findings({"train": ROOT}, {"train": listing}, str)
    assert finding.line(TRAININGRUN) == (
        "VOCdevkit/VOC2007/ImageSets/Main/: SplitsPooled: there are lists of splits; to keep them apart, train on "
        "image set trainval and evaluate on image set test, both of s3://detectors/set/VOCdevkit/VOC2007/"
    )
    divided = published(ROOT, listing)
    assert divided is not None
    assert (divided.train, divided.eval) == (
        Source(BUCKET, "set/VOCdevkit/VOC2007/", "trainval"),
        Source(BUCKET, "set/VOCdevkit/VOC2007/", "test"),
    )


def test_image_sets_of_one_tree_do_not_leave_out_the_images_of_another() -> None:
    trees = ("VOC2007", "VOC2012")
    sets = [Entry(f"{tree}/ImageSets/Main/{name}.txt", 9) for tree in trees[:1] for name in ("train", "val")]
    images = [Entry(f"{tree}/JPEGImages/1.jpg", 1) for tree in trees]
    assert published(ROOT, Listing(images=images, annotations=sets)) is None


LISTS = [
    (("train.txt", "valid.txt", "notes.txt"), ["train.txt", "valid.txt"]),
    (("train2017.txt", "val2017.txt", "test-dev2017.txt"), ["test-dev2017.txt", "train2017.txt", "val2017.txt"]),
    (("train.txt",), []),
    (("train_01.txt", "test_01.txt"), []),
]


@pytest.mark.parametrize(("files", "named"), LISTS)
def test_lists_of_images_that_are_not_read_are_told(files: tuple[str, ...], named: list[str]) -> None:
    listing = Listing(images=[Entry("data/1.jpg", 1)], annotations=[Entry(name, 9) for name in files])
    found = list(findings({"train": ROOT}, {"train": listing}, str))
    assert [one.fields["parts"] for one in found] == ([named] if named else [])


NONE = [
    {"": 9},
    {"train/": 9},
    {"strain/": 9, "contest/": 2},
    {"front/train/": 9, "rear/test/": 3},
    {"a/b/c/train/": 9, "a/b/c/test/": 3},
]


@pytest.mark.parametrize("images", NONE, ids=str)
def test_other_folders_are_no_splits(images: dict[str, int]) -> None:
    assert told(images, ROOT) == []


OVERLAPS = [
    (ROOT, Source(BUCKET, "set/test/"), "inside"),
    (Source(BUCKET, "set/train/"), ROOT, "around"),
    (ROOT, replace(ROOT, image_set="test"), "inside"),
    (replace(ROOT, image_set="train"), ROOT, "around"),
    (replace(ROOT, image_set="train"), replace(ROOT, image_set="test"), ""),
    (Source(BUCKET, "set/train/"), Source(BUCKET, "set/test/"), ""),
    (Source(BUCKET, "set/"), Source("other", "set/test/"), ""),
]


@pytest.mark.parametrize(("train", "evaluation", "case"), OVERLAPS)
def test_a_folder_for_evaluation_in_the_one_for_training_is_told(train: Source, evaluation: Source, case: str) -> None:
    found = told({"": 9}, train, evaluation)
    assert [(one.code, one.fields["case"]) for one in found] == ([("EvalInsideTrain", case)] if case else [])


def test_images_for_evaluation_that_are_trained_on_are_counted_in_the_report(prep: Preparation) -> None:
    for name in ("a", "b"):
        prep.memory.objects[f"train/test/{name}.jpg"] = jpeg(seed=name)
        prep.memory.objects[f"train/test/{name}.xml"] = voc()
    prep.eval = Source(BUCKET, "train/test/")
    prep.run()
    [finding] = [one for one in prep.document("report.json")["findings"] if one["code"] == "EvalInsideTrain"]
    assert seen(finding) == (
        "s3://detectors/train/test/ is inside s3://detectors/train/, "
        "so 2 images for evaluation are images for training, too"
    )
