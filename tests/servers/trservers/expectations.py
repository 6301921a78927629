"""A plugin of pytest: run the tests with mark `s3` against one server, and expect exactly what it is known to lack.

Invariant: a test that the table of lacks names must fail, and with that failure; it counts as passed then. A server
that has learned what it lacked fails its test, so that the table, and docs/servers.md with it, stays true. Only a
lack that depends on chance may not show.
"""

from __future__ import annotations

import re
from collections.abc import Generator

import pytest

from trservers import catalogue
from trservers.lacks import LACKS, Lack


def pytest_addoption(parser: pytest.Parser) -> None:
    """The server to run against."""
    parser.addoption("--s3-server", choices=catalogue.ALL, default=catalogue.MOTO)


def lack_of(server: str, test: str) -> Lack | None:
    """What makes a test (`file.py::test[case]`) fail with a server; None if it must pass."""
    found = [lack for lack in LACKS[server] if lack.expects(test)]
    assert len(found) <= 1, f"{test} is expected to fail for {len(found)} reasons"
    return found[0] if found else None


def name_of(item: pytest.Item) -> str:
    """`file.py::test[case]`."""
    return f"{item.path.name}::{item.name}"


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Turn an expected failure into a success, and a success that was not expected into a failure."""
    server: str = pyfuncitem.config.getoption("--s3-server")
    lack = lack_of(server, name_of(pyfuncitem))
    if lack is None:
        return (yield)
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        if re.search(lack.failure, f"{type(error).__name__}: {error}"):
            return True
        raise
    if not lack.always:
        return True
    pytest.fail(f"{server} has what lacks.py says it lacks ({lack.what}): change it there and in docs/servers.md")
