"""Conditional writes, by which the pods of a run keep apart, at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from trainingrun_agent.config import AgentConfig
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.storage import epochs, preflight
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.s3 import S3Store

pytestmark = pytest.mark.s3
RUN = RunKeys("ml/runs/team-a/tire-0123abcd")
WRITERS = 4
ROUNDS = 10


def test_the_preflight_warns_of_nothing(s3_store: S3Store, s3_config: AgentConfig) -> None:
    assert preflight.probe(s3_store, RUN, s3_config.pod_uid) == ()
    assert list(s3_store.list("")) == []


def test_of_several_conditional_writes_at_once_one_succeeds(waiting_store: ObjectStore) -> None:
    barrier = Barrier(WRITERS)

    def write(number: int) -> list[bool]:
        won = []
        for turn in range(ROUNDS):
            barrier.wait(60)
            won.append(waiting_store.put(f"epochs/{turn}.json", b"%d" % number, if_absent=True))
        return won

    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(write, range(WRITERS)))
    winners = [[number for number in range(WRITERS) if won[number][turn]] for turn in range(ROUNDS)]
    assert [len(each) for each in winners] == [1] * ROUNDS
    stored = [waiting_store.get(f"epochs/{turn}.json", max_bytes=9) for turn in range(ROUNDS)]
    assert stored == [b"%d" % winner for (winner,) in winners]


def test_pods_that_claim_at_once_get_epochs_of_their_own(waiting_store: ObjectStore) -> None:
    barrier = Barrier(WRITERS)

    def claim(number: int) -> int:
        barrier.wait(60)
        return epochs.claim(waiting_store, RUN, f"pod-{number}")

    with ThreadPoolExecutor(WRITERS) as pool:
        claimed = list(pool.map(claim, range(WRITERS)))
    assert sorted(claimed) == list(range(1, WRITERS + 1))
