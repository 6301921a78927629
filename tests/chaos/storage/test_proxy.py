"""Tests of the proxy: each fault is what its name says, for the client and for the server."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import Any

import pytest

from trchaosstorage.injector import Injector
from trchaosstorage.schedule import Attempt, Burst, End, PodEnd
from trfakes.flaky_s3 import FlakyS3, flaky_s3
from trfakes.s3_faults import BEFORE, LATE_SECONDS, SLOW_BYTES_PER_SECOND, Fault
from trservers import catalogue
from trservers.server import Server

pytestmark = pytest.mark.contract
BUCKET, KEY = "proxied", "key"
SIZE = 40_000
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, Signature=0"}
"""Which moto does not check."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with catalogue.running(catalogue.MOTO, tmp_path_factory.mktemp("server")) as server:
        server.client.create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[tuple[FlakyS3, str]]:
    server.client.delete_object(Bucket=BUCKET, Key=KEY)
    with flaky_s3(server.endpoint, address="127.0.0.1") as (proxy, endpoint):
        proxy.flaky = False
        yield proxy, endpoint.removeprefix("http://")


def inject(proxy: FlakyS3, *faults: Fault, requests: int = 1) -> Injector:
    injector = Injector()
    proxy.fault_of = injector.fault_of
    injector.begin(Attempt(tuple(Burst(1, fault, requests) for fault in faults)), lambda _: None)
    return injector


def ask(address: str, method: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, f"/{BUCKET}/{KEY}", body, SIGNED | headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def stored(server: Server) -> bytes | None:
    found: Any = server.client.list_objects_v2(Bucket=BUCKET).get("Contents")
    return server.client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() if found else None


@pytest.mark.parametrize(("fault", "status"), [(Fault.BUSY, 503), (Fault.ERROR_BEFORE, 500), (Fault.ERROR_AFTER, 500)])
def test_errors(proxy: tuple[FlakyS3, str], server: Server, fault: Fault, status: int) -> None:
    inject(proxy[0], fault)
    assert ask(proxy[1], "PUT", b"data")[0] == status
    assert stored(server) == (None if fault in BEFORE else b"data")
    assert ask(proxy[1], "PUT", b"data")[0] == 200


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.RESET_IN_BODY, Fault.RESET_AFTER])
def test_resets(proxy: tuple[FlakyS3, str], server: Server, fault: Fault) -> None:
    inject(proxy[0], fault)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        ask(proxy[1], "PUT", b"data")
    assert stored(server) == (None if fault in BEFORE else b"data")


def test_the_answer_to_a_conditional_put_alone_is_lost(proxy: tuple[FlakyS3, str], server: Server) -> None:
    injector = inject(proxy[0], Fault.LOST_CONDITIONAL)
    assert ask(proxy[1], "GET")[0] == 404
    with pytest.raises(ConnectionResetError):
        ask(proxy[1], "PUT", b"mine", **{"if-none-match": "*"})
    assert stored(server) == b"mine"
    assert ask(proxy[1], "PUT", b"again", **{"If-None-Match": "*"})[0] == 412
    assert injector.injected == {Fault.LOST_CONDITIONAL: 1}


def test_a_truncated_answer_ends_early(proxy: tuple[FlakyS3, str]) -> None:
    inject(proxy[0], Fault.TRUNCATED)
    assert ask(proxy[1], "PUT", bytes(SIZE))[0] == 200
    with pytest.raises(http.client.IncompleteRead):
        ask(proxy[1], "GET")


@pytest.mark.parametrize(("fault", "seconds"), [(Fault.SLOW, SIZE / SLOW_BYTES_PER_SECOND), (Fault.LATE, LATE_SECONDS)])
def test_slow_answers_are_whole(proxy: tuple[FlakyS3, str], fault: Fault, seconds: float) -> None:
    assert ask(proxy[1], "PUT", bytes(SIZE))[0] == 200
    inject(proxy[0], fault)
    began = time.monotonic()
    assert ask(proxy[1], "GET") == (200, bytes(SIZE))
    assert time.monotonic() - began >= seconds * 0.8  # the first piece comes at once


@pytest.mark.parametrize("arrives", [True, False])
def test_a_pod_is_ended_at_its_request(proxy: tuple[FlakyS3, str], server: Server, arrives: bool) -> None:
    injector, ended = Injector(), []
    proxy[0].fault_of = injector.fault_of
    injector.begin(Attempt(end=PodEnd(2, End.AGENT_KILLED, arrives)), ended.append)
    assert (ask(proxy[1], "GET")[0], ended) == (404, [])
    if arrives:
        assert ask(proxy[1], "PUT", b"data")[0] == 200
    else:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            ask(proxy[1], "PUT", b"data")
    assert (ended, stored(server)) == ([End.AGENT_KILLED], b"data" if arrives else None)
