"""Verdicts always follow the contract, and are never larger than what the kubelet keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from trainingrun_agent import verdict as verdicts
from trainingrun_agent.errors import (
    DiskFull,
    IntegrityError,
    Interrupted,
    NotFound,
    ObjectTooLarge,
    Outcome,
    StageError,
    StorageOutage,
    StorageRefused,
    UserError,
)
from trainingrun_agent.reasons.dataset import DATA_CHANGED
from trainingrun_agent.reasons.storage import ACCESS_DENIED, SERVER_ERROR
from trainingrun_agent.verdict import Timings, Verdict

pytestmark = pytest.mark.contract
PREP = {
    "digest": "a" * 64,
    "errors": 1,
    "evalImages": 20,
    "evalObjects": 18,
    "reportURI": "s3://detectors/datasets/x/report.html",
    "reportJSONURI": "s3://detectors/datasets/x/report.json",
    "reused": False,
    "trainImages": 120,
    "trainObjects": 118,
    "warnings": 2,
}


CALL = {"call": "GetObject", "where": "x", "answer": "no"}


def _verdict(**changes: Any) -> Verdict:
    fields: dict[str, Any] = {
        "stage": "prep",
        "outcome": Outcome.SUCCEEDED,
        "reason": "Prepared",
        "message": "ok",
        "numbers": PREP,
    }
    return Verdict(**{**fields, **changes})


@pytest.mark.parametrize("outcome", list(Outcome), ids=str)
def test_every_outcome_is_one_of_the_contract(outcome: Outcome, contract: Callable[[str, Any], None]) -> None:
    verdict = _verdict(outcome=outcome, hint="next", epoch=3, timings=Timings(1.23456, 2, 3))
    contract("verdict", verdict.to_json())
    assert verdict.to_json()["timings"]["fetch"] == 1.235
    assert (verdict.exit_code == 0) == (outcome is Outcome.SUCCEEDED)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        pytest.param(UserError(DATA_CHANGED, files="1 file"), Outcome.USER_ERROR, id="user"),
        pytest.param(ObjectTooLarge(where="x", limit=1), Outcome.USER_ERROR, id="too large"),
        pytest.param(
            StorageRefused(ACCESS_DENIED, **CALL),
            Outcome.STORAGE_REFUSED,
            id="refused",
        ),
        pytest.param(NotFound(**CALL), Outcome.STORAGE_REFUSED, id="not found"),
        pytest.param(StorageOutage(SERVER_ERROR, **CALL), Outcome.STORAGE_OUTAGE, id="outage"),
        pytest.param(IntegrityError(where="x", found="1 byte", expected="2 bytes"), Outcome.CRASH, id="integrity"),
        pytest.param(DiskFull(what="x"), Outcome.DISK_FULL, id="disk"),
        pytest.param(Interrupted(), Outcome.INTERRUPTED, id="interrupted"),
    ],
)
def test_every_error_has_its_outcome(error: StageError, outcome: Outcome, contract: Callable[[str, Any], None]) -> None:
    verdict = Verdict.failed(error, stage="prep", epoch=1)
    assert verdict.outcome is outcome
    assert verdict.exit_code == 1
    contract("verdict", verdict.to_json())


FINDINGS = {**PREP, "topFindings": ["f" * 200] * 5}


@pytest.mark.parametrize(
    ("message", "hint", "numbers", "keeps", "drops"),
    [
        pytest.param("short", "h", FINDINGS, {"numbers", "hint", "topFindings"}, set(), id="all fits"),
        pytest.param("m" * 9999, "h" * 999, PREP, {"numbers", "hint"}, set(), id="cut to the schema"),
        pytest.param("ü" * 1500, "h" * 100, FINDINGS, {"numbers", "hint"}, {"topFindings"}, id="findings first"),
        pytest.param("ü" * 1500, "ü" * 600, PREP, {"numbers"}, {"hint"}, id="then the hint"),
        pytest.param("𝄞" * 1500, "𝄞" * 600, PREP, {"numbers"}, {"hint"}, id="then the message"),
        pytest.param("m", "h", {"x": "y" * 9999}, {"message"}, {"numbers"}, id="at last the numbers"),
    ],
)
def test_never_above_the_limit(
    message: str,
    hint: str,
    numbers: dict[str, Any],
    keeps: set[str],
    drops: set[str],
    contract: Callable[[str, Any], None],
) -> None:
    data = verdicts.encode(_verdict(message=message, hint=hint, numbers=numbers))
    assert len(data) <= verdicts.MAX_BYTES
    document = json.loads(data)
    contract("verdict", document)
    names = document.keys() | document.get("numbers", {}).keys()
    assert keeps <= names
    assert not drops & names


def test_half_a_surrogate_in_a_file_name_is_no_obstacle() -> None:
    data = verdicts.encode(_verdict(message="bad \udcff name"))
    assert json.loads(data)["message"] == "bad \ufffd name"


def test_an_export_is_told_however_many_classes_miss_the_gate(contract: Callable[[str, Any], None]) -> None:
    numbers = {
        "ap50": 0.5,
        "mAP": 0.3,
        "evalImages": 10,
        "checkpointStep": 200,
        "uri": f"s3://b/{'a' * 900}/",
        "gate": {"met": False, "missed": [f"class {'🚗' * 80!r}: mAP 0.123 is below 0.8"] * 10, "missedCount": 90},
    }
    result = verdicts.Verdict("export", Outcome.SUCCEEDED, "Exported", "Exported the model.", numbers=numbers)
    data = verdicts.encode(result)
    assert len(data) <= verdicts.MAX_BYTES
    document = json.loads(data)
    contract("verdict", document)
    assert document["numbers"] == {**numbers, "gate": {"met": False, "missed": [], "missedCount": 90}}


def test_a_preparation_is_told_however_long_the_prefix_is(contract: Callable[[str, Any], None]) -> None:
    folder = f"s3://{'b' * 63}/{'p' * 512}/runs/{'n' * 63}/{'r' * 63}-00000000/"
    addresses = dict.fromkeys(("configURI", "configChangesURI", "reportURI", "reportJSONURI"), f"{folder}a.html")
    resumed = {"uri": folder, "step": 40, "dataset": "Same"}
    numbers = {**PREP, **addresses, "configChanges": 3, "resumedFrom": resumed}
    verdict = _verdict(outcome=Outcome.SUCCEEDED, message="ü" * 1500, numbers=numbers, logs_uri=f"{folder}logs/")
    data = verdicts.encode(verdict)
    assert len(data) <= verdicts.MAX_BYTES
    document = json.loads(data)
    contract("verdict", document)
    lost = {"configURI", "configChangesURI", "reportJSONURI"}
    assert document["numbers"] == {name: value for name, value in numbers.items() if name not in lost}
