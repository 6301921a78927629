"""Classes that are in one split only: where they are is said, and what puts them into both."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prep_in_memory import Preparation, seen
from trainingrun_agent.config import GroupBy, SplitRule
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.split.division import Division
from trainingrun_agent.prep.split.eval_fraction import group_key, split_of
from trainingrun_agent.terms import TRAININGRUN
from voc_data import labelled, voc

HUB = voc([labelled("hub")])


def one_folder(prep: Preparation, hubs: list[str], *, seed: int = 0, group: GroupBy = "sequence") -> None:
    """Ten images with `tire`, and one with `hub` for each name."""
    prep.memory.objects.clear()
    prep.classes = ("tire", "hub")
    prep.eval, prep.split = None, SplitRule(Decimal("0.3"), seed, group)
    for number in range(10):
        prep.add(f"tire{number}x")
    for name in hubs:
        prep.add(name, xml=HUB)


def drawn(names: list[str], split: str) -> int:
    """The first seed that puts all these images into a split."""
    return next(
        seed
        for seed in range(1000)
        if {split_of(f"{name}.jpg", SplitRule(Decimal("0.3"), seed, "sequence")) for name in names} == {split}
    )


def refusal(prep: Preparation) -> UserError:
    with pytest.raises(UserError) as caught:
        prep.run()
    return caught.value


CLIP = ["clip7_1", "clip7_2", "clip7_3"]


def test_a_class_of_one_group_names_it_and_the_way_out(prep: Preparation) -> None:
    one_folder(prep, CLIP, seed=drawn(CLIP, "eval"))
    error = refusal(prep)
    assert (error.reason, error.message) == (
        "ClassNotInTrain",
        ("spec.dataset.evalFraction 0.3 leaves no object of class 'hub' for train: all 3 are in eval (groups: clip7)"),
    )
    assert error.hint.startswith(
        "Create a new TrainingRun with spec.dataset.splitGroup: image (now sequence): no other"
    )


def test_a_class_of_several_groups_comes_with_a_seed_that_divides_it(prep: Preparation) -> None:
    names = ["clip7_1", "clip8_1", "clip9_1"]
    one_folder(prep, names, seed=drawn(names, "eval"))
    error = refusal(prep)
    assert "(groups: clip7, clip8, clip9)" in error.message
    change = error.change(TRAININGRUN)
    assert change is not None
    assert change.path == "dataset.splitSeed"
    one_folder(prep, names, seed=int(str(change.to)))
    prep.run()
    assert prep.codes() == {}


def test_a_class_of_one_image_asks_for_more(prep: Preparation) -> None:
    one_folder(prep, ["hubx"], seed=drawn(["hubx"], "eval"), group="image")
    prep.split = SplitRule(Decimal("0.3"), next(s for s in range(99) if _image_in_eval("hubx.jpg", s)), "image")
    assert refusal(prep).hint.startswith("Label more images with the class")


def _image_in_eval(path: str, seed: int) -> bool:
    return split_of(path, SplitRule(Decimal("0.3"), seed, "image")) == "eval"


def test_a_class_in_the_other_folder_only_is_not_called_missing(prep: Preparation) -> None:
    prep.classes = ("tire", "hub")
    prep.add("e1", xml=voc([labelled("hub"), labelled("hub", (1, 1, 50, 60))]), split="eval")
    error = refusal(prep)
    assert (error.reason, error.message) == (
        "ClassNotInTrain",
        "spec.dataset.train: no object of class 'hub'; all 2 are in spec.dataset.eval",
    )


def test_a_class_that_is_nowhere_is_named_beside_those_of_both_splits(prep: Preparation) -> None:
    one_folder(prep, CLIP, seed=drawn(CLIP, "eval"))
    prep.classes = ("tire", "zebra")
    error = refusal(prep)
    assert error.reason == "ClassNotFound"
    assert "class names there: 'tire' (10), 'hub' (3)" in error.message


def _finding(prep: Preparation) -> dict[str, Any]:
    prep.run()
    report = prep.document("report.json")
    [finding] = [one for one in report["findings"] if one["code"] == "ClassWithoutEval"]
    return {**finding, "betterSeed": report["split"].get("betterSeed")}


def test_a_class_that_is_only_trained_names_its_group(prep: Preparation) -> None:
    seed = next(
        s
        for s in range(99)
        if s in _seeds(CLIP, "train") and any(s in _seeds([f"tire{n}x"], "eval") for n in range(10))
    )
    one_folder(prep, CLIP, seed=seed)
    found = _finding(prep)
    assert seen(found) == "no box of class 'hub' in the eval split: all 3 are in train, in 1 group, first clip7"
    assert found["betterSeed"] is None


def test_a_class_that_is_only_trained_comes_with_a_seed(prep: Preparation) -> None:
    names = ["clip7_1", "clip8_1"]
    seed = next(s for s in _seeds(names, "train") if any(s in _seeds([f"tire{n}x"], "eval") for n in range(10)))
    one_folder(prep, names, seed=seed)
    found = _finding(prep)
    assert f"first clip7; spec.dataset.splitSeed {found['betterSeed']} puts every class into both splits" in seen(found)
    one_folder(prep, names, seed=found["betterSeed"])
    prep.run()


def _seeds(names: list[str], split: str) -> list[int]:
    rule = Decimal("0.3")
    return [
        seed
        for seed in range(99)
        if {split_of(f"{name}.jpg", SplitRule(rule, seed, "sequence")) for name in names} == {split}
    ]


def test_images_of_one_group_name_it(prep: Preparation) -> None:
    prep.memory.objects.clear()
    prep.eval, prep.split = None, SplitRule(Decimal("0.3"), _seeds(CLIP, "train")[0], "sequence")
    for name in CLIP:
        prep.add(name)
    error = refusal(prep)
    assert error.reason == "EmptyEvalSet"
    assert error.message == (
        "spec.dataset.evalFraction 0.3 of 3 images leaves no image for eval: all are in the group clip7"
    )
    assert "spec.dataset.splitGroup: image" in error.hint


def test_a_split_that_was_left_empty_by_chance_comes_with_a_seed(prep: Preparation) -> None:
    prep.memory.objects.clear()
    names = ["clip7_1", "clip8_1"]
    prep.eval, prep.split = None, SplitRule(Decimal("0.3"), _seeds(names, "train")[0], "sequence")
    for name in names:
        prep.add(name)
    change = refusal(prep).change(TRAININGRUN)
    assert change is not None
    assert change.path == "dataset.splitSeed"
    prep.split = SplitRule(Decimal("0.3"), int(str(change.to)), "sequence")
    made = prep.run()
    assert (made.train_images, made.eval_images) == (1, 1)


@pytest.mark.parametrize("split", ["train", "eval"])
def test_a_split_of_images_without_objects_comes_with_a_seed(prep: Preparation, split: str) -> None:
    prep.memory.objects.clear()
    names, rest = ["clip7_1", "clip8_1"], [f"empty{number}x" for number in range(20)]
    other = {"train": "eval", "eval": "train"}[split]
    prep.eval, prep.split = None, SplitRule(Decimal("0.3"), _seeds(names, other)[0], "sequence")
    for name in (*names, *rest):
        prep.add(name, xml=voc() if name in names else voc([]))
    error = refusal(prep)
    assert error.reason == {"train": "EmptyTrainSet", "eval": "EmptyEvalSet"}[split]
    assert f"no object for {split}" in error.message
    change = error.change(TRAININGRUN)
    assert change is not None
    prep.split = SplitRule(Decimal("0.3"), int(str(change.to)), "sequence")
    prep.run()


def csv(path: Path, boxes: dict[str, str]) -> Path:
    rows = "".join(f"{image},10,10,{name},1,1,5,5\n" for image, name in boxes.items())
    path.write_text(f"filename,width,height,class,xmin,ymin,xmax,ymax\n{rows}")
    return path


def test_the_seed_is_the_first_that_divides_every_class(tmp_path: Path) -> None:
    boxes = {f"clip{number}_1.jpg": f"class {number % 5}" for number in range(20)}
    rule = SplitRule(Decimal("0.15"), 0, "sequence")

    def divides(seed: int) -> bool:
        sides = {(name, split_of(image, SplitRule(rule.fraction, seed, "sequence"))) for image, name in boxes.items()}
        return len(sides) == 10

    expected = next(seed for seed in range(1000) if divides(seed))
    assert expected > 0
    assert Division(rule, [csv(tmp_path / "train.csv", boxes)]).better_seed == expected


def test_there_is_no_seed_for_a_class_of_one_group(tmp_path: Path) -> None:
    boxes = {"clip7_1.jpg": "hub", "clip7_2.jpg": "hub", "a.jpg": "tire", "b.jpg": "tire"}
    division = Division(SplitRule(Decimal("0.5"), 0, "sequence"), [csv(tmp_path / "train.csv", boxes)])
    assert division.better_seed is None
    assert division.groups["hub"] == [group_key("clip7_1.jpg", "sequence")]


def test_the_search_for_a_seed_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun_agent.prep.split.division.MAX_DRAWS", 500)
    boxes = {f"{number}x.jpg": "tire" for number in range(100)}
    rule = SplitRule(Decimal("0.0001"), 0, "image")
    assert Division(rule, [csv(tmp_path / "train.csv", boxes)]).better_seed is None
