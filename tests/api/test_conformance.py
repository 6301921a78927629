"""A real API server answers the same as the model of the fault schedules to the same calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from kubernetes import client, config

from trchaos.store import ChaosStore
from trdemo.shell import Kubectl
from trfakes.answers import Answers
from trfakes.conformance import Sequence

NAMESPACE = "trainingrun-conformance"
Answer = tuple[int, dict[str, Any]]


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> str:
    kubectl("apply", "-f", "-", stdin=kubectl("create", "namespace", NAMESPACE, "--dry-run=client", "-o", "yaml"))
    return NAMESPACE


@pytest.mark.parametrize("seed", range(20))
def test_calls_are_answered_as_in_the_model(seed: int, kubeconfig: Path, namespace: str) -> None:
    settings: client.Configuration = config.new_client_from_config(str(kubeconfig)).configuration  # type: ignore[no-untyped-call]
    store = ChaosStore(now=lambda: datetime.now(UTC), chance=random.Random(0))  # noqa: S311
    answers = Answers(store)
    with requests.Session() as session:
        session.trust_env = False  # otherwise a variable of the environment replaces the certificates
        session.verify, session.cert = str(settings.ssl_ca_cert), (str(settings.cert_file), str(settings.key_file))

        async def real(method: str, path: str, query: Mapping[str, str], body: dict[str, Any] | None) -> Answer:
            content = {"PATCH": "application/merge-patch+json"}.get(method, "application/json")
            url, headers = f"{settings.host}{path}", {"Content-Type": content}
            answer = session.request(method, url, params=dict(query), json=body, headers=headers, timeout=10)
            return answer.status_code, answer.json()

        async def model(method: str, path: str, query: Mapping[str, str], body: dict[str, Any] | None) -> Answer:
            return answers.to(method, path, query=query, body=body or {})

        expected = asyncio.run(Sequence(seed, model, namespace=namespace).outcomes())
        assert asyncio.run(Sequence(seed, real, namespace=namespace).outcomes()) == expected
