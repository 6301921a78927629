"""What an export says about itself: README.md, metrics.json, the suggested threshold, the names of pictures."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from trainingrun_trainer import metrics, pictures, readme, threshold

GUIDE = Path(__file__).parents[2] / "docs" / "user-guide.md"
CLASSES = {1: "tire"}
MEASURED: dict[str, Any] = {
    "ap50": 0.9,
    "mAP": 0.6,
    "perClass": {"tire": {"ap50": 0.9, "mAP": 0.6}},
    "evalImages": 20,
    "detections": 22,
    "scoreThreshold": 0.431,
    "precision": 0.95,
    "recall": 0.9,
    "f1": 0.9243,
}
SPEC: dict[str, Any] = {"checkpointStep": 180, "evalImages": 20}


@pytest.mark.parametrize(
    ("detections", "labelled", "expected"),
    [
        ([], 0, (0.5, 0.0, 0.0, 0.0)),
        ([], 3, (0.5, 0.0, 0.0, 0.0)),
        ([(0.9, True), (0.8, True), (0.3, False)], 2, (0.8, 1.0, 1.0, 1.0)),
        ([(0.9, True), (0.8, False), (0.71239, True), (0.1, False)], 2, (0.712, 0.6667, 1.0, 0.8)),
        ([(0.9, False), (0.8, False)], 2, (0.5, 0.0, 0.0, 0.0)),
        ([(0.3, False), (0.9, True)], 4, (0.9, 1.0, 0.25, 0.4)),
    ],
    ids=["nothing", "nothing found", "clean cut", "rounded down", "all wrong", "in any order"],
)
def test_threshold_is_where_f1_is_highest(
    detections: list[tuple[float, bool]], labelled: int, expected: tuple[float, ...]
) -> None:
    found = threshold.suggest(detections, labelled)
    assert tuple(found.values()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        ("tire_07.jpg", "003-tire_07.png"),
        ("day 1/räder/Reifen (2).JPG", "003-Reifen__2_.png"),
        ("../../etc/passwd", "003-passwd.png"),
        ("a" * 200 + ".png", f"003-{'a' * 80}.png"),
        (".jpg", "003-.jpg.png"),
        ("", "003-.png"),
    ],
    ids=["plain", "other characters", "path", "long", "hidden", "none"],
)
def test_a_picture_has_the_name_of_its_photo(photo: str, name: str) -> None:
    assert pictures.file_name(3, photo) == name


def test_each_number_is_explained() -> None:
    document = metrics.complete(MEASURED, {**SPEC, "trainingAP50": 0.9, "trainingMAP": 0.6, "checkpointReason": "best"})
    assert set(document["about"]) == set(document) - {"about"} == set(metrics.ABOUT)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (20, "same images: below 0.0001, from rounding; more if many scores are almost equal, as after a few steps"),
        (700, "training evaluated all 700 images, the exported graph a random sample of 20 of them"),
    ],
)
def test_a_difference_from_training_has_its_reason(images: int, said: str) -> None:
    document = metrics.complete(MEASURED, {**SPEC, "trainingMAP": 0.61, "evalImages": images})
    assert document["trainingDifference"] == said


@pytest.mark.parametrize("spec", [SPEC, {**SPEC, "trainingAP50": None, "checkpointReason": None}], ids=["old", "none"])
def test_an_agent_of_an_earlier_version_gives_less(spec: dict[str, Any]) -> None:
    document = metrics.complete(MEASURED, spec)
    assert not {"trainingAP50", "trainingMAP", "trainingDifference", "checkpointReason"} & document.keys()
    assert "step 180.\n" in readme.render(document, CLASSES, None, "1.14.0")


def test_readme_says_what_a_user_needs() -> None:
    document = metrics.complete(MEASURED, {**SPEC, "checkpointReason": "best by mAP: 0.6"})
    page = readme.render(document, {1: "tire", 2: "a|b"}, [0, 4095], "1.14.0")
    for words in (
        "step 180 (best by mAP: 0.6).",
        "| 2 | a\\|b |",
        "`image_tensor:0`",
        "`inputs` of the signature `serving_default`",
        "`[ymin, xmin, ymax, xmax]`",
        "**Suggested least score: 0.431.**",
        "over the 20 evaluated images",
        "95% of the detections",
        "so that 0 becomes 0 and 4095 becomes 255",
        "TensorFlow 1.14.0",
    ):
        assert words in page


@pytest.mark.parametrize("name", ["it's", 'a "b" {c}', "räder", "\u202eerit", "```", "a\nb"])
def test_class_names_do_not_break_the_code(name: str) -> None:
    page = readme.render(metrics.complete(MEASURED, SPEC), {1: name}, None, "1.14.0")
    for code in programs(page):
        (classes,) = re.findall(r"^CLASSES = (.*)$", code, re.MULTILINE)
        assert ast.literal_eval(classes) == {1: name}
        ast.parse(code)
    assert "\u202e" not in page


@pytest.mark.parametrize(
    "make", [readme.frozen_graph_code, readme.saved_model_code], ids=["frozen graph", "SavedModel"]
)
def test_guide_has_the_same_code(make: Any) -> None:
    assert make(CLASSES, 0.5) in programs(GUIDE.read_text())


def programs(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
