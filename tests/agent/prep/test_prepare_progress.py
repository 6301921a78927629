"""Progress of preparation: every phase counts what it does, and none stands while it works."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from label_sets import CLASSES, SETS, images
from prep_in_memory import Preparation
from trainingrun_agent.prep.source import meter
from trainingrun_agent.progress import Progress
from voc_data import jpeg, voc


class Recorded(Progress):
    """Progress that keeps a snapshot after each change."""

    def __init__(self) -> None:
        super().__init__(stage="prep", pod_uid="pod-1")
        self.seen: list[dict[str, Any]] = []

    def update(self, **fields: Any) -> None:
        super().update(**fields)
        self.seen.append(self.snapshot())

    def phases(self) -> list[str]:
        """The phases, one after the other."""
        shown = [document["phase"] for document in self.seen]
        return [after for before, after in pairwise(["", *shown]) if before != after]

    def of(self, phase: str) -> list[tuple[int, int | None, str]]:
        """What a phase has counted."""
        return [(one["done"], one.get("total"), one["unit"]) for one in self.seen if one["phase"] == phase]


@pytest.fixture
def progress(prep: Preparation) -> Recorded:
    prep.progress = made = Recorded()
    prep.classes = CLASSES
    return made


def fill(prep: Preparation, name: str) -> None:
    """A data set in a format, in both splits."""
    prep.memory.objects.clear()
    written = SETS[name][1]()
    for split in ("train", "eval"):
        for path, data in {**images(split=split), **written}.items():
            prep.memory.objects[f"{split}/{path}"] = data
    prep.set_format(SETS[name][0])


def test_a_label_file_of_a_whole_data_set_is_counted_while_it_is_read(
    prep: Preparation, progress: Recorded, monkeypatch: pytest.MonkeyPatch, contract: Callable[[str, Any], None]
) -> None:
    """`fetching 998/998 MB (100 %)` stood for ten minutes while the file was parsed."""
    monkeypatch.setattr(meter, "LARGE", 1)
    monkeypatch.setattr(meter, "BUFFER", 100)
    fill(prep, "coco")
    for key in [key for key in prep.memory.objects if key.endswith(".json")]:
        prep.memory.objects[key] += b" " * 300_000
        size = len(prep.memory.objects[key])
    prep.run()
    phases = ["listing", "fetching", "reading", "pairing"]
    end = ["checking", "writing", "comparing", "reporting"]
    assert progress.phases() == [phases[0], *phases[1:], *phases[1:], *end]
    for phase in ("fetching", "reading"):
        assert progress.of(phase)[-1] == (size, size, "bytes")
    steps = [done for done, _, _ in progress.of("reading")]
    assert max(after - before for before, after in pairwise(steps) if after > before) <= 65_536
    assert progress.of("pairing")[-1] == (0, 4, "images")
    written = sum(len(data) for key, data in prep.memory.objects.items() if "/blobs/" in key)
    assert progress.of("writing")[-1] == (written, written, "bytes")
    assert progress.of("reporting")[-1][0] == progress.of("reporting")[-1][1]
    for document in progress.seen:
        contract("progress", document)


def test_the_percentage_never_falls_whatever_comes_after_the_check(prep: Preparation, progress: Recorded) -> None:
    fill(prep, "coco")
    prep.run()
    percents = [document.get("percent", 0) for document in progress.seen]
    assert percents == sorted(percents)
    assert percents[-1] == 99


def test_fetching_small_files_does_not_alternate_with_reading_them(prep: Preparation, progress: Recorded) -> None:
    fill(prep, "labelStudio")
    prep.run()
    assert "fetching" not in progress.phases()


def test_names_inside_of_labels_are_counted_while_they_are_read(prep: Preparation, progress: Recorded) -> None:
    prep.memory.objects.clear()
    prep.classes = ("tire",)
    for index in range(3):
        prep.memory.objects[f"train/photo{index}.jpg"] = jpeg(seed=index)
        prep.memory.objects[f"train/labels{index}.xml"] = voc(filename=f"photo{index}.jpg")
    prep.add("e0", split="eval")
    assert prep.run().train_images == 3
    assert [done for done, _, _ in progress.of("pairing")][:4] == [0, 1, 2, 3]


def test_looking_for_duplicates_is_counted(
    prep: Preparation, progress: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun_agent.prep.judge.duplicates.EVERY", 1)
    fill(prep, "pascalVOC")
    prep.run()
    assert progress.of("comparing") == [(done, 12, "images") for done in range(13)]
