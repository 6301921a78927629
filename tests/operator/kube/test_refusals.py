"""What an answer of the API server means: who refused, whether that can change, and which field it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from trainingrun.kube import field_paths
from trainingrun.kube.client import _seconds
from trainingrun.kube.errors import (
    ConflictError,
    InvalidError,
    KubeError,
    NotFoundError,
    RefusedError,
    from_answer,
)

WEBHOOK = 'admission webhook "w" denied the request'
JOB: Mapping[str, Any] = {
    "metadata": {"name": "tire-prep-1"},
    "spec": {"template": {"spec": {"containers": [{"name": "agent", "resources": {"requests": {"cpu": "1"}}}]}}},
}


def answer(status: int, **fields: Any) -> KubeError:
    return from_answer("POST /x", status, json.dumps({"message": "no", **fields}).encode())


@pytest.mark.parametrize(
    ("status", "fields", "kind"),
    [
        (400, {}, RefusedError),
        (403, {}, RefusedError),
        (404, {}, NotFoundError),
        (409, {}, ConflictError),
        (422, {}, RefusedError),
        (422, {"reason": "Invalid", "details": {"causes": [{"message": "x"}]}}, RefusedError),
        (422, {"reason": "Invalid", "details": {"causes": [{"field": "spec.x"}]}}, InvalidError),
        (422, {"reason": "Forbidden", "details": {"causes": [{"field": "spec.x"}]}}, RefusedError),
        (429, {}, KubeError),
        (500, {}, KubeError),
        *[(code, {"message": WEBHOOK}, RefusedError) for code in (400, 401, 404, 409, 429, 500)],
        (
            422,
            {"message": WEBHOOK, "reason": "Invalid", "details": {"causes": [{"field": "spec.x"}]}},
            RefusedError,
        ),
    ],
)
def test_what_an_answer_means(status: int, fields: dict[str, Any], kind: type[KubeError]) -> None:
    error = answer(status, **fields)
    assert type(error) is kind
    assert error.status == status


@pytest.mark.parametrize("data", [b"", b"404 page not found", b"[1]", b"{", b"[" * 100_000, b'{"details": 1}', b"\xff"])
def test_an_answer_that_is_no_status_is_read_as_text(data: bytes) -> None:
    error = from_answer("GET /x", 404, data)
    assert isinstance(error, NotFoundError)
    assert (error.kind, error.name) == ("", "")


def test_what_is_missing_is_named() -> None:
    error = answer(404, details={"kind": "trainingruns", "name": "tire"})
    assert isinstance(error, NotFoundError)
    assert (error.kind, error.name) == ("trainingruns", "tire")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("metadata.name", True),
        ("metadata.labels", True),
        ("spec.template.spec.containers[0].name", True),
        ("spec.template.spec.containers[0].image", True),
        ("spec.template.spec.containers[0].resources.requests[cpu]", True),
        ("spec.template.spec.containers[0].resources.requests[nvidia.com/gpu]", True),
        ("spec.template.spec.containers[1].image", False),
        ("spec.template.spec.containers[1]", False),
        ("spec.template.spec.containers[x]", False),
        ("spec.template.spec.volumes[0].name", False),
        ("spec.template.spec.containers[0].name.deeper", False),
        ("status.conditions", False),
        ("", False),
        ("[]", False),
    ],
)
def test_a_field_is_ours_if_we_sent_it_or_what_it_is_missing_in(path: str, found: bool) -> None:
    assert field_paths.is_in(JOB, path) is found


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("1", 1), ("120", 120), ("9" * 400, 0), ("-1", 0), ("²", 0), ("nan", 0), ("1.5", 0)]
)
def test_a_retry_after_that_is_no_number_of_seconds_is_ignored(text: str, seconds: float) -> None:
    assert _seconds(text) == seconds
