"""Every mutant of the schedules fits the operator of today; `make chaos-mutants` executes them."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from trchaos.hunt import OPERATOR, Today, copy_with_patch, hunt
from trchaos.mutant_table import FOLDERS, MUTANTS, Mutant
from trcluster.command import CommandError, run
from trimages.paths import REPOSITORY


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.patch for mutant in MUTANTS])
def test_a_mutant_applies_to_the_operator(mutant: Mutant) -> None:
    run(["git", "apply", "--check", mutant.path], timeout=60, cwd=REPOSITORY)
    assert "\n+++ b/operator/trainingrun/" in mutant.path.read_text(encoding="utf-8")


def test_each_defect_and_each_patch_is_listed_once() -> None:
    for names in ([mutant.patch for mutant in MUTANTS], [mutant.defect for mutant in MUTANTS]):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_patch_of_the_schedules_is_in_the_table() -> None:
    assert {path.stem for path in FOLDERS[-1].glob("*.patch")} <= {mutant.patch for mutant in MUTANTS}


def test_a_patch_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    patch = tmp_path / "old.patch"
    patch.write_text("--- a/operator/trainingrun/logs.py\n+++ b/operator/trainingrun/logs.py\n@@ -1 +1 @@\n-was\n+is\n")
    with pytest.raises(CommandError, match="patch does not apply"):
        copy_with_patch(patch, to=tmp_path)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    copy = tmp_path / "operator"
    shutil.copytree(OPERATOR, copy)
    return copy


def test_an_operator_that_does_nothing_is_caught(copied: Path) -> None:
    queue = copied / "trainingrun/engine/workqueue.py"
    queue.write_text(queue.read_text(encoding="utf-8").replace("await handle(key)", "pass"), encoding="utf-8")
    caught = hunt(copied, seeds=1, today=Today())
    assert caught is not None
    assert caught.seed == 0


def test_an_error_that_changes_nothing_is_caught(copied: Path) -> None:
    """What an operator catches and logs is a violation also where its other words are not wanted."""
    file = copied / "trainingrun/engine/reconciler.py"
    ok = 'metrics.RECONCILES.labels("ok").inc()'
    text = file.read_text(encoding="utf-8")
    assert ok in text
    file.write_text(text.replace(ok, 'log.error("odd")'), encoding="utf-8")
    caught = hunt(copied, seeds=1, today=Today())
    assert caught is not None
    assert caught.rule == "no unexpected error"


def test_the_operator_of_today_is_not_caught(copied: Path) -> None:
    assert hunt(copied, seeds=1, today=Today()) is None


def test_an_operator_that_cannot_be_executed_is_an_error_and_not_caught(copied: Path) -> None:
    (copied / "trainingrun/engine/operator.py").write_text("raise ValueError('broken')\n", encoding="utf-8")
    with pytest.raises(CommandError, match="ValueError: broken"):
        hunt(copied, seeds=1, today=Today())
