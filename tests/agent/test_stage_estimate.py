"""One percentage and one estimate for each stage, whatever is reported and however its time is spent."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from trainingrun_agent.progress import Progress
from trainingrun_agent.stage_estimate import MAIN_WORK

FACTOR = 3.0
"""An estimate may be off by this factor …"""
SHARE = 0.12
"""… or by this share of the whole stage and a few seconds, whichever is more."""
SEEDS = range(30)
PHASES = ("fetching", "checking", "writing", "building", "training", "evaluating", "saving", "inferring", "shipping")


@dataclass
class Trace:
    """What an attempt showed: moments with the percentage, the estimate and the phase."""

    progress: Progress
    clock: Any
    shown: list[tuple[float, int | None, float | None, str]] = field(default_factory=list)
    first_evaluation: tuple[float, float] = (0.0, 0.0)

    def report(self, **fields: Any) -> None:
        self.progress.update(**fields)
        self.look()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and look at it a few times, as the operator does."""
        looks = 1 + int(self.clock.seconds * 7) % 3
        for _ in range(looks):
            self.clock.sleep(seconds / looks)
            self.look()

    def look(self) -> None:
        now = self.progress.snapshot()
        self.shown.append((self.clock.seconds, now.get("percent"), now.get("etaSeconds"), now["phase"]))

    def percentages(self) -> list[int]:
        return [percent for _, percent, _, _ in self.shown if percent is not None]

    def wrong_estimates(self) -> list[str]:
        """Estimates beyond the tolerance; before the first evaluation has shown its length none can know it."""
        end, begin = self.clock.seconds, self.shown[0][0]
        unknown_until, unknown = self.first_evaluation
        wrong = []
        for moment, _, estimate, phase in self.shown:
            if estimate is None:
                continue
            truth = end - moment
            slack = SHARE * (end - begin) + 4 + (unknown if moment <= unknown_until else 0)
            if not (truth - slack) / FACTOR <= estimate <= truth * FACTOR + slack:
                wrong.append(f"{phase} at {moment - begin:.0f} s: {estimate:.0f} s left, in truth {truth:.0f} s")
        return wrong

    def share_with_estimate(self, phase: str) -> float:
        """The share of the moments in a phase that had an estimate; a phase of less than a minute needs none."""
        found = [(moment, estimate) for moment, _, estimate, shown in self.shown if shown == phase]
        if not found or found[-1][0] - found[0][0] < 60:
            return 1.0
        return 1 - [estimate for _, estimate in found].count(None) / len(found)


Make = Callable[[str], Trace]


@pytest.fixture
def trace_of(fake_clock: Any) -> Make:
    return lambda stage: Trace(Progress(stage=stage, pod_uid="pod", clock=fake_clock), fake_clock)


def train(trace: Trace, chance: random.Random) -> None:
    """A training: fetch, graph, steps with saves, pauses and evaluations between, one more evaluation, upload."""
    steps = chance.choice((20, 150, 600))
    pace = chance.uniform(0.05, 4)
    save = chance.choice((5, 10, 50))
    evaluate = save * chance.choice((1, 2, 5))
    evaluation = chance.uniform(1, 40) * pace
    resumed = chance.choice((0, 0, save * 2))
    trace.progress.expect_training(steps=steps, evaluate_every=evaluate)
    trace.report(phase="fetching", done=0, total=100, unit="bytes")
    trace.pass_time(chance.uniform(1, 30))
    trace.report(phase="fetching", done=100, total=100, unit="bytes")
    trace.report(phase="building", step=resumed, steps=steps)
    trace.pass_time(chance.uniform(5, 60))
    begun = trace.clock.seconds
    for step in range(resumed + 1, steps + 1):
        trace.pass_time(pace * chance.lognormvariate(0, 0.4))
        trace.report(phase="training", step=step, steps=steps, done=step, total=steps, unit="steps")
        if step * pace > 200 and chance.random() < 0.003:
            trace.pass_time(61)
        if step % save == 0 or step == steps:
            trace.report(phase="saving")
            trace.pass_time(chance.uniform(0.1, 3) * pace)
        if step % evaluate == 0 or step == steps:
            run_evaluation(trace, chance, evaluation, begun)
            trace.report(phase="training", done=step, total=steps, unit="steps")
    trace.report(phase="shipping")
    trace.pass_time(0.02 * (trace.clock.seconds - begun))


