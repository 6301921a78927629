"""The images that the report shows: examples of findings and of classes, with the boxes as they were labelled."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from prep_in_memory import Preparation
from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.report import gallery as module
from trainingrun_agent.prep.report.page.pictures import Shown, Wanted
from voc_data import encoded, jpeg, labelled, picture, voc


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """Collects the pictures that preparation draws."""
    found: list[Wanted] = []
    lock = threading.Lock()
    draw = module.draw

    def noted(data: bytes, one: Wanted) -> Shown:
        with lock:
            found.append(one)
        return draw(data, one)

    monkeypatch.setattr(module, "draw", noted)
    return found


def in_group(wanted: Sequence[Wanted], group: str) -> list[Wanted]:
    return sorted((one for one in wanted if one.group == group), key=lambda one: one.path)


def test_a_finding_is_shown_with_its_box_marked(prep: Preparation, wanted: list[Wanted]) -> None:
    prep.add("t1", xml=voc([labelled(), labelled(box=(-16, 12, 80, 60))]))
    prep.run()
    [one] = in_group(wanted, "BoxClipped")
    assert (one.split, one.path) == ("train", "t1.jpg")
    assert one.caption.startswith("object 1: 'tire' (xmin, ymin, xmax, ymax) = (-16, 12, 80, 60)")
    assert [box.marked for box in one.boxes] == [False, True]
    assert one.boxes[1].corners == pytest.approx((-0.1, 0.1, 0.5, 0.5))
    assert [box.label for box in one.boxes] == ["tire", "tire"]


def test_unusable_files_are_shown_as_far_as_possible(prep: Preparation, wanted: list[Wanted]) -> None:
    prep.max_bad_files = "100%"
    prep.add("unlabelled")
    del prep.memory.objects["train/unlabelled.xml"]
    prep.add("malformed", xml=b"<annotation>")
    prep.add("page", b"<html></html>")
    prep.add("other size", xml=voc(size=(320, 240)))
    prep.add("zebra", xml=voc([labelled("zebra")]))
    prep.run()
    shown = {group: [(one.path, len(one.boxes)) for one in in_group(wanted, group)] for group in prep.codes()}
    assert shown == {
        "ImageWithoutAnnotation": [("unlabelled.jpg", 0)],
        "AnnotationMalformed": [("malformed.jpg", 0)],
        "ImageUnreadable": [("page.jpg", 0)],
        "SizeMismatch": [("other size.jpg", 1)],
        "UnknownClass": [("zebra.jpg", 1)],
    }


def test_a_turned_image_is_shown_as_it_was_labelled(prep: Preparation, wanted: list[Wanted]) -> None:
    exif: Any = picture().getexif()
    exif[0x0112] = 6
    prep.add("t1", encoded(picture(seed="turned"), exif=exif), voc([labelled(box=(12, 16, 60, 80))], size=(120, 160)))
    prep.run()
    [one] = [one for one in in_group(wanted, "class:tire") if one.path == "t1.jpg"]
    assert one.upright
    assert one.boxes[0].corners == pytest.approx((0.1, 0.1, 0.5, 0.5))


def test_only_the_first_examples_are_shown(prep: Preparation, wanted: list[Wanted]) -> None:
    for number in range(20):
        prep.add(f"b{number:02d}", xml=voc([labelled(box=(-5, 1, 50, 60))]))
    prep.run()
    assert [one.path for one in in_group(wanted, "BoxClipped")] == [
        f"b{number:02d}.jpg" for number in range(module.PER_CODE)
    ]
    assert len(in_group(wanted, "class:tire")) == module.PER_CLASS


def test_an_image_that_changed_meanwhile_is_left_blank(
    prep: Preparation, wanted: list[Wanted], monkeypatch: pytest.MonkeyPatch
) -> None:
    get, seen = prep.memory.get, set[str]()

    def once(key: str, *, max_bytes: int, etag: str = "") -> bytes:
        if key in seen and key.endswith("t1.jpg"):
            return jpeg(seed="another, of another size") + b"longer"
        seen.add(key)
        return get(key, max_bytes=max_bytes, etag=etag)

    monkeypatch.setattr(prep.memory, "get", once)
    prep.run()
    assert "t1.jpg" in {one.path for one in wanted}
    assert not any("DataChanged" in key for key in prep.memory.objects)


def test_large_images_are_drawn_one_after_the_other(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four at once took 600 MiB, more than the pod had left."""
    monkeypatch.setattr(images, "LARGE", 0)
    at_once, most, together = 0, 0, threading.Event()
    decoded = images._decoded

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        together.wait(0.01)  # others come in meanwhile, if they can
        at_once -= 1
        return decoded(*arguments, **options)

    monkeypatch.setattr(images, "_decoded", counted)
    for number in range(6):
        prep.add(f"t{number}", xml=voc([labelled(), labelled(box=(-16, 12, 80, 60))]))
    prep.run()
    assert most == 1
