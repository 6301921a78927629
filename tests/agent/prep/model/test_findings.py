"""The order in which findings are shown."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes import KINDS
from trainingrun_agent.prep.model.findings import Finding, Findings
from trainingrun_agent.terms import TRAININGRUN


def test_what_is_about_every_score_comes_before_other_warnings_but_after_errors() -> None:
    findings = Findings()
    findings.extend(
        [
            Finding(KINDS["FileIgnored"], "a.json", {"format": "coco"}, wide=True),
            Finding(KINDS["BoxTooSmall"], "a.xml"),
            Finding(KINDS["DuplicateImage"], "a.jpg", {"other": "b.jpg"}, wide=True),
            Finding(KINDS["EvalImagesInTrain"], "", {"count": 1, "like": 0, "of": 1}, split="eval"),
            Finding(KINDS["ImageEmpty"], "z.jpg"),
        ]
    )
    codes = [finding.code for finding in findings.top(5)]
    assert codes[:3] == ["ImageEmpty", "EvalImagesInTrain", "DuplicateImage"]


def test_a_finding_about_a_whole_split_names_no_file() -> None:
    finding = Finding(KINDS["EvalImagesInTrain"], "", {"count": 1, "like": 0, "of": 2}, split="eval")
    assert finding.line(TRAININGRUN) == (
        "EvalImagesInTrain: 1 of 2 images for evaluation are training images; 0 more look like one"
    )


def test_a_finding_of_a_version_before_there_were_cases_is_read() -> None:
    stored = {"code": "ClassWithoutEval", "fields": {"name": "hub"}, "file": "", "split": "eval"}
    assert Finding.from_json(stored).seen(TRAININGRUN) == "no box of class 'hub' in the eval split"
