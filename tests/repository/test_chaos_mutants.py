"""Every mutant of the schedules fits the operator of today; `make chaos-mutants` executes them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from trchaos.hunt import copy_with_patch
from trchaos.mutant_table import FOLDERS, MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.patch for mutant in MUTANTS])
def test_a_mutant_applies_to_a_copy_of_the_operator(mutant: Mutant, tmp_path: Path) -> None:
    copy = copy_with_patch(mutant.path, to=tmp_path)
    changed = [file for file in copy.rglob("*.py") if file.read_bytes() != _original(file, copy=copy).read_bytes()]
    assert changed, "the patch changes nothing in the operator's package"
    for file in changed:
        compile(file.read_text(encoding="utf-8"), str(file), "exec")


def test_each_defect_and_each_patch_is_listed_once() -> None:
    for names in ([mutant.patch for mutant in MUTANTS], [mutant.defect for mutant in MUTANTS]):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_patch_of_the_schedules_is_in_the_table() -> None:
    assert {path.stem for path in FOLDERS[-1].glob("*.patch")} <= {mutant.patch for mutant in MUTANTS}


def _original(file: Path, *, copy: Path) -> Path:
    from trchaos.hunt import OPERATOR

    return OPERATOR / file.relative_to(copy)
