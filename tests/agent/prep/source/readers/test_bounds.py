"""Bounds that every label format has: objects of an image, and categories of a file."""

from __future__ import annotations

import json

import pytest

from label_reading import file_format, read_set
from label_sets import CLASSES, SETS, Photo
from trainingrun_agent.prep.image.check import MAX_SUGGESTED, Checker
from trainingrun_agent.prep.model import annotation
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.source import index
from trainingrun_agent.prep.source.readers import FORMATS, Context, FileFormat, labelimg, values
from voc_data import jpeg

LIMIT = 40


def crowded(count: int) -> Photo:
    return Photo("0001.jpg", tuple(("tire", 1, 1, 10 + number, 20) for number in range(count)))


def outcome(name: str, count: int) -> int | str:
    """The number of objects read, or the code of the finding."""
    format_, write = SETS[name]
    files = [data for path, data in write([crowded(count)]).items() if path != "classes.txt"]
    try:
        if isinstance(FORMATS[format_], FileFormat):
            found: Annotation | UnusableError = file_format(format_).read(files[0], Context(CLASSES, CLASSES))
        else:
            read = read_set(format_, *files).images
            [found] = [labels for image, labels in read.items() if "0001" in image]
    except UnusableError as problem:
        found = problem
    return found.code if isinstance(found, UnusableError) else len(found.objects)


@pytest.mark.parametrize("name", SETS)
def test_every_format_has_the_same_bound_of_objects_for_an_image(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (annotation, values, index, labelimg):
        monkeypatch.setattr(module, "MAX_OBJECTS", LIMIT)
    assert [outcome(name, count) for count in (LIMIT, LIMIT + 1)] == [LIMIT, "TooManyObjects"]


def test_four_megabytes_of_yolo_are_not_turned_into_objects() -> None:
    data = b"0 .5 .5 .1 .1\n" * (4 * 1024 * 1024 // 14)
    with pytest.raises(UnusableError, match="TooManyObjects: more than 10000 objects"):
        file_format("yolo").read(data, Context(CLASSES, CLASSES))


NOT_A_LABEL = b"0" + b" 11" * 60 + b" x\n"


def test_a_line_of_numbers_and_a_letter_is_looked_at_once() -> None:
    """A pattern that matched each number in two ways went through 2^60 combinations."""
    assert not file_format("yolo").recognises(NOT_A_LABEL)
    assert file_format("yolo").recognises(b"0 0.5 .5 1e-3 -1\n")


@pytest.mark.parametrize("format_", ["coco", "openImages"])
def test_a_file_of_very_many_categories_is_refused(format_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(index.MAX_LISTED, "categories", 3)
    if format_ == "coco":
        data = json.dumps({"categories": [{"id": number, "name": "tire"} for number in range(4)]}).encode()
    else:
        data = b"".join(b"/m/0%d,tire\n" % number for number in range(4))
    with pytest.raises(UnusableError, match="AnnotationTooLarge: more than 3 categories"):
        read_set(format_, data)


def test_the_nearest_class_is_looked_for_only_for_a_few_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 objects of 10,000 unknown classes took minutes."""
    asked: list[str] = []
    monkeypatch.setattr("trainingrun_agent.prep.image.check.nearest", lambda name, _classes: asked.append(name))
    names = [f"tyre {number}" for number in range(MAX_SUGGESTED + 5)]
    objects = tuple(LabelledObject(at, name, 1, 1, 10, 10) for at, name in enumerate(names * 2))
    made = Checker(CLASSES, 100)("a.jpg", "a.xml", jpeg(), Annotation("a.jpg", 160, 120, objects), format_="")
    assert asked == names[:MAX_SUGGESTED]
    assert [finding.index for finding in made.findings] == list(range(len(objects)))
