"""Totals of images."""

from __future__ import annotations

from trainingrun_agent.prep.image.check import Checked
from trainingrun_agent.prep.model.annotation import LabelledObject
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.prep.statistics.totals import Totals


def test_two_processes_write_the_samples_in_the_same_order() -> None:
    names = [f"class {number}" for number in range(30)]  # a set of strings has another order in each process
    boxes = tuple(LabelledObject(index, name, 0, 0, 50, 50) for index, name in enumerate([*names, names[0]]))
    totals = Totals(NetworkInput.for_network("ssd_inception_v2"))
    totals.add(Checked("a.jpg", None, (), tuple(names), boxes, (100, 100), usable=True), too_small=0)
    assert list(totals.samples) == names
