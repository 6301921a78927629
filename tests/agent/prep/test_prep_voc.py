"""PascalVOC files, well-formed and crafted: an annotation, or one named finding."""

from __future__ import annotations

import pytest

from trainingrun_agent.prep.annotation import UnusableError
from trainingrun_agent.prep.readers.pascal_voc import read
from voc_crafts import BAD, GOOD, TIRE, box
from voc_data import labelled, voc


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_reads(data: bytes) -> None:
    [item] = read(data).objects
    assert (item.name, item.xmin, item.ymin, item.xmax, item.ymax) == ("tire", 10, 20, 60, 80)


@pytest.mark.parametrize(("data", "code"), BAD.values(), ids=BAD)
def test_refuses_by_name(data: bytes, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read(data)
    assert caught.value.code == code
    assert caught.value.hint


def test_names_the_object() -> None:
    with pytest.raises(UnusableError) as caught:
        read(voc([TIRE, TIRE, box(xmin="x", ymin=1, xmax=2, ymax=2)]))
    assert caught.value.index == 2


@pytest.mark.parametrize(
    "text",
    ["", "0", "-5", "nan", "inf", "1e99", "wide"],
    ids=["empty", "zero", "negative", "nan", "inf", "huge", "word"],
)
def test_a_size_that_makes_no_sense_is_no_size(text: str) -> None:
    annotation = read(voc().replace(b"<width>160", f"<width>{text}".encode()))
    assert (annotation.width, annotation.height) == (0, 120)


def test_keeps_flags_and_images_without_objects() -> None:
    [item] = read(voc([labelled(extra="<difficult>1</difficult><truncated>1</truncated><pose>Left</pose>")])).objects
    assert (item.difficult, item.truncated, item.view) == (True, True, "Left")
    assert read(voc([])).objects == ()
