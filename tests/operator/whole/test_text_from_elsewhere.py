"""Text that others write reaches status, Events, log and /readyz without anything that attacks whoever reads it.

Each source gets a run of its own; all versions of every status and every Event that the operator wrote are looked at.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import aiohttp
import pytest
import yaml

from trainingrun.logs import PlainFormatter
from trfakes.apiserver import TOKEN, Fault
from trfakes.builders import a_run
from trfakes.fake_cluster import NUMBERS, verdict
from trfakes.harness import PATIENCE, World, agent_on, eventually, free_port
from trfakes.hostile import BROKEN, DANGEROUS, HOSTILE, MARK, dangerous, texts
from trfakes.schema import CRD
from trfakes.store import Object

pytestmark = pytest.mark.contract

OURS: Mapping[str, str] = {
    "conditions[].type": "a constant",
    "progress.unit": "one of four",
    "progress.eta": "made from a number",
    "progress.rate": "made from a number",
    "training.loss": "made from a number",
    "training.mAP": "made from a number",
    "training.ap50": "made from a number",
    "training.best.mAP": "made from a number",
    "training.best.ap50": "made from a number",
    "training.learningRate": "made from a number of the spec",
    "export.mAP": "made from a number",
    "export.ap50": "made from a number",
    "export.mAPUncertainty": "made from a number",
    "export.ap50Uncertainty": "made from a number",
    "attempts[].lastOutcome": "one of eleven",
    "attempts[].jobUID": "made by the API server",
    "attempts[].lastReason": "letters and digits",
    "attempts[].history[].outcome": "one of thirteen",
    "attempts[].history[].reason": "letters and digits",
    "dataset.digest": "64 hexadecimal digits",
    "dataset.format": "left out unless it is printable",
    "logsURI": "left out unless it is printable",
    "dataset.reportURI": "left out unless it is printable",
    "dataset.reportJSONURI": "left out unless it is printable",
    "training.configURI": "left out unless it is printable",
    "training.configChangesURI": "left out unless it is printable",
    "training.checkpointURI": "left out unless it is printable",
    "training.restored.startsAnew": "left out unless it is printable",
    "export.checkpointReason": "left out unless it is printable",
    "export.uri": "left out unless it is printable",
    "export.frozenGraphURI": "export.uri with a constant",
    "export.savedModelURI": "export.uri with a constant",
    "tensorboard.serviceName": "the name of the run with a constant",
    "tensorboard.url": "the name of the run with a constant",
}
"""Texts of the status that no one else can choose freely, and why."""

NUMBERS_FROM_A_POD: Mapping[str, Any] = {
    "topFindings": [BROKEN],
    "storageWarning": BROKEN,
    "format": BROKEN,
    "digest": BROKEN,
    "reportURI": BROKEN,
    "reportJSONURI": BROKEN,
    "configURI": BROKEN,
    "configChangesURI": BROKEN,
    "checkpointURI": BROKEN,
    "uri": BROKEN,
    "loss": BROKEN,
    "ap50": BROKEN,
}
STEP = {"kind": "newRun", "field": "train.steps", "value": BROKEN, "try": BROKEN}
Arrange = Callable[[World, Object], Awaitable[None]]
"""Lets the first pod of a run, that of its prep Job, meet a source of text."""


def pod_is(**fields: Any) -> Arrange:
    """The pod gets these fields of its status from the scheduler, the kubelet or an eviction."""

    async def arrange(world: World, job: Object) -> None:
        world.cluster.make_pod(job, **fields)

    return arrange


def pod_ends(document: Mapping[str, Any] | str, **state: Any) -> Arrange:
    """The agent's container ends with this termination message."""
    message = document if isinstance(document, str) else json.dumps(document)
    ended = {"exitCode": 1, "finishedAt": "2026-01-01T00:00:00Z", "message": message, **state}
    return pod_is(phase="Failed", containerStatuses=[{"name": "agent", "state": {"terminated": ended}}])


def condition(kind: str, **fields: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "reason": BROKEN, "message": BROKEN, **fields}


