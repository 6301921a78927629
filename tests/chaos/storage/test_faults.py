"""Whole runs at a server that fails by a seed: they succeed, and what they leave is whole.

`make chaos-storage` lives through more seeds than these.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trchaosstorage.faulty_life import live
from trservers import catalogue
from trservers.server import Server

pytestmark = pytest.mark.contract
SEEDS = (2, 102)
"""Together they have every way in which a pod is ended, and every fault but long outages, which take long."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with catalogue.running(catalogue.MOTO, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_survives_the_faults_of_a_seed(server: Server, seed: int) -> None:
    result = live(seed, server)
    assert result.violations == [], f"again: make chaos-storage SEED={seed} SERVER=moto"
    assert sum(result.injected.values()) >= 5
