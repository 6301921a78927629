"""Progress documents that a pod may answer: one of this pod, or none."""

from __future__ import annotations

import json

import pytest

from trainingrun.engine.agents import MAX_BYTES
from trainingrun.engine.progress_puller import parse_progress

OURS = {"contractVersion": 1, "podUID": "pod", "phase": "checking"}
NONE = {
    "cut": json.dumps(OURS)[:-1],
    "list": "[1]",
    "of another pod": json.dumps(OURS | {"podUID": "other"}),
    "of another contract": json.dumps(OURS | {"contractVersion": 2}),
    "a contract of any type": json.dumps(OURS | {"contractVersion": [1]}),
    "too long": json.dumps(OURS | {"phase": "x" * MAX_BYTES}),
    "nested without end": "[" * (MAX_BYTES - 1),
    "nested deeply": json.dumps(OURS)[:-1] + ', "storage": ' + "[" * 100 + "]" * 100 + "}",
}


@pytest.mark.parametrize("text", NONE.values(), ids=NONE)
def test_anything_but_the_progress_of_this_pod_is_none(text: str) -> None:
    assert parse_progress(text, pod_uid="pod") is None


def test_the_progress_of_this_pod_is_read() -> None:
    assert parse_progress(json.dumps(OURS), pod_uid="pod") == OURS
