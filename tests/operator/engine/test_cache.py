"""The cache is never newer than the server, never replaced by older objects, and drops deleted objects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainingrun.api.clock import Clock
from trainingrun.engine.cache import REMEMBERED_SECONDS, Cache
from trainingrun.engine.packed import Packed
from trfakes.builders import a_job, a_pod, a_run, terminated

RUN = a_run().build()


def filled() -> Cache:
    cache = Cache()
    cache.put_run(RUN)
    cache.put_job(a_job())
    cache.put_pod(a_pod())
    return cache


@pytest.mark.parametrize(("version", "kept"), [("9", False), ("10", True), ("11", True), ("100", True)])
def test_an_older_version_is_ignored(version: str, kept: bool) -> None:
    cache = Cache()
    cache.put_run(replace(RUN, resource_version="10"))
    cache.put_job(a_job(resource_version="10"))
    cache.put_pod(a_pod(resource_version="10"))
    cache.put_run(replace(RUN, resource_version=version, generation=2))
    cache.put_job(a_job(resource_version=version, finished="Complete"))
    cache.put_pod(a_pod(resource_version=version, phase="Running"))
    assert (cache.runs["default/tire"].generation == 2) is (int(version) > 10), "one version is held once"
    assert (cache.jobs_of(RUN)[0].finished == "Complete") is kept
    assert (cache.pods_of(RUN)[0].phase == "Running") is kept


def test_jobs_of_other_owners_are_ignored_and_pods_are_kept_to_wait_for() -> None:
    cache = filled()
    cache.put_job(a_job(attempt=2, owner_uid="somebody else"))
    cache.put_job(a_job(attempt=3, run_uid="an earlier run", owner_uid="an earlier run"))
    cache.put_pod(a_pod(attempt=2))
    cache.put_pod(a_pod(attempt=4, job_uid="a forged job"))
    assert [job.attempt for job in cache.jobs_of(RUN)] == [1]
    assert [pod.attempt for pod in cache.pods_of(RUN)] == [1, 2, 4]


def test_the_last_state_of_a_removed_pod_is_kept_while_its_job_exists() -> None:
    cache = filled()
    cache.drop_pod(a_pod(containers={"agent": terminated("bye")}))
    (pod,) = cache.pods_of(RUN)
    assert pod.gone
    assert pod.containers["agent"].message == "bye"
    cache.drop_job(a_job())
    assert cache.pods_of(RUN) == ()


def test_pods_outlive_the_deletion_of_their_job() -> None:
    cache = filled()
    cache.drop_job(a_job())
    assert [pod.gone for pod in cache.pods_of(RUN)] == [False]


def test_a_deleted_run_leaves_nothing() -> None:
    cache = filled()
    cache.progress[RUN.key] = {"phase": "training"}
    cache.hints[RUN.key] = {"x": "y"}
    cache.drop_run(RUN.key, uid=RUN.uid)
    cache.put_job(a_job(deleting=True))  # events of its collection still arrive
    cache.put_pod(a_pod(deletion_at="2026-01-01T00:00:00Z"))
    cache.drop_job(a_job())
    cache.drop_pod(a_pod())
    tables = (cache.runs, cache.jobs, cache.pods, cache.progress, cache.hints)
    assert [dict(table) for table in tables] == [{}] * 5


def test_a_new_run_of_the_same_name_inherits_nothing() -> None:
    cache = filled()
    cache.progress[RUN.key] = {"phase": "training"}
    new = replace(RUN, uid="another", resource_version="1")
    cache.put_run(new)
    cache.drop_run(RUN.key, uid=RUN.uid)  # the old one's deletion arrives late
    assert cache.runs[RUN.key] is new
    assert (cache.jobs_of(new), cache.pods_of(new)) == ((), ())
    assert RUN.key not in cache.progress


def test_a_listing_removes_objects_that_it_lacks() -> None:
    cache = filled()
    listing = cache.start_listing(None)
    cache.finish_listing(listing, runs=[], jobs=[], pods=[])
    assert (cache.runs, cache.jobs, cache.pods) == ({}, {}, {})


def test_a_listing_keeps_objects_created_while_it_was_read() -> None:
    """If the cache dropped that Job, it would be started twice."""
    cache = filled()
    listing = cache.start_listing(None)
    cache.put_job(a_job(attempt=2))
    cache.put_run(replace(RUN, name="new", uid="new"))
    cache.finish_listing(listing, runs=[RUN], jobs=[a_job()], pods=[a_pod()])
    assert sorted(job.attempt for job in cache.jobs_of(RUN)) == [1, 2]
    assert "default/new" in cache.runs


def test_a_listing_revives_nothing_that_was_deleted_while_it_was_read() -> None:
    """If the cache brought that Job back, the operator would wait for it forever."""
    cache = filled()
    listing = cache.start_listing(None)
    cache.drop_job(a_job())
    cache.drop_run(RUN.key, uid=RUN.uid)
    cache.finish_listing(listing, runs=[RUN], jobs=[a_job()], pods=[])
    assert (cache.runs, cache.jobs, cache.pods) == ({}, {}, {})


def test_a_listing_overwrites_nothing_newer() -> None:
    cache = Cache()
    listing = cache.start_listing(None)
    cache.put_job(a_job(resource_version="20", finished="Complete"))
    cache.finish_listing(listing, runs=[RUN], jobs=[a_job(resource_version="19")], pods=[])
    assert cache.jobs_of(RUN)[0].finished == "Complete"


def test_no_answer_revives_what_was_deleted() -> None:
    cache = filled()
    cache.drop_job(a_job())
    cache.put_created_job(a_job())
    assert cache.jobs_of(RUN) == ()
    cache.drop_run(RUN.key, uid=RUN.uid)
    assert not cache.put_run(replace(RUN, resource_version="99"))
    cache.put_created_job(a_job(attempt=2))
    assert not cache.put_hint(RUN, "job-prep-1", "FailedCreate: quota")
    assert not cache.report_progress(RUN.uid, RUN.key, {"phase": "training"})
    tables = (cache.runs, cache.jobs, cache.hints, cache.progress)
    assert [dict(table) for table in tables] == [{}] * 4


def test_what_is_shown_late_of_a_run_does_not_displace_the_new_one_of_its_name() -> None:
    """Events of two objects come in no order, also if the objects have one name: the new run was never served."""
    cache = Cache()
    new = replace(RUN, uid="new", resource_version="90")
    assert cache.put_run(new)
    assert not cache.put_run(replace(RUN, resource_version="80"))
    cache.drop_run(RUN.key, uid=RUN.uid)
    assert cache.runs == {RUN.key: new}
    assert cache.put_run(replace(new, resource_version="91"))


def test_no_answer_about_a_run_is_taken_for_the_new_run_of_its_name() -> None:
    cache = Cache()
    new = replace(RUN, uid="another")
    cache.put_run(new)
    assert not cache.holds(RUN)
    cache.put_created_job(a_job())
    assert not cache.put_hint(RUN, "job-prep-1", "FailedCreate: quota")
    assert not cache.report_progress(RUN.uid, RUN.key, {"phase": "training"})
    assert (cache.jobs, cache.hints, cache.progress) == ({}, {}, {})


def test_a_run_that_is_being_deleted_is_not_held() -> None:
    cache = filled()
    cache.put_run(replace(RUN, resource_version="2", deleting=True))
    assert not cache.holds(RUN)


def test_a_job_that_gets_its_label_back_is_seen_again() -> None:
    """A watch with a selector shows the loss of the label as a deletion."""
    cache = filled()
    cache.drop_job(a_job())
    cache.put_job(a_job())
    cache.finish_listing(cache.start_listing(None), runs=[RUN], jobs=[a_job()], pods=[])
    assert [job.attempt for job in cache.jobs_of(RUN)] == [1]


def test_a_version_that_is_known_is_no_news() -> None:
    """The watch shows each write of the operator again; a reconcile for it would try again at once what failed."""
    cache = Cache()
    assert cache.put_run(RUN)
    assert not cache.put_run(RUN)
    assert cache.put_run(replace(RUN, resource_version="2"))
    assert not cache.put_run(RUN)


def test_deletions_are_remembered_for_a_while_and_not_for_ever() -> None:
    moment = 0.0
    cache = Cache(clock=Clock(monotonic=lambda: moment))
    cache.put_run(RUN)
    cache.drop_run(RUN.key, uid=RUN.uid)
    cache.finish_listing(cache.start_listing(None), runs=[RUN], jobs=[], pods=[])
    assert cache.runs == {}
    for other in ("first", "second"):
        moment += REMEMBERED_SECONDS + 1
        cache.drop_run("default/other", uid=other)
    assert (cache._deleted, cache._deleted_before) == ({"second"}, {"first"})


def test_warnings_about_an_object_go_with_it() -> None:
    cache = filled()
    for uid in ("job-prep-1", "pod-prep-1"):
        assert cache.put_hint(RUN, uid, "FailedCreate: quota")
    assert not cache.put_hint(RUN, "pod-prep-1", "FailedCreate: quota")
    cache.drop_pod(a_pod())
    assert cache.hints == {RUN.key: {"job-prep-1": "FailedCreate: quota"}}
    cache.drop_job(a_job())
    assert cache.hints == {}


def test_a_listing_of_one_namespace_forgets_nothing_of_another() -> None:
    cache = filled()
    listing = cache.start_listing("elsewhere")
    cache.finish_listing(listing, runs=[], jobs=[], pods=[])
    assert cache.runs[RUN.key] is RUN
    assert len(cache.jobs_of(RUN)) == 1


def test_listings_of_two_namespaces_are_read_at_the_same_time() -> None:
    """If the first to end forgot the other's deletions, the other would bring back what was deleted meanwhile."""
    cache = filled()
    first, second = cache.start_listing("elsewhere"), cache.start_listing("default")
    cache.drop_job(a_job())
    cache.finish_listing(first, runs=[], jobs=[], pods=[])
    cache.finish_listing(second, runs=[RUN], jobs=[a_job()], pods=[])
    assert cache.jobs_of(RUN) == ()


