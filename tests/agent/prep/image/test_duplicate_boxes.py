"""A box that is there twice, with the same class and corners, counts once."""

from __future__ import annotations

from dataclasses import replace

from trainingrun_agent.prep.image.check import Checked, Checker
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject
from voc_data import jpeg

TIRE = LabelledObject(0, "tire", 10, 20, 60, 80)


def checked(*objects: LabelledObject) -> Checked:
    placed = tuple(replace(item, index=index) for index, item in enumerate(objects))
    return Checker(("tire", "hub"), 1024)("a.jpg", "a.xml", jpeg(), Annotation("", 160, 120, placed), format_="")


def told(made: Checked) -> list[tuple[str, object]]:
    return [(finding.code, finding.fields["count"]) for finding in made.findings]


def test_one_of_each_stays_in_the_order_of_the_file() -> None:
    made = checked(TIRE, replace(TIRE, name="hub"), TIRE, replace(TIRE, difficult=True), replace(TIRE, xmax=61))
    assert [(box.index, box.name, box.xmax) for box in made.boxes] == [(0, "tire", 60), (1, "hub", 60), (4, "tire", 61)]
    assert told(made) == [("DuplicateBoxes", 2)]


def test_a_crowd_with_the_corners_of_an_object_is_no_duplicate() -> None:
    made = checked(replace(TIRE, crowd=True), TIRE)
    assert [box.index for box in made.boxes] == [1]
    assert told(made) == [("CrowdDropped", 1)]
