"""How much of its stage an attempt has done, and how long the rest of the stage takes.

The percentage of a stage is that of its main work: images checked, steps trained, images inferred. There is none before
the main work begins, and what comes after it (uploads, the last evaluation) is the step from 99 to 100.

Invariant: the percentage never falls, whatever is reported, and is 100 only after `finished`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from trainingrun_agent.rate import Rate

MAIN_WORK = {"prep": "checking", "train": "training", "export": "inferring"}
LAST_WORK = ("writing", "comparing", "reporting", "shipping")
"""Phases after the main work; where one counts something, the time left is that of its rest."""
WINDOW_SECONDS = 60.0
STEP_WINDOW_SECONDS = 300.0
"""Longer, because a save every few minutes is a part of the pace."""

Fields = Mapping[str, Any]
"""Fields of progress by their names in the contract."""


class Estimate(Protocol):
    """What a kind of main work knows of itself."""

    def observe(self, fields: Fields, *, reused: int, now: float) -> None:
        """Look at the progress after each change."""

    def done(self) -> tuple[int, int] | None:
        """How much of how much of the main work is done; None before it begins."""

    def seconds_left(self, phase: str, *, now: float) -> float | None:
        """How long the main work takes from now on; None if unknown, or if it does not run in this phase."""


class StageEstimate:
    """The percentage of one attempt and its seconds left; not thread-safe."""

    def __init__(self, stage: str) -> None:
        self._work: Estimate = CountedWork(MAIN_WORK.get(stage, ""))
        self._phase = ""
        self._last_work: tuple[Rate, int, int] | None = None
        self.percent: int | None = None

    def expect_training(
        self, *, steps: int, evaluate_every: int, batches_per_evaluation: float, most_seconds: float | None = None
    ) -> None:
        """Estimate a training of so many steps, with an evaluation every so many and one at the end.

        `most_seconds` after its first step it ends anyway.
        """
        self._work = TrainingWork(steps, evaluate_every, batches_per_evaluation, most_seconds)

    def observe(self, fields: Fields, *, reused: int = 0, now: float) -> None:
        """Look at the progress after each change; `reused` of what is done cost no time."""
        if fields["phase"] != self._phase:
            self._phase, self._last_work = fields["phase"], None
        self._work.observe(fields, reused=reused, now=now)
        if (counted := self._work.done()) is not None:
            done, total = counted
            self.percent = max(self.percent or 0, min(99, 100 * done // max(1, total)))
        if self._phase in LAST_WORK and fields.keys() >= {"done", "total"}:
            self._observe_last_work(fields["done"], fields["total"], now)

    def finished(self) -> None:
        """The stage is done."""
        self.percent = 100

    def seconds_left(self, *, now: float) -> float | None:
        """Seconds until the stage is done; None while that is not known."""
        if self.percent is None:
            return None
        if self._last_work is not None:
            rate, done, total = self._last_work
            return rate.seconds_for(max(0, total - done), now=now)
        return self._work.seconds_left(self._phase, now=now)

    def _observe_last_work(self, done: int, total: int, now: float) -> None:
        rate = self._last_work[0] if self._last_work else Rate(now, first=done, window=WINDOW_SECONDS)
        rate.reached(done, now=now)
        self._last_work = (rate, done, total)


class CountedWork:
    """Work that is a count in one phase."""

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self._rate: Rate | None = None
        self._done = self._total = 0

    def observe(self, fields: Fields, *, reused: int, now: float) -> None:
        """See Estimate."""
        if fields["phase"] != self._phase or not fields.keys() >= {"done", "total"}:
            return
        self._done, self._total = fields["done"], fields["total"]
        self._rate = self._rate or Rate(now, first=self._done - reused, window=WINDOW_SECONDS)
        self._rate.reached(self._done - reused, now=now)

    def done(self) -> tuple[int, int] | None:
        """See Estimate."""
        return None if self._rate is None else (self._done, self._total)

    def seconds_left(self, phase: str, *, now: float) -> float | None:
        """See Estimate."""
        if phase != self._phase or self._rate is None:
            return None
        return self._rate.seconds_for(max(0, self._total - self._done), now=now)


class TrainingWork:
    """Steps, and evaluations between them, each at its own pace; saves are a part of the pace of the steps.

    Until the first evaluation has shown its length, an image is expected to take as long as in a step: without
    gradients, but one by one. An evaluation that has to wait for its graph includes this wait.
    """

    def __init__(
        self,
        steps: int,
        evaluate_every: int,
        batches_per_evaluation: float = 0.0,
        most_seconds: float | None = None,
    ) -> None:
        self._steps, self._every = steps, max(1, evaluate_every)
        self._batches, self._most_seconds = batches_per_evaluation, most_seconds
        self._began: float | None = None
        self._step: int | None = None
        self._pace: Rate | None = None
        self._evaluation: _Evaluation | None = None
        self._evaluated_at = 0
        self._evaluations, self._evaluating = 0, 0.0
        self._waiting = 0.0  # of these seconds, for the graph, which is built once

    def observe(self, fields: Fields, *, reused: int, now: float) -> None:  # noqa: ARG002 - of other work
        """See Estimate."""
        if "step" not in fields:
            return
        step = min(fields["step"], self._steps)
        if self._step is None:  # an attempt before this one has evaluated what it resumes from
            self._evaluated_at = min(step, self._steps - 1)
        self._step = max(self._step or 0, step)
        if fields["phase"] == "evaluating" or (fields["phase"] == "building" and self._pace is not None):
            self._evaluation = self._evaluation or _Evaluation(now)
            self._evaluation.observe(fields, now=now)
            self._evaluated_at = self._step
        elif self._evaluation is not None:
            self._evaluations += 1
            self._evaluating += now - self._evaluation.began
            self._waiting += self._evaluation.waited
            self._evaluation = None
        if fields["phase"] == "training":
            self._began = now if self._began is None else self._began
            working = now - self._evaluating
            self._pace = self._pace or Rate(working, first=self._step, window=STEP_WINDOW_SECONDS)
            self._pace.reached(self._step, now=working)

    def done(self) -> tuple[int, int] | None:
        """See Estimate."""
        return None if self._step is None else (self._step, self._steps)

    def seconds_left(self, phase: str, *, now: float) -> float | None:
        """See Estimate."""
        steps = self._seconds_for_steps(now)
        waits_for_graph = phase == "building" and self._evaluation is not None
        if not (phase in ("training", "evaluating", "saving") or waits_for_graph) or steps is None:
            return None
        each = self._seconds_per_evaluation(now)
        if self._evaluation is None:
            return self._at_most(steps + each * self._evaluations_to_come(), each, now)
        so_far = now - self._evaluation.began
        rest = self._evaluation.seconds_left(now=now)
        if rest is None:
            rest = max(0.0, each - so_far)
        elif not self._evaluations:
            each = so_far - self._evaluation.waited + rest
        return self._at_most(steps + rest + each * self._evaluations_to_come(), each, now)

    def _at_most(self, seconds: float, each: float, now: float) -> float:
        """No more than until the time is over (train.maxDuration); then the last evaluation follows."""
        if self._most_seconds is None or self._began is None:
            return seconds
        return min(seconds, max(0.0, self._most_seconds - (now - self._began)) + each)

    def _seconds_per_evaluation(self, now: float) -> float:
        """The mean of those that have ended; before, what as many images take in steps."""
        if self._evaluations:
            return (self._evaluating - self._waiting) / self._evaluations
        if self._pace is None:
            return 0.0
        return (self._pace.seconds_for(1, now=self._working(now)) or 0.0) * self._batches

    def _seconds_for_steps(self, now: float) -> float | None:
        if self._step == self._steps:
            return 0.0
        if self._pace is None or self._step is None:
            return None
        return self._pace.seconds_for(self._steps - self._step, now=self._working(now))

    def _working(self, now: float) -> float:
        """Seconds spent outside of evaluations."""
        return (self._evaluation.began if self._evaluation else now) - self._evaluating

    def _evaluations_to_come(self) -> int:
        """Evaluations that have not begun; the last one comes after the last step."""
        between = max(0, (self._steps - 1) // self._every - self._evaluated_at // self._every)
        return between + (self._evaluated_at < self._steps)


class _Evaluation:
    """One evaluation; its time begins before its first image, which needs a graph of its own.

    `waited` is how many of its seconds its graph was still being built.
    """

    def __init__(self, began: float) -> None:
        self.began, self.waited, self._waits = began, 0.0, False
        self._images: Rate | None = None
        self._left = 0

    def observe(self, fields: Fields, *, now: float) -> None:
        done, total = fields.get("done", 0), fields.get("total", 0)
        if self._waits:
            self.waited = now - self.began
        self._waits = fields["phase"] == "building"
        if done and not self._waits:
            self._images = self._images or Rate(now, first=done, window=WINDOW_SECONDS)
            self._images.reached(done, now=now)
            self._left = max(0, total - done)

    def seconds_left(self, *, now: float) -> float | None:
        return None if self._images is None else self._images.seconds_for(self._left, now=now)
