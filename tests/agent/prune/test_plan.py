"""What `trainingrun prune` may delete, decided from the result of a survey."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trainingrun_agent.prune import Survey, plan
from trainingrun_agent.prune.survey import DataSet
from trainingrun_agent.storage.base import ObjectInfo

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, NEW = 40 * DAY, 2 * DAY
A, B = "a" * 64, "b" * 64


def info(key: str, age: timedelta) -> ObjectInfo:
    return ObjectInfo(f"ml/datasets/{key}", 10, "e", NOW - age)


def data_set(digest: str, age: timedelta, *blobs: str, manifest: bool = True) -> DataSet:
    names = ["label_map.pbtxt", "MANIFEST.json", "report.json"] if manifest else ["label_map.pbtxt"]
    named = frozenset(f"ml/datasets/blobs/{blob}" for blob in blobs)
    return DataSet([info(f"{digest}/{name}", age) for name in names], named if manifest else None)


def survey() -> Survey:
    """Data set A with blobs 1 and 2, B with 2 and 3, all of them old; no data set names blob 0, and run r needs A."""
    return Survey(
        data_sets={A: data_set(A, OLD, "1", "2"), B: data_set(B, OLD, "2", "3")},
        blobs=[info(f"blobs/{number}", OLD) for number in range(4)],
        runs={"vision/r": A},
    )


def keys(found: Survey, *, older_than: timedelta = 30 * DAY, grace: timedelta = DAY) -> list[str]:
    """Keys to delete, in order, relative to datasets/ and with short digests."""
    made = plan(found, now=NOW, older_than=older_than, grace=grace)
    going = [one.key.removeprefix("ml/datasets/") for deletion in made.deletions for one in deletion.objects]
    return [key.replace(A, "A").replace(B, "B") for key in going]


FILES_OF_B = ["B/MANIFEST.json", "B/label_map.pbtxt", "B/report.json"]


def test_an_unneeded_data_set_is_deleted_manifest_first_and_records_last() -> None:
    assert keys(survey()) == [*FILES_OF_B, "blobs/0", "blobs/3"]


def test_needed_data_sets_stay() -> None:
    found = survey()
    found.runs["vision/s"] = B
    assert keys(found) == ["blobs/0"]


def test_a_run_may_refer_to_a_missing_data_set() -> None:
    found = survey()
    found.runs["vision/s"] = "c" * 64
    assert keys(found) == [*FILES_OF_B, "blobs/0", "blobs/3"]


@pytest.mark.parametrize(
    ("age", "gone"), [(29 * DAY, False), (30 * DAY, False), (31 * DAY, True)], ids=["younger", "as old", "older"]
)
def test_only_data_sets_older_than_the_limit_are_deleted(age: timedelta, gone: bool) -> None:
    found = survey()
    found.data_sets[B] = data_set(B, age, "2", "3")
    assert ("B/MANIFEST.json" in keys(found), "blobs/3" in keys(found)) == (gone, gone)


def test_records_that_may_belong_to_a_preparation_in_progress_stay() -> None:
    found = survey()
    found.blobs = [info("blobs/0", timedelta(hours=23)), info("blobs/3", timedelta(hours=25))]
    assert keys(found) == [*FILES_OF_B, "blobs/3"]


@pytest.mark.parametrize(("age", "gone"), [(NEW, False), (OLD, True)], ids=["new", "old"])
def test_a_data_set_that_was_never_completed_goes_when_it_is_old(age: timedelta, gone: bool) -> None:
    found = Survey(data_sets={A: data_set(A, age, manifest=False)})
    assert keys(found) == (["A/label_map.pbtxt"] if gone else [])


def test_the_grace_period_protects_preparations_in_progress() -> None:
    found = Survey(data_sets={A: data_set(A, timedelta(hours=3), manifest=False)})
    assert keys(found, older_than=timedelta(0)) == []
    assert keys(found, older_than=timedelta(0), grace=timedelta(hours=1)) == ["A/label_map.pbtxt"]


def test_while_a_run_is_being_prepared_only_old_reports_are_deleted() -> None:
    found = survey()
    found.failed = {A: [info(f"failed/{A}/report.json", OLD)], B: [info(f"failed/{B}/report.json", NEW)]}
    found.unprepared = {"vision/begun": NOW - timedelta(hours=3), "vision/failed": NOW - 3 * DAY}
    made = plan(found, now=NOW, older_than=30 * DAY, grace=DAY)
    assert made.waiting == "run vision/begun, which began 3 hours ago, may be preparing a data set from what is there"
    assert keys(found) == ["failed/A/report.json"]
    assert keys(found, grace=timedelta(hours=2)) == ["failed/A/report.json", *FILES_OF_B, "blobs/0", "blobs/3"]


POINTERS: dict[str, tuple[set[str], bool]] = {
    "to what stays": ({"blobs/1"}, False),
    "to what stays in part": ({"blobs/1", "blobs/3"}, False),
    "to what goes": ({"blobs/3"}, True),
    "to what is gone": ({"blobs/9"}, True),
    "to nothing that is known": (set(), False),
}


@pytest.mark.parametrize(("names", "gone"), POINTERS.values(), ids=POINTERS)
def test_a_pointer_keeps_nothing_and_goes_when_it_dangles(names: set[str], gone: bool) -> None:
    found = survey()
    found.pointers = [(info("latest/p.json", NEW), frozenset(f"ml/datasets/{name}" for name in names))]
    assert ("latest/p.json" in keys(found)) is gone
    assert "blobs/3" in keys(found)


@pytest.mark.parametrize(("age", "gone"), [(DAY, False), (NEW, True)], ids=["as old as the grace", "older"])
def test_the_list_of_an_unfinished_preparation_goes_when_nobody_goes_on_with_it(age: timedelta, gone: bool) -> None:
    found = survey()
    found.unfinished = [info("unfinished/p.json", age)]
    assert ("unfinished/p.json" in keys(found)) is gone
    found.unprepared = {"vision/begun": NOW - timedelta(hours=3)}
    assert "unfinished/p.json" not in keys(found)


def test_deletions_state_their_reason() -> None:
    found = survey()
    found.failed = {A: [info(f"failed/{A}/report.json", OLD)]}
    found.data_sets["c" * 64] = data_set("c" * 64, OLD, manifest=False)
    made = plan(found, now=NOW, older_than=30 * DAY, grace=DAY)
    assert {deletion.what: (deletion.why, deletion.size) for deletion in made.deletions} == {
        f"failed/{A}": ("a report on refused data, 40 days old", 10),
        B: ("no run points to it, 40 days old", 30),
        "c" * 64: ("never completed, 40 days old", 10),
        "blobs": ("no data set that is kept names them", 20),
    }