def event_about(world: World, body: Object) -> None:
    """A tenant writes a warning Event about an object."""
    meta = body["metadata"]
    event = {"type": "Warning", "reason": BROKEN, "message": BROKEN, "lastTimestamp": world.store.now_text()}
    world.store.create(
        "events", {"metadata": {"name": f"{meta['name']}.1"}, "involvedObject": {"uid": meta["uid"]}, **event}
    )


async def event_about_the_job(world: World, job: Object) -> None:
    event_about(world, job)


async def event_about_the_pod(world: World, job: Object) -> None:
    placed = condition("PodScheduled", lastTransitionTime="2026-01-01T00:00:00Z")
    event_about(world, world.cluster.make_pod(job, conditions=[placed]))


async def node_lost(world: World, job: Object) -> None:
    pod = world.cluster.start(job)
    body = world.store.get("pods", pod["metadata"]["name"])
    body["spec"]["nodeName"] = BROKEN
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.store.update_status("pods", pod["metadata"]["name"], phase="Running")


PREP: Mapping[str, Arrange] = {
    "event-job": event_about_the_job,
    "event-pod": event_about_the_pod,
    "scheduler": pod_is(
        phase="Pending",
        conditions=[condition("PodScheduled", status="False", reason="Unschedulable")],
        containerStatuses=[],
    ),
    "image": pod_is(
        phase="Pending",
        containerStatuses=[
            {"name": "agent", "state": {"waiting": {"reason": "ErrImagePull", "message": BROKEN}}},
        ],
    ),
    "waiting": pod_is(
        phase="Pending",
        containerStatuses=[{"name": BROKEN, "state": {"waiting": {"reason": BROKEN, "message": BROKEN}}}],
    ),
    "added": pod_is(
        phase="Pending",
        conditions=[condition("PodScheduled", lastTransitionTime="2026-01-01T00:00:00Z")],
        initContainerStatuses=[{"name": BROKEN, "state": {"waiting": {"reason": BROKEN, "message": BROKEN}}}],
    ),
    "evicted": pod_is(phase="Failed", reason="Evicted", message=BROKEN, containerStatuses=[]),
    "node-end": pod_is(phase="Failed", reason="NodeLost", message=BROKEN, containerStatuses=[]),
    "disrupted": pod_is(phase="Failed", conditions=[condition("DisruptionTarget")], containerStatuses=[]),
    "node-lost": node_lost,
    "no-verdict": pod_ends(BROKEN, reason=BROKEN),
    "verdict": pod_ends(
        verdict("prep", "userError", message=BROKEN, hint=BROKEN, reason=BROKEN, nextStep=STEP, logsURI=BROKEN)
    ),
    "change": pod_ends(verdict("prep", "userError", message="x", nextStep=STEP)),
    "refused": pod_ends(verdict("prep", "storageRefused", message=BROKEN, hint=BROKEN)),
    "retried": pod_ends(verdict("prep", "storageOutage", message=BROKEN, hint=BROKEN)),
    "numbers": pod_ends(verdict("prep", message=BROKEN, numbers={**NUMBERS["prep"], **NUMBERS_FROM_A_POD}), exitCode=0),
}
REFUSED: Mapping[str, dict[str, Any]] = {
    "spec-image": {"train": {"image": BROKEN}},
    "spec-endpoint": {"storage": {"endpoint": BROKEN}},
    "spec-secret": {"storage": {"credentials": {"secretName": BROKEN}}},
    "spec-network": {"model": {"network": BROKEN}},
    "spec-pretrained": {"model": {"pretrained": {"run": BROKEN}}},
    "spec-bucket": {"storage": {"bucket": BROKEN, "prefix": BROKEN}},
    "other-run": {"model": {"pretrained": {"run": "old"}}},
}
"""Specs that reach the operator through an API server without the schema, and one that names another run."""


