"""Every mutant fits the code of today and names tests that exist; `make mutants` runs them."""

from __future__ import annotations

import ast

import pytest

from trimages.paths import REPOSITORY
from trrunner.mutants import Mutant, check_applies, mutants

MUTANTS = mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.path.stem for mutant in MUTANTS])
def test_a_mutant_applies(mutant: Mutant) -> None:
    check_applies(mutant)


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.path.stem for mutant in MUTANTS])
def test_its_tests_exist(mutant: Mutant) -> None:
    for test in mutant.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert not name or name.rpartition("::")[2].partition("[")[0] in defined, test
