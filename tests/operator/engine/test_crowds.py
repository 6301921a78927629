"""The index of who waits for room follows the stored statuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from trainingrun.api.run import Run
from trainingrun.domain.crowd import NOBODY, Crowd
from trainingrun.engine.cache import Cache
from trfakes.builders import a_run

KEY = "default/tire"


def version(number: int, builder: Any) -> Run:
    return replace(builder.build(), resource_version=str(number))


def test_the_crowd_of_a_namespace_is_known() -> None:
    cache = Cache()
    cache.put_run(version(1, a_run().condition("Trained", "False", reason="PodUnschedulable")))
    assert cache.crowds.of("default") == Crowd(waiting=frozenset({KEY}))
    assert cache.crowds.of("other") == NOBODY
    cache.put_run(version(2, a_run().condition("Finished").status(tensorboard={"serviceName": "s"})))
    assert cache.crowds.of("default") == Crowd(idle_boards=frozenset({KEY}))
    cache.put_run(version(1, a_run().condition("Trained", "False", reason="PodUnschedulable")))
    assert cache.crowds.of("default") == Crowd(idle_boards=frozenset({KEY})), "an older version changes nothing"
    cache.drop_run(KEY, uid=a_run().build().uid)
    assert cache.crowds.of("default") == NOBODY


@pytest.mark.parametrize("status", [{"conditions": {}}, {"conditions": ["x"]}, {"conditions": 1}, {"tensorboard": []}])
def test_a_status_that_no_schema_allows_is_of_nobody(status: Any) -> None:
    cache = Cache()
    cache.put_run(replace(a_run().build(), status=cast("Any", status)))
    assert cache.crowds.of("default") == NOBODY