def test_the_last_state_of_a_removed_pod_is_kept_while_the_status_names_its_job() -> None:
    """The Job of a suspended run is deleted first, and its pod says last which checkpoint it saved."""
    cache = filled()
    attempts = [{"stage": "prep", "number": 1, "ended": 1, "jobUID": a_job().uid}]
    cache.put_run(replace(RUN, resource_version="2", status={"attempts": attempts}))
    cache.drop_job(a_job())
    cache.drop_pod(a_pod(containers={"agent": terminated("saved")}))
    (pod,) = cache.pods_of(RUN)
    assert (pod.gone, pod.agent.message) == (True, "saved")
    cache.put_run(replace(RUN, resource_version="3"))
    assert cache.pods == {}


def test_a_pod_whose_job_went_with_it_keeps_its_verdict_until_it_is_counted() -> None:
    cache = filled()
    attempts = [{"stage": "prep", "number": 1, "jobUID": a_job().uid}]
    cache.put_run(replace(RUN, resource_version="2", status={"attempts": attempts}))
    cache.drop_pod(a_pod(containers={"agent": terminated("bye")}))
    cache.drop_job(a_job())
    assert [pod.agent.message for pod in cache.pods_of(RUN)] == ["bye"]


def test_a_lost_tensorboard_is_forgotten_with_its_run() -> None:
    cache = filled()
    cache.lost_boards.add(RUN.uid)
    cache.drop_run(RUN.key, uid=RUN.uid)
    assert cache.lost_boards == set()


