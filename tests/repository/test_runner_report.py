"""The summary of `make test` names every test that failed, so that it is known once the output is gone."""

from __future__ import annotations

from pathlib import Path

from trrunner.report import read

XML = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_fine"/>
<testcase classname="tests.unit.test_a" name="test_wrong[x]"><failure message="boom"/></testcase>
<testcase classname="tests.api.test_b" name="test_no_cluster"><error message="set-up"/></testcase>
<testcase classname="tests.api.test_b" name="test_left_out"><skipped message="no GPU"/></testcase>
</testsuite></testsuites>"""


def test_failures_and_errors_are_named(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(XML)
    result = read("unit", tmp_path / "report.xml", seconds=1.0, code=1)
    assert (result.passed, result.failed, result.skipped) == (1, 2, 1)
    assert result.failures == ["tests.unit.test_a::test_wrong[x]", "tests.api.test_b::test_no_cluster"]
    assert result.reasons == {"no GPU": 1}


def test_what_a_test_notes_is_in_the_summary(tmp_path: Path) -> None:
    noted = '<properties><property name="note" value="412 seeds"/><property name="other" value="x"/></properties>'
    (tmp_path / "report.xml").write_text(XML.replace('name="test_fine"/>', f'name="test_fine">{noted}</testcase>'))
    assert read("unit", tmp_path / "report.xml", seconds=1.0, code=1).note == "412 seeds"


def test_a_run_without_a_report_has_failed(tmp_path: Path) -> None:
    result = read("unit", tmp_path / "none.xml", seconds=1.0, code=2)
    assert (result.failed, result.error) == (1, "pytest ended with exit code 2 and no report")
