"""What admission refuses for now: the run waits with back-off, shows whose words they are, and goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from trfakes.apiserver import Fault
from trfakes.builders import a_run
from trfakes.harness import World, eventually

pytestmark = pytest.mark.contract
WEBHOOK = 'admission webhook "guard.example.com" denied the request: '
POLICY = "ValidatingAdmissionPolicy 'cost' with binding 'cost' denied request: "
FOREVER = 1_000_000


def webhook(**fields: Any) -> Mapping[str, Any]:
    return {"message": f"{WEBHOOK}not\x1b[2J today", **fields}


def invalid(*fields: str) -> Mapping[str, Any]:
    """The answer of validation: it names fields."""
    causes = [{"reason": "FieldValueInvalid", "message": "Invalid value", "field": field} for field in fields]
    return {"reason": "Invalid", "message": f"Job.batch is invalid: {', '.join(fields)}", "details": {"causes": causes}}


OURS = "spec.template.spec.containers[0].image"
REFUSALS = {
    "webhook without a code": (400, webhook()),
    "webhook, 401": (401, webhook(reason="Unauthorized")),
    "webhook, 403": (403, webhook(reason="Forbidden")),
    "webhook, 404": (404, webhook(reason="NotFound", details={"kind": "jobs", "name": "tire-prep-1"})),
    "webhook, 409": (409, webhook(reason="AlreadyExists")),
    "webhook, 422 with one of our fields": (422, {**invalid(OURS), **webhook()}),
    "webhook, 429": (429, webhook()),
    "webhook, 503": (503, webhook()),
    "policy without a reason": (
        422,
        {"reason": "Invalid", "message": f"jobs is forbidden: {POLICY}no", "details": {"causes": [{"message": "no"}]}},
    ),
    "policy, RequestEntityTooLarge": (413, {"reason": "RequestEntityTooLarge", "message": f"{POLICY}no"}),
    "quota or rights": (403, {"reason": "Forbidden", "message": "exceeded quota: team"}),
    "webhook that does not answer": (500, {"reason": "InternalError", "message": "failed calling webhook: timeout"}),
    "webhook that takes too long": (504, {"reason": "Timeout", "message": "request did not complete in time"}),
    "not read as a Job": (400, {"reason": "BadRequest", "message": "strict decoding error"}),
    "field of a container that a webhook added": (422, invalid("spec.template.spec.containers[7].image")),
}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun.engine.workqueue.BASE_SECONDS", 0.2)
    monkeypatch.setattr("trainingrun.domain.lasting.LASTS_SECONDS", 0.5)


def waits(world: World) -> bool:
    return bool(world.condition("Prepared").get("reason") == "CreationRefused")


@pytest.mark.parametrize(("status", "answer"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_by_something_around_the_run_is_waited_out(
    world: World, status: int, answer: Mapping[str, Any]
) -> None:
    world.server.faults.append(Fault("POST", "/jobs$", status, answer=answer, times=FOREVER))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: waits(world), within=10, what="the status shows it")
    words = answer["message"].replace("\x1b", "\ufffd")[:80]
    assert words in world.condition("Prepared")["message"]
    assert words in world.status()["message"]
    assert world.condition("Accepted")["status"] == "True"
    world.server.faults.clear()
    assert (await world.finished())["phase"] == "Succeeded"
    assert world.attempts("prep")["number"] == 1


@pytest.mark.parametrize("field", [OURS, "spec.template.spec.containers[0].resources.requests[cpu]", "metadata.labels"])
async def test_a_refusal_that_names_a_field_of_our_job_is_final(world: World, field: str) -> None:
    world.server.faults.append(Fault("POST", "/jobs$", 422, answer=invalid("spec.suspend.x", field)))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    assert (await world.finished())["phase"] == "Failed"
    assert world.condition("Succeeded")["reason"] == "ChildRefused"
    assert field in world.condition("Prepared")["message"]
    attempt = world.attempts("prep")  # none is in flight
    assert (attempt["number"], attempt["ended"], attempt["history"][0]["reason"]) == (1, 1, "ChildRefused")
    events = {event["reason"] for event in world.store.select("events")}
    assert "AttemptStarted" not in events


async def test_a_refused_config_map_is_waited_out_and_shown_as_not_accepted(world: World) -> None:
    world.server.faults.append(Fault("POST", "/configmaps$", 422, answer={"message": f"{POLICY}no"}, times=FOREVER))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: world.condition("Accepted").get("reason") == "CreationRefused", within=10)
    assert POLICY in world.condition("Accepted")["message"]
    assert world.condition("Finished")["status"] == "False"
    world.server.faults.clear()
    assert (await world.finished())["phase"] == "Succeeded"


async def test_an_ended_attempt_is_counted_although_the_next_one_is_refused(world: World) -> None:
    world.cluster.script = None
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    world.server.faults.append(Fault("POST", "/jobs$", 400, answer=webhook(), times=FOREVER))
    world.store.delete("jobs", job["metadata"]["name"])
    await eventually(lambda: waits(world), within=10)
    assert world.attempts("prep")["lastReason"] == "JobGone"
    assert world.attempts("prep")["number"] == world.attempts("prep")["ended"] == 1


async def test_a_policy_against_the_status_stops_the_run_and_is_told_in_an_event(world: World) -> None:
    world.server.faults.append(Fault("PATCH", "/status$", 422, answer={"message": f"{POLICY}no"}, times=FOREVER))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())

    def told() -> list[str]:
        return [e["message"] for e in world.store.select("events") if e["reason"] == "StatusRefused"]

    await eventually(told, within=10)
    assert POLICY in told()[0]
    assert len(world.server.created("jobs")) == 1
    world.server.faults.clear()
    assert (await world.finished())["phase"] == "Succeeded"


async def test_a_policy_against_one_status_is_told_in_another(world: World) -> None:
    """Policies can forbid single values, and the CRD does: what can be stored says what cannot."""
    refusal = Fault("PATCH", "/status$", 422, answer={"message": f"{POLICY}no"})
    world.server.faults.append(refusal)
    world.cluster.script = None
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    seen: list[str] = []
    world.store.listeners.append(lambda change: seen.append(str(change.body.get("status", {}).get("message"))))
    await eventually(lambda: any(POLICY in message for message in seen), within=10)


async def test_a_refused_tensorboard_stays_away_and_is_shown(world: World) -> None:
    """In the status at once; as a Warning only if it is refused again after its absence."""
    world.server.faults.append(Fault("POST", "/deployments$", 400, answer=webhook(), times=FOREVER))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    assert (await world.finished())["phase"] == "Succeeded"
    await eventually(lambda: "tensorboard" in world.status())
    assert "guard.example.com" in world.status()["tensorboard"]["message"]
    assert world.status()["tensorboard"].keys() == {"yields", "returnsAt", "message"}
    assert len(world.server.writes("/deployments$")) == 1
    assert "TensorBoardRefused" not in {e["reason"] for e in world.store.select("events")}


async def test_a_tensorboard_that_is_refused_again_is_told_in_an_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.domain.tensorboard.FIRST_ABSENCE_SECONDS", 1)
    world.server.faults.append(Fault("POST", "/deployments$", 400, answer=webhook(), times=FOREVER))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: "TensorBoardRefused" in {e["reason"] for e in world.store.select("events")})
    assert len(world.server.writes("/deployments$")) == 2


async def test_a_webhook_that_keeps_a_job_is_told_in_an_event(world: World) -> None:
    refusal = Fault("DELETE", "/jobs/", 404, answer=webhook(), times=FOREVER)
    world.server.faults.append(refusal)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: "DeletionRefused" in {e["reason"] for e in world.store.select("events")}, within=10)
    world.server.faults.clear()
    await eventually(
        lambda: world.condition("Finished").get("status") == "True" and not list(world.store.select("jobs"))
    )


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/jobs/"), ("PATCH", "/status$")])
async def test_a_refusal_that_does_not_last_is_no_warning(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    monkeypatch.setattr("trainingrun.domain.lasting.LASTS_SECONDS", 15)
    refusal = Fault(method, path, 403, answer=webhook(), times=3)
    world.server.faults.append(refusal)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    assert (await world.finished())["phase"] == "Succeeded"
    await eventually(lambda: not list(world.store.select("jobs")))
    assert refusal.times == 0
    assert {event["type"] for event in world.store.select("events")} == {"Normal"}


async def test_an_event_that_is_never_answered_holds_no_decision(world: World) -> None:
    world.server.faults.append(Fault("POST", "/events$", late=asyncio.Event(), times=FOREVER))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: world.condition("Finished").get("status") == "True", within=10)


async def test_warnings_that_cannot_be_read_hold_no_decision(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun.domain.waiting.NO_POD_SECONDS", 0)
    refusal = Fault("GET", "/events$", 403, times=FOREVER)
    world.server.faults.append(refusal)
    world.cluster.script = None
    running = await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: refusal.times < FOREVER)
    await eventually(lambda: not running.operator.queue._active)
    assert running.operator.queue._failures == {}