def test_a_finished_run_is_held_in_few_bytes_and_reads_as_it_was() -> None:
    """Thousands of them stay until their users delete them."""
    text = [{"number": number, "message": f"attempt {number} ended as it should"} for number in range(200)]
    run = a_run().status(attempts=text).condition("Finished").build()
    cache = Cache()
    assert cache.put_run(run)
    assert not cache.put_run(run), "the version is known"
    held, found = cache.runs[run.key], cache.find(run.key)
    assert isinstance(held.status, Packed)
    assert isinstance(held.spec, Packed)
    assert len(held.status.data) < 2000
    assert found == run
    assert isinstance(found.status, dict)
    assert held.status.get("attempts") == text, "what reads one field needs not know"


def test_a_run_that_is_retried_is_no_longer_packed() -> None:
    finished = a_run().condition("Finished").build()
    cache = Cache()
    cache.put_run(finished)
    again = replace(a_run().build(), resource_version="2")
    assert cache.put_run(again)
    assert cache.runs[again.key] is again


def test_a_status_that_the_schema_does_not_allow_is_held_as_it_is() -> None:
    run = replace(RUN, status={"conditions": "x"})  # type: ignore[typeddict-item]
    cache = Cache()
    cache.put_run(run)
    assert cache.find(run.key) is run


def test_a_job_whose_deletion_was_accepted_is_not_deleted_again() -> None:
    cache = filled()
    cache.note_deletion(RUN, a_job().uid)
    cache.note_deletion(RUN, "one that is not known")
    assert [job.deleting for job in cache.jobs_of(RUN)] == [True]
    cache.drop_job(a_job())
    assert cache.jobs_of(RUN) == ()


def test_a_spec_that_is_nested_too_deeply_to_be_read_again_is_held_as_it_is() -> None:
    deep: dict[str, object] = {}
    for _ in range(900):
        deep = {"a": deep}
    run = replace(a_run().condition("Finished").build(), spec={"model": {"overrides": deep}})
    cache = Cache()
    cache.put_run(run)
    assert cache.find(run.key) is run
