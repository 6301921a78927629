"""Write docs/reasons.md from the tables of reasons of operator and agent, and for each what it needs of the other's.

Invariant: everything comes from the two tables; `--check` changes nothing, and fails when a file is out of date. The
agent carries the operator's table as data, and the operator the names in the agent's, because they share no code.
"""
# ruff: noqa: INP001 - a program, not part of a package

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from trainingrun.api import reasons as of_operator
from trainingrun.api.reason import Group
from trainingrun_agent import reasons as of_agent
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

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "reasons.md"
TABLE: Final = ROOT / "images" / "agent" / "trainingrun_agent" / of_agent.OPERATOR_TABLE
MODULE: Final = ROOT / "operator" / "trainingrun" / "api" / "agent_reasons.py"
NAMES: Final = '''"""Names of the agent's reasons: others, which a pod can make up, are not used as labels of metrics.

Generated from images/agent/trainingrun_agent/reasons by manifests/reasons.py: change it there.
"""

from __future__ import annotations

from typing import Final

NAMES: Final = frozenset(
    {{
{listed}    }}
)
'''
SUCCEEDED: Final = "succeeded"
UNNAMED: Final = of_operator.UNKNOWN.name
STEPS: Final = {
    "retry": "Change something, then retry",
    "newRun": "New run",
    "platform": "Platform team, then retry",
    "wait": "Wait",
}
INTRODUCTION: Final = """\
# Reasons

<!-- Generated from operator/trainingrun/api/*reasons.py and images/agent/trainingrun_agent/reasons by
     manifests/reasons.py: change it there. -->

What each `reason` of a condition or Event of a TrainingRun means, and the next step. The same text for one reason:
`trainingrun explain OOMKilled`. How to read reason and message:
[user guide](user-guide.md#11-reasons-and-next-steps).

| step | what helps | what the message of a failed run ends with |
|---|---|---|
| Change something, then retry | something outside of the run: an object, a bucket, a Secret, a right | the command that raises `spec.retry` |
| New run | a new TrainingRun with another value of the field: `spec` is fixed once created | the commands that create it |
| Platform team, then retry | the operator's settings, an image, a node or the storage server need a change | the same as of a retry |
| Wait | nothing, or the cause to go away: the run goes on by itself | once all attempts are used up: the same as of a retry |

`<name>` stands for what the message fills in. Steps about files and folders are for the commands `trainingrun doctor` and
`trainingrun convert`, which have reasons in common with runs. Outcomes are classes of failures: how often each is tried again is in
[architecture](architecture.md#failures).
"""  # noqa: E501 - a table

Entry = Mapping[str, Any]


def render() -> str:
    """The page as Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


def export() -> str:
    """The operator's table as the agent carries it."""
    return json.dumps(_operator(), indent=1, ensure_ascii=False) + "\n"


def names() -> str:
    """The names of the agent's reasons, for the operator."""
    listed = "".join(f'        "{name}",\n' for name in sorted(of_agent.cases()))
    return NAMES.format(listed=listed)


def _operator(*groups: Group) -> list[Entry]:
    wanted = {str(group) for group in groups or Group}
    return [entry for entry in of_operator.export() if entry["outcome"] in wanted and entry["name"] != UNNAMED]


def _agent(*tables: object, succeeded: bool = False) -> list[Entry]:
    names = {entry.name for table in tables for entry in _reasons_in(vars(table).values())}
    return [
        entry for entry in of_agent.export() if entry["name"] in names and (entry["outcome"] == SUCCEEDED) is succeeded
    ]


def _reasons_in(values: Any) -> Iterator[of_agent.Reason]:
    for value in values:
        if isinstance(value, of_agent.Reason):
            yield value
        elif isinstance(value, dict):
            yield from _reasons_in(value.values())


def _sections() -> Iterator[tuple[str, str, Sequence[Entry]]]:
    yield "Not accepted", "The condition `Accepted`, or an Event.", _operator(Group.REFUSED)
    about = "The condition of the stage, while its pod does not start. The run goes on once the cause is gone."
    yield "Waiting for a pod", about, _operator(Group.WAITING)
    yield "Storage", "The conditions `StorageReady` and of the stage.", _agent(storage, access, storage_answers)
    yield "Data", "The condition `Prepared`.", _agent(dataset)
    yield "Configuration of the network", "The condition `Prepared`.", _agent(configuration)
    yield "Weights to start from", "The conditions `Prepared` and `Trained`.", _agent(weights)
    yield "A run to continue", "The conditions `Prepared` and `Trained`.", _agent(resume)
    yield "What to export", "The conditions `Prepared` and `Exported`.", _agent(exporting)
    about = (
        "The condition of the stage. After an end from outside the next attempt follows by itself, without end while "
        "checkpoints advance. When the run fails all the same, find out what keeps ending the pods, then retry."
    )
    yield "Pods and nodes", about, [*_operator(Group.ENDED), *_agent(pods)]
    listed = {
        entry["name"]
        for entry in _agent(storage, access, storage_answers, dataset, configuration, weights, resume, exporting, pods)
    }
    alone = [entry for entry in _agent(trainer) if entry["name"] not in listed]
    yield "Training and export", "The conditions `Trained` and `Exported`.", alone
    ours = _operator(Group.PROGRESS)
    known = {entry["name"] for entry in ours}
    theirs = [entry for entry in _agent(storage, pods, succeeded=True) if entry["name"] not in known]
    yield "On the way", "Nothing is wrong.", [*ours, *theirs]


def _lines() -> Iterator[str]:
    yield INTRODUCTION
    sections = [(title, about, sorted(entries, key=_name)) for title, about, entries in _sections()]
    yield from ("| about | reasons |", "|---|---|")
    anchors = _anchors(entry["name"] for _, _, entries in sections for entry in entries)
    for title, _, entries in sections:
        links = " ".join(f"[`{entry['name']}`](#{next(anchors)})" for entry in entries)
        yield f"| {title} | {links} |"
    yield ""
    for title, about, entries in sections:
        yield from (f"## {title}", "", about, "")
        for entry in entries:
            yield from _section(entry)


def _anchors(names: Iterable[str]) -> Iterator[str]:
    """The anchors of headings in their order; a name in both tables has two headings."""
    seen: Counter[str] = Counter()
    for name in names:
        yield f"{name.lower()}-{seen[name]}" if seen[name] else name.lower()
        seen[name] += 1


def _name(entry: Entry) -> str:
    return str(entry["name"])


def _section(entry: Entry) -> Iterator[str]:
    failed = entry["raisedBy"] != "operator" and entry["outcome"] != SUCCEEDED
    outcome = f" Outcome `{entry['outcome']}`." if failed else ""
    yield from (f"### {entry['name']}", "", f"{entry['meaning']}{outcome}", "")
    steps = dict.fromkeys(_step(case) for case in (entry, *entry["cases"]))
    for step in steps:
        if step:
            yield from (step, "")


def _step(case: Entry) -> str:
    """Kind and words of a next step; empty where there is nothing to do."""
    if not case["kind"] or not case["hint"]:
        return ""
    fields = ", ".join(f"`spec.{field.replace('stage.', '<stage>.')}`" for field in case["fields"])
    label = "Field" if len(case["fields"]) == 1 else "Fields"
    hint = case["hint"].replace("<", "&lt;")
    return f"**{STEPS[case['kind']]}.** {hint}" + (f" {label}: {fields}." if fields else "")


if __name__ == "__main__":
    from generated import write_or_check

    sys.exit(write_or_check({PAGE: render(), TABLE: export(), MODULE: names()}, doc=__doc__))
