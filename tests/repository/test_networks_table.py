"""The table of networks in the user guide has the networks, sizes, batches, rates and memory of the code."""

from __future__ import annotations

import re

import pytest

from trainingrun.builders.memory import NETWORKS as MEMORY
from trainingrun.domain.networks import NETWORKS as DEFAULTS
from trainingrun_agent.pipeline.networks import NETWORKS
from trimages.paths import REPOSITORY

ROW = re.compile(
    r"\| `(\w[\w.]*)`(?: \(default\))? \| (\d+)(?: to 1024)? \| (\d+), ([\d.]+) \| (\d+) MB \| [^|]+ \| [^|]+ \|"
)
ROWS = {row[0]: row[1:] for row in ROW.findall((REPOSITORY / "docs" / "user-guide.md").read_text())}


def test_every_network_has_a_row() -> None:
    assert list(ROWS) == list(NETWORKS)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_row_has_the_numbers_of_the_code(network: str) -> None:
    size, batch, rate, memory = ROWS[network]
    assert int(size) == NETWORKS[network].input_size == MEMORY[network].input_size
    assert (int(batch), rate) == (DEFAULTS[network].batch_size, DEFAULTS[network].learning_rate)
    assert int(memory) == MEMORY[network].per_image


@pytest.mark.parametrize("network", NETWORKS)
def test_the_operator_knows_when_batch_norm_is_trained(network: str) -> None:
    known = NETWORKS[network]
    expected = known.batch_norm_steps if known.family == "faster_rcnn" else 0
    assert DEFAULTS[network].batch_norm_steps == expected


@pytest.mark.parametrize("network", NETWORKS)
def test_the_time_to_build_the_graph_is_known(network: str) -> None:
    assert DEFAULTS[network].build_seconds > 0
