"""A bucket with 100,000 keys over HTTP: the cost of listing it, and that only needed objects are read."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from endless_s3 import serve
from prep_in_memory import Preparation
from trainingrun_agent.config import AgentConfig, SplitRule
from trainingrun_agent.errors import UserError
from trainingrun_agent.storage.s3 import open_store

pytestmark = pytest.mark.contract
KEYS = 100_000


def test_a_page_of_a_thousand_keys_costs_one_request(tmp_path: Path, make_config: Callable[..., AgentConfig]) -> None:
    prep = Preparation(tmp_path, eval=None, split=SplitRule(Decimal("0.1"), 0, "image"))
    prep.set_format("pascalVOC")
    with serve("train/", KEYS) as bucket:
        prep.store = open_store(make_config(endpoint=bucket.endpoint), "detectors")
        with pytest.raises(
            UserError, match=r"spec.dataset.train: none of its \d+ images can be used.*WithoutAnnotation"
        ):
            prep.run()
    assert bucket.requests["LIST"] == KEYS / 1000 + 2  # for the folder above, and for the marks of damaged objects
    assert bucket.requests.total() < KEYS / 1000 + 50
