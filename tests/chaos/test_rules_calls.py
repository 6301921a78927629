"""Rules about calls, operators and children."""

from __future__ import annotations

import asyncio
import json
import logging

from hand_made import Hand, broken_by
from trchaos.quiet import is_quiet
from trchaos.server import Request

STATUS = "/apis/trainingrun.dev/v1alpha1/namespaces/default/trainingruns/run/status"
JOBS = "/apis/batch/v1/namespaces/default/jobs"


def end(hand: Hand) -> None:
    hand.change(activeDeadlineSeconds=60)
    hand.store(activeSince="2025-12-31T00:00:00Z", message="It works.")
    conditions = {"Succeeded": ("False", "ActiveDeadlineExceeded"), "Finished": ("True", "Failed")}
    hand.store(conditions=conditions, phase="Failed", finishedAt="2026-01-01T00:00:00Z")


def test_no_patch_without_a_change() -> None:
    async def patch(hand: Hand, *answers: int) -> None:
        hand.lease("operator-0")
        end(hand)
        await hand.calm()
        for status in answers:
            hand.call("PATCH", STATUS, status, changed=False)

    assert broken_by(lambda hand: patch(hand, 200)) == {"no patch without a change"}
    assert not broken_by(lambda hand: patch(hand, 503, 200))


def test_no_patch_without_a_version() -> None:
    async def patch(hand: Hand, meta: dict[str, str]) -> None:
        hand.lease("operator-0")
        process = hand.world.start_operator()
        await hand.world.server.call(process.client, "PATCH", STATUS, query={}, body=json.dumps({"metadata": meta}))

    assert "no patch without a version" in broken_by(lambda hand: patch(hand, {}))
    assert "no patch without a version" not in broken_by(lambda hand: patch(hand, {"resourceVersion": "1"}))


def test_a_refused_creation_is_tried_again_after_a_pause() -> None:
    async def create(hand: Hand, pause: float, *names: str) -> None:
        hand.lease("operator-0")
        for name in names:
            at = hand.world.loop.time()
            hand.world.server._record(Request(at, "operator-0", "POST", JOBS, 403, name=name))
            await asyncio.sleep(pause)

    assert broken_by(lambda hand: create(hand, 0.1, "run-prep-1", "run-prep-1")) == {"a pause after a refusal"}
    assert not broken_by(lambda hand: create(hand, 0.6, "run-prep-1", "run-prep-1"))
    assert not broken_by(lambda hand: create(hand, 0.1, "run-prep-1", "other-prep-1"))


def test_what_was_seen_as_deleted_is_not_asked_for() -> None:
    async def ask(hand: Hand, *, deleted: bool) -> None:
        job = hand.job()
        process = hand.world.start_operator()
        await asyncio.sleep(40)
        if deleted:
            hand.world.store.delete("jobs", job["metadata"]["name"])
        await asyncio.sleep(5)
        query = {"fieldSelector": f"metadata.name={job['metadata']['name']}"}
        await hand.world.server.call(process.client, "GET", JOBS, query=query, body="")

    assert "what was seen is used" in broken_by(lambda hand: ask(hand, deleted=True))
    assert "what was seen is used" not in broken_by(lambda hand: ask(hand, deleted=False))


def test_nothing_is_written_when_nothing_has_changed() -> None:
    async def rest(hand: Hand, method: str) -> None:
        hand.lease("operator-0")
        end(hand)
        hand.world.loop.call_later(10, hand.call, method, STATUS)
        await is_quiet(hand.world, hand.invariants, 60, "nothing has changed")

    rule = "no write when nothing has changed"
    assert rule in broken_by(lambda hand: rest(hand, "PATCH"))
    assert rule not in broken_by(lambda hand: rest(hand, "GET"))


def test_no_storm_of_requests() -> None:
    async def patch(hand: Hand, count: int, pause: float) -> None:
        hand.lease("operator-0")
        for _ in range(count):
            hand.call("PATCH", STATUS)
            await asyncio.sleep(pause)

    assert broken_by(lambda hand: patch(hand, 60, 0.5)) == {"no storm of requests"}
    assert not broken_by(lambda hand: patch(hand, 60, 5.0))


