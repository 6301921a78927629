"""A name that does not exist: the name that is meant, if one is like it."""

from __future__ import annotations

import time

import pytest

from trainingrun.domain.near_misses import did_you_mean
from trfakes.builders import a_run
from trfakes.play import Play


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("tier", ["tire", "bolt"], "tire"),
        ("tire", ["tires", "tire-2"], "tires"),
        ("trainingrun-S3", ["trainingrun-s3"], "trainingrun-s3"),
        ("tire", ["tire", "tires"], ""),
        ("tire", ["photos", "wheel"], ""),
        ("tire", [], ""),
    ],
)
def test_the_name_most_alike_is_meant(name: str, known: list[str], meant: str) -> None:
    assert did_you_mean(name, known) == meant


def test_asking_stays_cheap_whoever_chose_the_names() -> None:
    known = [f"a{number:058d}z" for number in range(20_000)]
    begun = time.process_time()
    did_you_mean("a" * 60, known)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(("other", "named"), [("base", True), ("other", False)])
def test_a_wait_for_a_run_that_does_not_exist_names_the_one_that_may_be_meant(other: str, *, named: bool) -> None:
    play = Play(a_run().spec(model={"pretrained": {"run": "bsae"}}))
    play.others = {f"default/{other}": a_run(other).build()}
    play.step()
    what = (
        f"there is no TrainingRun 'bsae'{' (did you mean ' + repr(other) + '?)' if named else ''} in namespace default"
    )
    assert what in play.condition("Accepted")["message"]
