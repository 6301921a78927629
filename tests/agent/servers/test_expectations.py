"""Every expected failure is one of a test that exists: else the table of lacks would say what nothing has shown."""

from __future__ import annotations

import pytest

from trservers.expectations import name_of
from trservers.lacks import LACKS

pytestmark = pytest.mark.s3


def test_every_expected_failure_names_a_test(request: pytest.FixtureRequest) -> None:
    server = request.config.getoption("--s3-server")
    names = [name_of(item) for item in request.session.items]
    unknown = [name for lack in LACKS[server] for name in lack.tests if not _matches(name, names)]
    assert unknown == []


def _matches(expected: str, names: list[str]) -> bool:
    return any(name == expected or (expected.endswith("*") and name.startswith(expected[:-1])) for name in names)
