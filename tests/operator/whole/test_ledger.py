"""A platform team accounts for runs and pages on failures: metrics over HTTP and the log of the running operator."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from trainingrun.api.run import Run
from trainingrun.engine import ledger, metrics
from trainingrun.engine.memory import Memories
from trfakes.apiserver import Fault
from trfakes.builders import a_run
from trfakes.fake_cluster import NUMBERS, Script, verdict
from trfakes.harness import PATIENCE, POLL_SECONDS, Running, World, eventually
from trfakes.store import Object

pytestmark = pytest.mark.contract
LEDGER = "trainingrun.engine.ledger"
LABELS = ("namespace", "stage", "outcome", "reason", "kind")
Samples = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def no_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun.domain.verdicts.BACK_OFF_SECONDS", (0,))


async def scrape(running: Running) -> Samples:
    """Samples of counters with their labels, without the times at which they were created."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{running.port}/metrics") as answer:
        text = await answer.text()
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("trainingrun_") and not sample.name.endswith("_created"):
                labels = [sample.labels[name] for name in LABELS if name in sample.labels]
                samples[sample.name.removeprefix("trainingrun_"), *labels] = sample.value
    return samples


async def grows_to(running: Running, before: Samples, wanted: Mapping[str, float], *names: str) -> None:
    """Wait until exactly this has grown: the operator counts when it gets the server's answer, or else by its watch."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while (found := grown(before, await scrape(running), *names)) != wanted:
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(POLL_SECONDS)


def grown(before: Samples, after: Samples, *names: str) -> dict[str, float]:
    """What has grown, by name and labels; durations are only counted."""
    found = {key: after[key] - before.get(key, 0) for key in after if key[0] in names}
    return {" ".join(key): value for key, value in found.items() if value}


def troubled(job: Object) -> Mapping[str, Any]:
    """Script of a fake cluster: preparation crashes once, training is interrupted once, with a reason of its own."""
    name = job["metadata"]["name"]
    if name.endswith("-prep-1"):
        return verdict("prep", "crash", reason="UnexpectedError")
    if name.endswith("-train-1"):
        numbers = {"step": 100, "checkpointStep": 60, "trainingSeconds": 9.0}
        return verdict("train", "interrupted", reason="MadeUpByAPod", numbers=numbers)
    stage = job["metadata"]["labels"]["trainingrun.dev/stage"]
    return verdict(stage, numbers={**NUMBERS[stage], **({"resumedFromStep": 60} if stage == "train" else {})})


COUNTERS = (
    "attempts_started_total",
    "attempts_ended_total",
    "attempt_seconds_count",
    "runs_finished_total",
    "run_seconds_count",
    "steps_lost_total",
)
OF_THE_RUN = {
    "attempts_started_total default prep": 2,
    "attempts_started_total default train": 2,
    "attempts_started_total default export": 1,
    "attempts_ended_total default prep crash UnexpectedError": 1,
    "attempts_ended_total default prep succeeded Completed": 1,
    "attempts_ended_total default train interrupted Other": 1,
    "attempts_ended_total default train succeeded Completed": 1,
    "attempts_ended_total default export succeeded Completed": 1,
    "attempt_seconds_count default prep crash": 1,
    "attempt_seconds_count default prep succeeded": 1,
    "attempt_seconds_count default train interrupted": 1,
    "attempt_seconds_count default train succeeded": 1,
    "attempt_seconds_count default export succeeded": 1,
    "runs_finished_total default succeeded Completed": 1,
    "run_seconds_count default succeeded": 1,
    "steps_lost_total default": 40,
}


@pytest.mark.parametrize("script", [troubled])
async def test_failures_are_counted_by_cause_and_stay_counted(world: World, script: Script) -> None:
    """A gauge of runs by phase falls when a failed run is deleted, and says nothing of attempts."""
    running = await world.start_operator()
    before = await scrape(running)
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    await grows_to(running, before, OF_THE_RUN, *COUNTERS)
    assert world.status()["training"]["interruptions"] == 1
    world.store.delete("trainingruns", "tire")
    await eventually(lambda: not running.operator.cache.runs)
    assert grown(before, await scrape(running), *COUNTERS) == OF_THE_RUN


@pytest.mark.parametrize("script", [troubled])
@pytest.mark.parametrize("patch", range(6))
async def test_an_end_whose_patch_got_no_answer_counts_once(world: World, script: Script, patch: int) -> None:
    """It was stored: only the watch tells of it. Another one is not stored at all, and is written again."""
    running = await world.start_operator()
    before = await scrape(running)
    world.server.faults.append(Fault("PATCH", "/status$", 0, after=True, skip=patch))
    world.server.faults.append(Fault("PATCH", "/status$", 500, skip=patch + 1))
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    wanted = {name: count for name, count in OF_THE_RUN.items() if name.split()[0] in COUNTERS[1:]}
    await grows_to(running, before, wanted, *COUNTERS[1:])


@pytest.mark.parametrize("script", [troubled])
async def test_a_restart_counts_nothing_again(world: World, script: Script) -> None:
    running = await world.start_operator()
    before = await scrape(running)
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    await grows_to(running, before, OF_THE_RUN, *COUNTERS)
    running = await world.replace_operator()
    world.store.patch("trainingruns", "tire", {"spec": {"tensorboard": {"enabled": False}}})
    await eventually(lambda: world.status()["observedGeneration"] == 2, what="the new operator has looked at the run")
    assert grown(before, await scrape(running), *COUNTERS) == OF_THE_RUN


@pytest.mark.parametrize("script", [troubled])
async def test_gpu_seconds_are_counted_by_use(world: World, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun.domain.accounting._held_seconds", lambda *_: 20.0)
    running = await world.start_operator()
    before = await scrape(running)
    world.store.create("trainingruns", a_run().spec(train={"gpus": 1}).body())
    await world.finished()
    spent = world.status()["training"]["gpuSeconds"]
    assert spent == {"useful": 5 + 20, "lost": 4, "waiting": 11}
    names = {f"gpu_seconds_total default {kind}": seconds for kind, seconds in spent.items()}
    await grows_to(running, before, names, "gpu_seconds_total")


async def test_a_first_failure_is_an_increase(world: World) -> None:
    """A series that begins with one has no increase: the namespace shows zeros as soon as it has a run."""
    running = await world.start_operator()
    world.store.create("trainingruns", a_run().spec(suspend=True).body(), namespace="new-team")
    await eventually(lambda: world.store.get("trainingruns", "tire", namespace="new-team").get("status"))
    samples = await scrape(running)
    names = [("run_seconds_count", "new-team", "failed"), ("gpu_seconds_total", "new-team", "lost")]
    assert [samples.get(name) for name in (*names, ("steps_lost_total", "new-team"))] == [0, 0, 0]


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == LEDGER]


@pytest.mark.parametrize("script", [troubled])
async def test_the_log_has_one_line_for_every_end(
    world: World, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LEDGER)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    world.store.create("trainingruns", a_run("forbidden").spec(train={"image": "evil.example/t:1"}).body())
    await world.finished()
    await world.finished("forbidden")
    await eventually(lambda: len(lines(caplog)) >= 9, seen=lambda: lines(caplog))
    found = [f"{level} {text.split(': ')[0]}: {text.split(': ')[1]}" for level, text in lines(caplog)]
    assert sorted(found) == [
        "INFO default/tire: accepted",
        "INFO default/tire: attempt 1 of export ended",
        "INFO default/tire: attempt 2 of prep ended",
        "INFO default/tire: attempt 2 of train ended",
        "INFO default/tire: succeeded (Completed)",
        "WARNING default/forbidden: failed (ForbiddenByPolicy)",
        "WARNING default/forbidden: not accepted (ForbiddenByPolicy)",
        "WARNING default/tire: attempt 1 of prep ended",
        "WARNING default/tire: attempt 1 of train ended",
    ]
    (interrupted,) = [r for r in caplog.records if "attempt 1 of train" in r.getMessage()]
    about = {"run": "default/tire", "stage": "train", "attempt": 1, "outcome": "interrupted", "reason": "MadeUpByAPod"}
    assert interrupted.__dict__["fields"] == about


async def test_a_refused_status_is_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The operator tries again and again; its status cannot tell."""
    refusal = Fault("PATCH", "/status$", 422, answer={"message": "denied by a policy"}, times=100)
    world.server.faults.append(refusal)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: refusal.times < 95, what="some more tries")
    told = [r.getMessage() for r in caplog.records if "its status is refused" in r.getMessage()]
    assert told == ["default/tire: its status is refused: denied by a policy"]


@pytest.mark.parametrize("served_by_another_meanwhile", [False, True])
def test_what_another_operator_did_is_not_counted(*, served_by_another_meanwhile: bool) -> None:
    def version(number: int, ended: int) -> Run:
        ends = [{"number": each + 1, "outcome": "crash", "reason": "NoVerdict"} for each in range(ended)]
        body = a_run().status(attempts=[{"stage": "prep", "number": ended, "ended": ended, "history": ends}]).body()
        body["metadata"] |= {"namespace": "shared", "uid": "u", "resourceVersion": str(number)}
        return Run.from_object(body)

    memories, counter = Memories(), metrics.ATTEMPTS_ENDED.labels("shared", "prep", "crash", "NoVerdict")
    before = counter._value.get()
    ledger.account(memories.of(version(1, 1)), version(1, 1))
    if served_by_another_meanwhile:
        memories.forget("shared/tire")
    ledger.account(memories.of(version(2, 2)), version(2, 2))
    ledger.account(memories.of(version(2, 2)), version(2, 2))
    assert counter._value.get() - before == (0 if served_by_another_meanwhile else 1)