def run_evaluation(trace: Trace, chance: random.Random, seconds: float, begun: float) -> None:
    images = 40
    trace.report(phase="evaluating", done=0, total=images, unit="images")
    trace.pass_time(seconds * 0.2)  # a graph of its own
    for image in range(1, images + 1):
        trace.pass_time(seconds / images * chance.uniform(0.5, 1.5))
        trace.report(phase="evaluating", done=image, total=images, unit="images")
    if not trace.first_evaluation[0]:
        spent = trace.clock.seconds - begun
        trace.first_evaluation = (trace.clock.seconds, spent * 100)  # of all evaluations


def prepare(trace: Trace, chance: random.Random) -> None:
    """A preparation: preflight, listings, labels, checking with images that are taken over, uploads, report."""
    images = chance.choice((200, 5000))
    pace = chance.uniform(0.002, 0.1)
    reused = int(images * chance.choice((0, 0, 0.5, 0.9)))
    trace.report(phase="preflight")
    trace.pass_time(1)
    for _ in range(2):
        trace.report(phase="listing", done=images, unit="files")
        trace.pass_time(chance.uniform(0, 5))
        trace.report(phase="fetching", done=10, total=100, unit="bytes")
        trace.pass_time(chance.uniform(0, 5))
    trace.report(phase="checking", unit="images", done=0, total=images, bytes=0)
    trace.report(phase="checking", unit="images", done=reused, total=images, bytes=0, reused=reused)
    begun = trace.clock.seconds
    done = reused
    while done < images:
        batch = min(chance.randint(1, images // 40), images - done)
        trace.pass_time(batch * pace * chance.lognormvariate(0, 0.4))
        done += batch
        trace.report(phase="checking", unit="images", done=done, total=images, reused=reused, bytes=done * 1000)
        if chance.random() < 0.01:  # a worker died
            trace.report(phase="checking", unit="images", done=done - batch, total=images, reused=reused)
    rest = chance.uniform(0, 0.08) * (trace.clock.seconds - begun)
    for part in range(11):
        trace.report(phase="writing", done=part * 1000, total=10_000, unit="bytes")
        trace.pass_time(rest / 11)
    trace.report(phase="shipping")
    trace.pass_time(0.5)


def export(trace: Trace, chance: random.Random) -> None:
    """An export: fetch, graph, inference, upload."""
    images, each = chance.choice((20, 500)), chance.uniform(0.05, 2)
    trace.report(phase="fetching", done=0, total=100, unit="bytes")
    trace.pass_time(chance.uniform(1, 100))
    trace.report(phase="exporting")
    trace.pass_time(chance.uniform(5, 60))
    for image in range(images + 1):
        trace.report(phase="inferring", done=image, total=images, unit="images")
        trace.pass_time(each * chance.lognormvariate(0, 0.4))
    rest = 0.1 * images * each
    for part in range(11):
        trace.report(phase="shipping", done=part * 1000, total=10_000, unit="bytes")
        trace.pass_time(rest / 11)


def anything(trace: Trace, chance: random.Random) -> None:
    """Reports in no order, with numbers that do not fit each other."""
    trace.progress.expect_training(steps=chance.randint(1, 50), evaluate_every=chance.randint(1, 20))
    for _ in range(200):
        fields: dict[str, Any] = {"phase": chance.choice(PHASES), "unit": chance.choice(("images", "steps", "bytes"))}
        fields |= {name: chance.randint(0, 60) for name in ("done", "total", "step") if chance.random() < 0.7}
        trace.report(**fields, reused=chance.choice((None, 5)))
        trace.pass_time(chance.choice((0.0, 0.1, 100.0)))


@pytest.mark.parametrize("stage", MAIN_WORK)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_reported_the_percentage_never_falls(
    trace_of: Make, stage: str, seed: int, contract: Callable[[str, Any], None]
) -> None:
    trace = trace_of(stage)
    anything(trace, random.Random(seed))  # noqa: S311 - traces that can be had again
    percentages = trace.percentages()
    assert percentages == sorted(percentages)
    assert set(percentages) <= set(range(100))
    assert all(estimate >= 0 for _, _, estimate, _ in trace.shown if estimate is not None)
    contract("progress", trace.progress.snapshot())


RUNS = {"train": train, "prep": prepare, "export": export}


@pytest.mark.parametrize("stage", RUNS)
@pytest.mark.parametrize("seed", SEEDS)
def test_percentage_and_estimate_over_random_traces(trace_of: Make, stage: str, seed: int) -> None:
    trace = trace_of(stage)
    RUNS[stage](trace, random.Random(f"{stage} {seed}"))  # noqa: S311 - traces that can be had again
    percentages = trace.percentages()
    assert percentages == sorted(percentages)
    assert max(percentages) == 99
    trace.progress.finished()
    trace.look()
    assert trace.percentages()[-1] == 100
    assert trace.wrong_estimates()[:5] == []
    assert trace.share_with_estimate(MAIN_WORK[stage]) > 0.5


def test_evaluations_to_come_are_estimated_before_the_first(trace_of: Make) -> None:
    """60 steps of 1 s with batches of 4, and six evaluations of 20 images, of which each takes as long as 5 steps."""
    trace = trace_of("train")
    trace.progress.expect_training(steps=60, evaluate_every=10, batches_per_evaluation=20 / 4)
    trace.report(phase="building", step=0, steps=60)
    assert "etaSeconds" not in trace.progress.snapshot()
    for step in range(6):
        trace.report(phase="training", step=step, steps=60, done=step, total=60, unit="steps")
        trace.pass_time(1)
    assert trace.progress.snapshot()["etaSeconds"] == pytest.approx(54 + 6 * 5, abs=3)


def test_an_evaluation_that_waits_for_its_graph_is_no_slow_step(trace_of: Make) -> None:
    trace = trace_of("train")
    trace.progress.expect_training(steps=40, evaluate_every=20, batches_per_evaluation=5)
    for step in range(21):
        trace.report(phase="training", step=step, steps=40, done=step, total=40, unit="steps")
        trace.pass_time(1)
    trace.report(phase="building")
    trace.pass_time(30)
    assert trace.progress.snapshot()["etaSeconds"] == pytest.approx(20 + 5, abs=3)
    for image in range(11):
        trace.report(phase="evaluating", done=image, total=10, unit="images")
        trace.pass_time(1)
    trace.report(phase="training", step=20, done=20, total=40, unit="steps")
    # The pace of the steps is as before, and the last evaluation is expected to be like the first.
    assert trace.progress.snapshot()["etaSeconds"] == pytest.approx(20 + 11, abs=4)


def test_a_training_whose_time_is_limited_is_estimated_to_end_in_time(fake_clock: Any) -> None:
    """A step a second: 10,000 steps would take hours, train.maxDuration is ten minutes."""
    progress = Progress(stage="train", pod_uid="pod", clock=fake_clock)
    progress.expect_training(steps=10_000, evaluate_every=5_000, most_seconds=600)
    for step in range(1, 102):
        progress.update(phase="training", step=step, steps=10_000, done=step, total=10_000)
        fake_clock.sleep(1)
    assert progress.snapshot()["etaSeconds"] == pytest.approx(500, abs=2)
