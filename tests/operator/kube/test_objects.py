"""Creating an object whose name is taken: only what would have been created counts as created."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast

import pytest

from trainingrun.api.names import Stage
from trainingrun.builders.jobs import build_job
from trainingrun.builders.resolved import build_resolved
from trainingrun.domain.resolve import resolve
from trainingrun.kube import objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import ConflictError, NotFoundError, from_answer
from trfakes.builders import SETTINGS, a_run

RUN = a_run().build()
RESOLVED = resolve(RUN, settings=SETTINGS, find_run=lambda _: None)
JOB = build_job(RUN, stage=Stage.PREP, attempt=1, resolved=RESOLVED, digest="d1" * 32, settings=SETTINGS)
MAP = build_resolved(RUN, text="as accepted")
Body = dict[str, Any]


class Taken:
    """An API server that holds one object, under every name; without a path if the object is empty."""

    def __init__(self, body: Body | None) -> None:
        self.body = body

    async def call(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Body:
        if method == "POST":
            raise ConflictError(f"{path} exists")
        if self.body is None:
            plural, name = path.rsplit("/", 2)[1:]
            raise from_answer(path, 404, json.dumps({"details": {"kind": plural, "name": name}}).encode())
        if not self.body:
            raise from_answer(path, 404, b"404 page not found")
        return self.body


def taken(body: Body | None) -> Api:
    return cast("Api", Taken(body))


def changed(body: Body, change: Callable[[Body], object]) -> Body:
    found = copy.deepcopy(body)
    found["metadata"]["uid"] = "of the one that exists"
    change(found)
    return found


async def test_the_job_that_exists_counts_if_it_is_the_one_that_would_be_created() -> None:
    found = changed(JOB, lambda _: None)
    assert await objects.create(taken(found), JOB) is found


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda job: job["spec"]["template"]["spec"]["containers"][0].update(image="evil:1"), r"\[agent\].image"),
        (lambda job: job["metadata"].update(ownerReferences=[]), "ownerReferences"),
        (lambda job: job["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"), "ownerReferences"),
    ],
)
async def test_a_job_of_others_is_named_with_what_differs(change: Callable[[Body], object], named: str) -> None:
    with pytest.raises(objects.ForeignObjectError, match=f"Job default/tire-prep-1 exists .*{named}"):
        await objects.create(taken(changed(JOB, change)), JOB)


@pytest.mark.parametrize("data", [{"resolved.json": "other"}, {"resolved.json": ""}, {"x": "as accepted"}, {}, None])
async def test_a_config_map_of_another_text_is_not_taken(data: object) -> None:
    with pytest.raises(objects.OtherDocumentError):
        await objects.create(taken(changed(MAP, lambda body: body.update(data=data))), MAP)


async def test_a_config_map_of_the_same_text_is_taken_whoever_owns_it() -> None:
    found = changed(MAP, lambda body: body["metadata"].update(ownerReferences=[]))
    assert await objects.create(taken(found), MAP) is found


@pytest.mark.parametrize("body", [None, changed(JOB, lambda _: None)], ids=["gone", "another one"])
async def test_the_spec_of_a_job_that_is_gone_is_none(body: Body | None) -> None:
    where = {"namespace": "default", "name": "tire-prep-1"}
    assert await objects.read_job_spec(taken(body), **where, uid="the one that was asked for") is None


@pytest.mark.parametrize(
    "call",
    [
        partial(objects.read_job_spec, uid="u"),
        partial(objects.is_gone, kind="Job", owner_uid="u"),
        partial(objects.delete, kind="Job", uid="u"),
        partial(objects.delete_owned, kind="Job", owner_uid="u"),
        partial(objects.read_resolved, uid="u"),
    ],
)
async def test_a_404_that_names_no_object_does_not_mean_that_it_is_gone(call: Callable[..., Awaitable[Any]]) -> None:
    with pytest.raises(NotFoundError):
        await call(taken({}), namespace="default", name="tire-prep-1")
