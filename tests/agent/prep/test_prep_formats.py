"""The same pictures labelled in every format give the same records, recognised without being told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from label_sets import CLASSES, SETS, images
from prep_lab import Lab
from trainingrun_agent.prep.readers import FORMATS


def stored(lab: Lab, name: str) -> str:
    """Put the set of that name below both splits; returns the value of `format`."""
    format_, write = SETS[name]
    files = {**images(), **write()}
    lab.memory.objects = {f"{split}/{path}": data for split in ("train", "eval") for path, data in files.items()}
    lab.classes = CLASSES
    return format_


@pytest.fixture
def of_voc(lab: Lab) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Records and report of the set in PascalVOC."""
    stored(lab, "pascalVOC")
    lab.run()
    return lab.blobs(), lab.document("report.json")


@pytest.mark.parametrize("asked", ["auto", "by name"])
@pytest.mark.parametrize("name", SETS)
def test_every_format_gives_the_records_of_pascal_voc(
    lab: Lab,
    of_voc: tuple[dict[str, bytes], dict[str, Any]],
    contract: Callable[[str, Any], None],
    name: str,
    asked: str,
) -> None:
    blobs, of_xml = of_voc
    format_ = stored(lab, name)
    lab.set_format(asked if asked == "auto" else format_)
    made = lab.run()
    report = lab.document("report.json")
    contract("report", report)
    assert report["counts"] == {}
    assert report["splits"] == {split: {**numbers, "format": format_} for split, numbers in of_xml["splits"].items()}
    assert lab.blobs() == blobs
    assert made.numbers["format"] == format_
    assert lab.progress.snapshot()["format"] == format_
    assert list(lab.scratch.iterdir()) == []


def test_every_format_has_a_set() -> None:
    assert {format_ for format_, _ in SETS.values()} == set(FORMATS)


def test_train_and_eval_may_differ(lab: Lab) -> None:
    stored(lab, "coco")
    coco = {key: data for key, data in lab.memory.objects.items() if key.startswith("train/")}
    stored(lab, "yolo")
    lab.memory.objects = {key: data for key, data in lab.memory.objects.items() if key.startswith("eval/")} | coco
    assert lab.run().numbers["format"] == "coco (train), yolo (eval)"
