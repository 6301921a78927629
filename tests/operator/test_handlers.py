"""Settings of kopf that the operator depends on."""

from __future__ import annotations

import itertools
import logging

import kopf

from trainingrun.handlers import configure
from trainingrun.logs import AGAIN_SECONDS, Seldom


def test_kopf_never_gives_up_a_watch() -> None:
    """It would stop the watches of all namespaces when one of them answers 403."""
    settings = kopf.OperatorSettings()
    configure(settings)
    waits = settings.networking.error_backoffs
    assert not isinstance(waits, float | int)
    for _ in range(2):  # each request begins anew
        first = list(itertools.islice(waits, 1000))
        assert len(first) == 1000
        assert max(first) == first[-1] <= 30


def record(text: str, *, name: str = "kopf._cogs.clients.watching") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, text, None, None)


def test_a_request_that_kopf_repeats_without_end_is_logged_once_in_a_while() -> None:
    now = [0.0]
    seldom = Seldom(clock=lambda: now[0])
    text = "Request attempt #{} failed; will retry: GET /apis/x?watch=true&resourceVersion={}{} -> 403"
    assert seldom.filter(record(text.format(1, 100, "")))
    assert not seldom.filter(record(text.format(2, 101, "")))
    assert seldom.filter(record(text.format(2, 101, "&other")))
    now[0] = AGAIN_SECONDS
    assert seldom.filter(record(text.format(99, 102, "")))
    assert all(seldom.filter(record("the same", name="trainingrun.engine.place")) for _ in range(3))
