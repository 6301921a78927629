"""No liveness probe of the kubelet comes between the agent's end and the moment at which the kubelet notices it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from trainingrun_agent.clock import Clock
from trainingrun_agent.kubelet_probes import (
    MOST_SECONDS,
    NOTICE_SECONDS,
    SCHEDULES,
    TRAINER_ALIVE,
    TURN_SECONDS,
    KubeletProbes,
)
from trainingrun_agent.trainer_probe import TrainerProbe

HEALTHZ = "/healthz"
ROUNDING = 2 * TURN_SECONDS


class Kubelet(Clock):
    """Probes each path at its moments while time passes; `phases` are the seconds from the earliest first probe."""

    def __init__(self, phases: dict[str, float]) -> None:
        self.seconds = 0.0
        self.next = {path: SCHEDULES[path].delay + phase for path, phase in phases.items()}
        self.answered: Callable[[str], None] = lambda _: None

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        end = self.seconds + seconds
        while due := [path for path, at in self.next.items() if at <= end]:
            path = min(due, key=self.next.__getitem__)
            self.seconds = self.next[path]
            self.answered(path)
            self.next[path] += SCHEDULES[path].period
        self.seconds = end


def end_of(kubelet: Kubelet, trainer: TrainerProbe, *, at: float, trainer_ends_at: float | None = None) -> float:
    """Let the agent work until `at` and end; returns how long it waited."""
    probes = KubeletProbes(kubelet, trainer)
    kubelet.answered = probes.answered
    if trainer_ends_at is not None:
        kubelet.sleep(trainer_ends_at)
        kubelet.next.pop(TRAINER_ALIVE, None)
        trainer.trainer_ended(kubelet.seconds)
    kubelet.sleep(at - kubelet.seconds)
    probes.wait_until_none_is_due()
    return kubelet.seconds - at


@pytest.mark.parametrize("phase", [0.0, 0.7, 2.5, 4.9])
@pytest.mark.parametrize("at", [1.0, 20.0, 34.0, 35.0, 37.3, 39.9, 62.0, 63.6, 1000.4])
def test_a_pod_that_ends_well_makes_no_warning(phase: float, at: float) -> None:
    kubelet = Kubelet({HEALTHZ: phase})
    waited = end_of(kubelet, TrainerProbe(), at=at)
    assert kubelet.next[HEALTHZ] - kubelet.seconds >= NOTICE_SECONDS - ROUNDING
    assert waited <= NOTICE_SECONDS + ROUNDING


@pytest.mark.parametrize(("healthz", "trainer_alive"), list(product([0.0, 1.3, 2.6, 3.9], [0.2, 2.7, 4.4])))
def test_no_probe_is_due_where_the_trainer_still_lives(healthz: float, trainer_alive: float) -> None:
    """Two probes, each with moments of its own."""
    for tenths in range(50):
        kubelet = Kubelet({HEALTHZ: healthz, TRAINER_ALIVE: trainer_alive})
        trainer = TrainerProbe()
        trainer.install(lambda: "")
        waited = end_of(kubelet, trainer, at=100 + tenths / 10)
        assert min(kubelet.next.values()) - kubelet.seconds >= NOTICE_SECONDS - ROUNDING
        assert waited <= MOST_SECONDS


@pytest.mark.parametrize(("at", "longest"), [(31.0, 5.0), (28.5, 5.0), (27.0, ROUNDING), (10.0, 0.0)])
def test_the_first_probe_is_waited_for_when_it_can_come_at_any_moment(at: float, longest: float) -> None:
    kubelet = Kubelet({HEALTHZ: 2.0})
    assert end_of(kubelet, TrainerProbe(), at=at) <= longest
    assert kubelet.next[HEALTHZ] - kubelet.seconds >= NOTICE_SECONDS - ROUNDING


def test_a_kubelet_that_has_stopped_asking_is_not_waited_for() -> None:
    kubelet = Kubelet({HEALTHZ: 0.0})
    probes = KubeletProbes(kubelet, TrainerProbe())
    kubelet.answered = probes.answered
    kubelet.sleep(40)
    kubelet.next.clear()
    kubelet.sleep(20)
    probes.wait_until_none_is_due()
    assert kubelet.seconds == 60


@pytest.mark.parametrize(("ended_before", "longest"), [(0.0, NOTICE_SECONDS), (1.5, 0.5), (2.0, 0.0)])
def test_a_trainer_that_has_ended_is_asked_about_until_the_kubelet_notices(ended_before: float, longest: float) -> None:
    kubelet = Kubelet({HEALTHZ: 0.0, TRAINER_ALIVE: 4.0})
    trainer = TrainerProbe()
    trainer.install(lambda: "")
    waited = end_of(kubelet, trainer, at=12.0, trainer_ends_at=12.0 - ended_before)
    assert waited <= longest + ROUNDING


def test_who_pretends_to_be_the_kubelet_delays_the_end_by_seconds_at_most() -> None:
    kubelet = Kubelet({})
    probes = KubeletProbes(kubelet, TrainerProbe())
    for path in (*SCHEDULES, *(f"/{number}" for number in range(1000))):
        probes.answered(path)
    kubelet.sleep(4)
    probes.wait_until_none_is_due()
    assert kubelet.seconds <= 4 + MOST_SECONDS
    assert set(probes._answered_at) == set(SCHEDULES)