def stored_by_an_older_version() -> Object:
    """A finished run whose status was written before there was a gate."""
    old = a_run("old").condition("Finished").condition("Succeeded", "False", reason="Failed").body()
    for each in old["status"]["conditions"]:
        each["message"] = BROKEN
    return {
        **old,
        "status": {
            **old["status"],
            "phase": BROKEN,
            "message": BROKEN,
            "finishedAt": "2026-01-01T00:00:00Z",
            "progress": {"text": BROKEN, "updated": "2026-01-01T00:00:00Z"},
            "attempts": [{"stage": "prep", "number": 1, "ended": 1, "lastMessage": BROKEN}],
        },
    }


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What the operator logs, formatted as it formats it."""
    lines = io.StringIO()
    handler, ours = logging.StreamHandler(lines), logging.getLogger("trainingrun")
    handler.setFormatter(PlainFormatter("%(levelname)s %(name)s: %(message)s"))
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel("DEBUG")
    yield lines
    ours.removeHandler(handler)
    ours.setLevel(level)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing that only takes time."""
    for name in ("waiting.NO_POD_SECONDS", "waiting.CREATING_SECONDS", "assess.SETTLE_SECONDS"):
        monkeypatch.setattr(f"trainingrun.domain.{name}", 0)
    for name in ("assess.NEVER_STARTED_SECONDS", "lasting.LASTS_SECONDS"):
        monkeypatch.setattr(f"trainingrun.domain.{name}", 0)
    monkeypatch.setattr("trainingrun.domain.tensorboard.FIRST_ABSENCE_SECONDS", 1)
    monkeypatch.setattr("trainingrun.engine.place.TRY_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("trainingrun.engine.progress_puller.PULL_SECONDS", 0.05)
    monkeypatch.setattr("trainingrun.engine.place.TRY_AGAIN_SECONDS", 0.1)


def written(world: World, name: str, *, namespace: str = "default") -> list[Object]:
    """All versions of a run's status after the first, and the Events about the run."""
    found = []
    for change in world.store.history:
        body = change.body
        if change.plural == "trainingruns" and change.kind == "MODIFIED" and body["metadata"]["name"] == name:
            found.append(body["status"])
        elif change.plural == "events" and body["involvedObject"].get("name") == name:
            found.append({"event": body["message"], "reason": body["reason"]})
    return found


def shows(world: World, name: str) -> bool:
    return any(MARK in text for _, text in texts(written(world, name)))


def has_event(world: World, name: str, reason: str = "") -> bool:
    events = [found for found in written(world, name) if MARK in found.get("event", "")]
    return any(reason in event["reason"] for event in events)


def is_clean(world: World, name: str) -> bool:
    return not dangerous(world.status(name))


def free_texts() -> set[str]:
    """Paths of the texts in the status that its schema does not bound to a form."""
    version = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]
    return set(_free_texts(version["schema"]["openAPIV3Schema"]["properties"]["status"], ""))