def test_a_write_needs_the_lease() -> None:
    async def write(hand: Hand, holder: str, name: str, namespace: str) -> None:
        hand.lease(holder, name=name, namespace=namespace)
        hand.call("POST", JOBS, 201)

    cluster, own = ("trainingrun-operator-cluster", "kube-system"), ("trainingrun-operator", "default")
    assert not broken_by(lambda hand: write(hand, "operator-0", *cluster))
    assert not broken_by(lambda hand: write(hand, "operator-0", *own))
    assert broken_by(lambda hand: write(hand, "operator-1", *cluster)) == {"no write without a Lease"}
    assert broken_by(lambda hand: write(hand, "operator-0", "trainingrun-operator", "vision")) == {
        "no write without a Lease"
    }


def test_no_unexpected_error() -> None:
    async def log(_: Hand, level: int) -> None:
        logging.getLogger("trainingrun.engine.reconciler").log(level, "unexpected error while reconciling")

    assert broken_by(lambda hand: log(hand, logging.ERROR)) == {"no unexpected error"}
    assert not broken_by(lambda hand: log(hand, logging.WARNING))


def test_no_operator_exits_by_itself() -> None:
    async def leave(hand: Hand) -> None:
        end(hand)
        await hand.calm()
        hand.world.processes[0]._exit(1)

    assert broken_by(leave) == {"no operator exits by itself"}


def test_what_is_gone_is_forgotten() -> None:
    async def keep(hand: Hand, *, forgets: bool) -> None:
        process = hand.world.start_operator()
        await asyncio.sleep(40)
        hand.world.store.delete("trainingruns", "run")
        await asyncio.sleep(20)
        if not forgets:
            process.operator.cache.progress["default/run"] = {}
        hand.invariants.processes.keeps_nothing(process)

    assert "what is gone is forgotten" not in broken_by(lambda hand: keep(hand, forgets=True))
    assert "what is gone is forgotten" in broken_by(lambda hand: keep(hand, forgets=False))


def test_nothing_works_for_a_run_that_has_ended() -> None:
    async def play(hand: Hand, *, ends: bool) -> None:
        hand.document()
        played = hand.pod(hand.job())
        if ends:
            hand.end(played, "crash")
            failed = [{"type": "Failed", "status": "True"}]
            hand.world.store.update_status("jobs", "run-prep-1", conditions=failed)
        end(hand)
        hand.invariants.finish()

    async def work_on(hand: Hand, seconds: float) -> None:
        hand.document()
        hand.pod(hand.job())
        hand.world.start_operator()
        await asyncio.sleep(40)
        end(hand)
        await asyncio.sleep(seconds)

    assert "nothing works for a run that has ended" not in broken_by(lambda hand: work_on(hand, 30))
    assert "nothing works for a run that has ended" in broken_by(lambda hand: play(hand, ends=False))
    assert "nothing works for a run that has ended" not in broken_by(lambda hand: play(hand, ends=True))


def test_no_child_without_its_run() -> None:
    async def play(hand: Hand, *, orphan: bool) -> None:
        hand.document()
        if orphan:
            hand.world.store.objects.pop(("trainingruns", "default", "run"))
        hand.invariants.children_are_gone()

    assert broken_by(lambda hand: play(hand, orphan=True)) == {"no child without its run"}
    assert not broken_by(lambda hand: play(hand, orphan=False))


def test_tensorboard_is_as_the_status_says() -> None:
    async def play(hand: Hand, *kinds: str, shown: bool) -> None:
        for kind in kinds:
            hand.world.store.create(kind, {"metadata": {"name": "run-tensorboard"}})
        hand.store(tensorboard={"serviceName": "run-tensorboard", "url": "http://a/"} if shown else {})
        hand.invariants.finish()

    rule = "TensorBoard as the status says"
    assert rule in broken_by(lambda hand: play(hand, shown=True))
    assert rule in broken_by(lambda hand: play(hand, "deployments", shown=True))
    assert rule in broken_by(lambda hand: play(hand, "deployments", "services", shown=False))
    assert rule not in broken_by(lambda hand: play(hand, "deployments", "services", shown=True))


def test_every_run_ends() -> None:
    async def play(hand: Hand, *, ends: bool) -> None:
        if ends:
            end(hand)
        hand.invariants.finish()

    assert "every run ends" in broken_by(lambda hand: play(hand, ends=False))
    assert "every run ends" not in broken_by(lambda hand: play(hand, ends=True))
