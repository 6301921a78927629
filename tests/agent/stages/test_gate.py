"""A gate is met only by scores that are known and high enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.shared.class_scores import MAX_BYTES, Scores, read_class_scores
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.stages.gate import GateResult, judge
from trainingrun_agent.training_settings import Gate, GateBar

CLASSES = ("tire", "rim", "bolt")
OVERALL = Scores(0.5, 0.8)
BY_CLASS = {"tire": Scores(0.7, 0.9), "rim": Scores(0.3, 0.7)}  # no bolt in the evaluation images

CASES: dict[str, tuple[Gate, list[str]]] = {
    "reached exactly": (Gate("0.5", "0.8", ()), []),
    "mAP": (Gate("0.51", "0.8", ()), ["mAP 0.500 is below 0.51"]),
    "ap50": (Gate(None, "0.9", ()), ["AP@.5 0.800 is below 0.9"]),
    "both": (Gate("1", "1", ()), ["mAP 0.500 is below 1", "AP@.5 0.800 is below 1"]),
    "by a hair": (Gate("0.5001", None, ()), ["mAP 0.500 is below 0.5001"]),
    "by less than three digits show": (Gate("0.50000001", None, ()), ["mAP 0.500 is below 0.50000001"]),
    "a class": (Gate(None, None, (GateBar("rim", "0.4", None),)), ["class 'rim': mAP 0.300 is below 0.4"]),
    "a class, both scores": (
        Gate(None, None, (GateBar("rim", "0.4", "0.75"),)),
        ["class 'rim': mAP 0.300 is below 0.4", "class 'rim': AP@.5 0.700 is below 0.75"],
    ),
    "a class that is good": (Gate(None, None, (GateBar("tire", "0.7", "0.9"),)), []),
    "a class that no image shows": (
        Gate(None, None, (GateBar("bolt", None, "0"),)),
        ["class 'bolt': no box of it is in the images of the export's evaluation"],
    ),
    "every class": (
        Gate(None, None, (GateBar(None, "0.6", None),)),
        [
            "class 'rim': mAP 0.300 is below 0.6",
            "class 'bolt': no box of it is in the images of the export's evaluation",
        ],
    ),
    "every class but one": (
        Gate(None, None, (GateBar(None, "0.6", None), GateBar("rim", None, "0.8"))),
        [
            "class 'rim': AP@.5 0.700 is below 0.8",
            "class 'bolt': no box of it is in the images of the export's evaluation",
        ],
    ),
}


@pytest.mark.parametrize(("gate", "missed"), CASES.values(), ids=CASES)
def test_missed_scores_are_said_in_words(gate: Gate, missed: list[str]) -> None:
    result = judge(gate, overall=OVERALL, by_class=BY_CLASS, classes=CLASSES)
    assert list(result.missed) == missed
    assert result.to_json() == {"met": not missed, "missed": missed, "missedCount": len(missed)}


def test_a_score_that_rounds_to_the_bar_is_shown_with_more_digits() -> None:
    result = judge(Gate("0.8", None, ()), overall=Scores(0.79996, 1), by_class={}, classes=())
    assert result.missed == ("mAP 0.799960 is below 0.8",)


def test_many_and_long_texts_fit_the_contract() -> None:
    names = tuple(f"{number} {'x' * 300}" for number in range(30))
    gate = Gate(None, None, (GateBar(None, "0.6", None),))
    document = judge(gate, overall=OVERALL, by_class={}, classes=names).to_json()
    assert (document["met"], len(document["missed"]), document["missedCount"]) == (False, 10, 30)
    assert all(len(text) <= 160 and text.endswith("of the export's evaluation") for text in document["missed"])
    assert GateResult(("y" * 200,)).to_json()["missed"] == ["y" * 160]


def metrics(shared: Path, data: bytes) -> None:
    (shared / "export").mkdir()
    (shared / "export" / "metrics.json").write_bytes(data)


def test_scores_are_read_from_the_exporters_file_entry_by_entry(tmp_path: Path) -> None:
    entries: dict[str, Any] = {
        "tire": {"mAP": 0.5, "ap50": 1, "more": "x"},
        "text": {"mAP": "0.5", "ap50": 0.5},
        "truth": {"mAP": True, "ap50": 0.5},
        "half": {"mAP": 0.5},
        "high": {"mAP": 0.5, "ap50": 1.01},
        "low": {"mAP": -1, "ap50": -1},
        "nan": {"mAP": float("nan"), "ap50": 0.5},
        "huge": {"mAP": 10**400, "ap50": 0.5},
        "number": 7,
    }
    metrics(tmp_path, json.dumps({"perClass": entries}).encode())
    with Folder.open(tmp_path) as folder:
        assert read_class_scores(folder) == {"tire": Scores(0.5, 1.0)}


BAD: dict[str, bytes] = {
    "not JSON": b"{",
    "a list": b"[]",
    "no classes": b'{"ap50": 1}',
    "classes are a list": b'{"perClass": [1]}',
    "nested too deeply": b'{"perClass": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "too long": b" " * (MAX_BYTES + 1),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used_has_no_scores(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    metrics(tmp_path, data)
    with Folder.open(tmp_path) as folder:
        assert read_class_scores(folder) == {}
    assert "the scores of the classes are not known" in caplog.text


def test_a_missing_file_or_a_link_has_no_scores(tmp_path: Path) -> None:
    with Folder.open(tmp_path) as folder:
        assert read_class_scores(folder) == {}
        (tmp_path / "secret").write_text(json.dumps({"perClass": {"tire": {"mAP": 1, "ap50": 1}}}))
        (tmp_path / "export").mkdir()
        (tmp_path / "export" / "metrics.json").symlink_to(tmp_path / "secret")
        assert read_class_scores(folder) == {}
