"""The table of reasons: every way in which a stage, or a command, can end badly or well.

Invariant: what is raised is an entry here, never a name as text; a name has one outcome and one meaning. The operator's
reasons are in a table of its own; `find` knows them too where the package carries that table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from trainingrun_agent.reasons import (
    access,
    configuration,
    dataset,
    exporting,
    pods,
    resume,
    storage,
    storage_answers,
    trainer,
    weights,
)
from trainingrun_agent.reasons.entry import Outcome, Reason, Step
from trainingrun_agent.terms import TRAININGRUN, Terms

__all__ = ["OPERATOR_TABLE", "Outcome", "Reason", "Step", "cases", "export", "find", "meanings", "of_trainer"]

TABLES = (storage, storage_answers, access, dataset, configuration, weights, resume, exporting, pods, trainer)
OPERATOR_TABLE = "operator_reasons.json"
"""The operator's table, written into this package by a generator; a list of objects as `export` makes them."""


@cache
def cases() -> Mapping[str, tuple[Reason, ...]]:
    """All entries by name; the first of a name is the reason itself, the others are cases of it."""
    found: dict[str, list[Reason]] = {}
    for table in TABLES:
        for entry in _entries(vars(table)):
            known = found.setdefault(entry.name, [])
            if entry not in known:
                known.append(entry)
    return {name: tuple(entries) for name, entries in found.items() if name != trainer.UNKNOWN.name}


def export(terms: Terms = TRAININGRUN) -> list[dict[str, Any]]:
    """The whole table as plain data, by name; `cases` are the other messages of a reason and their next steps."""
    return [_export(name, terms) for name in sorted(cases())]


def find(name: str, terms: Terms = TRAININGRUN) -> list[dict[str, Any]]:
    """The reasons of this name in the agent's and in the operator's table, as plain data; its case does not matter."""
    wanted = name.casefold()
    ours = [_export(known, terms) for known in cases() if known.casefold() == wanted]
    return ours + [entry for entry in _of_operator() if str(entry["name"]).casefold() == wanted]


def meanings() -> dict[str, str]:
    """What each reason means, by name: those of the agent and the trainer, then those of the operator alone."""
    entries = [*export(), *_of_operator()]
    return {str(entry["name"]): str(entry["meaning"]) for entry in reversed(entries)}


def of_trainer(name: str, outcome: Outcome) -> Reason:
    """The entry for a reason in done.json, with the outcome there; one that is not in the table keeps its name."""
    known = next((entry for entry in _entries(vars(trainer)) if entry.name == name and _by_trainer(entry)), None)
    entry = known or replace(trainer.UNKNOWN, name=name, outcome=outcome)
    if entry.outcome is outcome and known:
        return entry
    return replace(entry, outcome=outcome, step=Step.WAIT if outcome is Outcome.INTERRUPTED else entry.step)


def _by_trainer(entry: Reason) -> bool:
    return entry.message == trainer.MESSAGE


def _entries(names: Mapping[str, object]) -> Iterator[Reason]:
    for value in names.values():
        if isinstance(value, Reason):
            yield value
        elif isinstance(value, dict):
            yield from (entry for entry in value.values() if isinstance(entry, Reason))


def _export(name: str, terms: Terms) -> dict[str, Any]:
    first, *others = cases()[name]
    return first.to_json(terms) | {"cases": [_case(entry, terms) for entry in others]}


def _case(entry: Reason, terms: Terms) -> dict[str, Any]:
    document = entry.to_json(terms)
    return {name: document[name] for name in ("message", "kind", "fields", "hint")}


@cache
def _of_operator() -> tuple[dict[str, Any], ...]:
    file = resources.files("trainingrun_agent").joinpath(OPERATOR_TABLE)
    return tuple(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else ()
