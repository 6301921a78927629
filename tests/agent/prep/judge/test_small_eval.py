"""Too little to evaluate on is said with what a score is worth."""

from __future__ import annotations

import pytest

from prep_in_memory import Preparation, seen
from voc_data import labelled, voc

pytestmark = pytest.mark.usefixtures("real_limits")


def prepare(prep: Preparation, images: int, hubs: int) -> list[str]:
    prep.memory.objects.clear()
    prep.classes = ("tire", "hub")
    prep.add("t0", xml=voc([labelled(), labelled("hub")]))
    for number in range(images):
        prep.add(f"{number}", xml=voc([labelled("hub" if number < hubs else "tire")]), split="eval")
    prep.run()
    return [seen(one) for one in prep.document("report.json")["findings"] if one["code"] == "EvalTooSmall"]


FEW = "images for evaluation: a score of 50 % may be off by {} points (95 % interval)"
RARE = "boxes of class 'hub' for evaluation: a recall of 50 % may be off by {} points (95 % interval)"
CASES = [
    (20, 5, []),
    (19, 5, [f"19 {FEW.format(21)}"]),
    (6, 1, [f"6 {FEW.format(31)}"]),
    (20, 4, [f"4 {RARE.format(35)}"]),
    (21, 1, [f"1 {RARE.format(45)}".replace("boxes", "box")]),
    (20, 0, []),
]


@pytest.mark.parametrize(("images", "hubs", "expected"), CASES)
def test_few_images_or_objects_are_a_warning(prep: Preparation, images: int, hubs: int, expected: list[str]) -> None:
    assert prepare(prep, images, hubs) == expected