def _free_texts(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if schema.get("type") == "string" and not schema.keys() & {"enum", "format", "pattern"}:
        yield path
    for name, part in schema.get("properties", {}).items():
        yield from _free_texts(part, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from _free_texts(schema["items"], f"{path}[]")


@pytest.mark.parametrize("script", [None])
async def test_no_text_from_elsewhere_attacks_a_reader(world: World, log_lines: io.StringIO, hurry: None) -> None:
    world.store.create("trainingruns", stored_by_an_older_version())
    await world.start_operator(lost_pod_seconds=0)
    for name in PREP:
        world.store.create("trainingruns", a_run(name).body())
    for name, spec in REFUSED.items():
        world.store.create("trainingruns", a_run(name).spec(**spec).body())
    for name, arrange in PREP.items():
        await arrange(world, await world.job(f"{name}-prep-1"))
    for name in (*PREP, *REFUSED):
        await eventually(partial(shows, world, name), what=name, seen=partial(written, world, name))
    for name in ("event-job", "image", "verdict", "evicted"):
        await eventually(partial(has_event, world, name), what=f"an Event of {name}")
    await eventually(lambda: is_clean(world, "old"), seen=lambda: world.status("old"))

    wrong = {name: found for name in ("old", *PREP, *REFUSED) if (found := dangerous(written(world, name)))}
    assert wrong == {}
    everything = [status for name in ("old", *PREP, *REFUSED) for status in written(world, name)]
    reached = {path.removeprefix("[].") for path, text in texts(everything) if "\ufffd" in text}
    assert free_texts() - reached - OURS.keys() == {"tensorboard.message"}, "which the next test reaches"
    assert not DANGEROUS.search(log_lines.getvalue().replace("\n", ""))
    assert TOKEN not in log_lines.getvalue() + repr(world.store.objects)


async def test_words_of_the_api_server_and_its_webhooks_attack_no_reader(
    world: World, log_lines: io.StringIO, hurry: None
) -> None:
    """An admission webhook can say anything; what it says of Events and of the status goes to the log."""
    for method, path, status, times in (
        ("GET", "/leases/", 500, 1),
        ("POST", "/default/jobs$", 403, 1),
        ("POST", "/boards/deployments$", 403, 2),  # an Event comes when it is refused again
        ("POST", "/boards/events$", 403, 1),
        ("PATCH", "/boards/.*/status$", 500, 1),
    ):
        world.server.faults.append(Fault(method, path, status, answer={"message": HOSTILE}, times=times))
    await world.start_operator()
    world.store.create("trainingruns", a_run("boards").body(), namespace="boards")
    world.store.create("trainingruns", a_run().body())
    await eventually(partial(shows, world, "tire"), what="the refusal of the Job")
    await eventually(partial(has_event, world, "boards", "TensorBoardRefused"), what="the refusal of TensorBoard")
    found = [*written(world, "tire"), *written(world, "boards")]
    assert any(path == "[].tensorboard.message" and MARK in text for path, text in texts(found))
    assert dangerous(found) == []
    log = log_lines.getvalue()
    assert log.count(MARK) >= 4
    assert not DANGEROUS.search(log.replace("\n", ""))


@pytest.mark.parametrize("script", [lambda job: verdict("prep") if "prep" in job["metadata"]["name"] else None])
async def test_words_of_a_trainer_and_its_agent_attack_no_reader(world: World, script: object, hurry: None) -> None:
    """The trainer's image is the user's; its agent serves what it says as progress."""
    document: dict[str, Any] = {}
    port = free_port()
    async with agent_on(port, document):
        await world.start_operator(agent_port=port)
        world.store.create("trainingruns", a_run().body())
        pod = world.cluster.start(await world.job("tire-train-1"))
        fields = dict.fromkeys(("unit", "format", "source", "checkpointURI", "loss", "updated"), BROKEN)
        storage = {"ready": False, "reason": BROKEN, "message": BROKEN}
        document.update(contractVersion=1, podUID=pod["metadata"]["uid"], phase=BROKEN, storage=storage, **fields)
        await eventually(lambda: MARK in world.condition("StorageReady").get("message", ""))
        document.update(storage={"ready": True, "message": f"{BROKEN} again"}, phase="starting")
        await eventually(lambda: world.condition("StorageReady")["message"].endswith("again"))
        ended = {"exitCode": 127, "reason": BROKEN, "message": BROKEN, "finishedAt": "2026-01-01T00:00:00Z"}
        states = [{"name": "agent", "state": {"running": {}}}, {"name": "trainer", "state": {"terminated": ended}}]
        world.store.update_status("pods", pod["metadata"]["name"], containerStatuses=states)
        await eventually(lambda: MARK in world.attempts("train").get("lastMessage", ""))
    assert dangerous(written(world, "tire")) == []


async def test_readyz_attacks_no_reader(world: World, hurry: None) -> None:
    world.server.faults.append(Fault("GET", "/leases/", 500, answer={"message": HOSTILE}, times=1000))
    running = await world.start_operator(wait=False)

    async def asked() -> str:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{running.port}/readyz") as answer:
            return await answer.text()

    async def refusal() -> str:
        text = ""
        while MARK not in text:
            text = await asked()
        return text

    await eventually(lambda: any("/leases/" in r.path for r in world.server.requests))
    text = await asyncio.wait_for(refusal(), PATIENCE)
    assert not DANGEROUS.search(text.replace("\n", ""))
    world.server.faults.clear()
    await eventually(lambda: running.operator.serving)
