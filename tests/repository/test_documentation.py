"""The documentation agrees with the code: links, examples, and tables that repeat what the code decides."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from trainingrun.api import reasons as operator_reasons
from trainingrun.domain.judge import ROWS, Row
from trainingrun.domain.verdicts import POLICIES, Outcome
from trainingrun.engine import metrics as _metrics  # noqa: F401 - registers them
from trainingrun_agent import reasons
from trainingrun_agent.prep.source.readers import FORMATS
from trainingrun_agent.prep.split.eval_fraction import group_key
from trfakes.schema import contract, crd_part, errors

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(
        ROOT / name / "README.md"
        for name in ("images", "images/contracts", "charts/trainingrun-operator", "tests/cluster")
    ),
]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
NOT_WORDS = re.compile(r"[^\w\- ]")


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """Anchors that GitHub makes from the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    counts = Counter(NOT_WORDS.sub("", title.lower()).replace(" ", "-") for title in titles)
    return {f"{name}-{number}" if number else name for name, count in counts.items() for number in range(count)}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(page.read_text()):
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(f"{target}#{anchor}")
    assert broken == []


FILE = re.compile(r"(?<![\w./-])(?:[\w.-]+/)*[\w-]+\.(?:py|go|sh|toml|tpl|md)(?![\w-])")
FOLDER = re.compile(r"`((?:operator|images|tests|docs|manifests|charts|prep)/[\w./-]*)`")
PLACES = ("", "operator/trainingrun/", "images/agent/trainingrun_agent/", "tests/")
ELSEWHERE = {
    "NAME.py",
    "model_main.py",
    "grid_anchor_generator.py",
    "env.sh",
    "helm.sh",
    "karpenter.sh",
    "images/0001.jpg",
    "images/0002.jpg",
}
"""Names to fill in, files that the demo writes or other projects have, and files of users."""


def names_of_files(text: str) -> set[str]:
    return {name for name in (*FILE.findall(text), *FOLDER.findall(text)) if not name.endswith(tuple(ELSEWHERE))}


def exists(name: str, tracked: list[str]) -> bool:
    """A path from the root or a usual place; a bare name of a file may be anywhere."""
    return any((ROOT / place / name).exists() for place in PLACES) or any(path.endswith(f"/{name}") for path in tracked)


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """All files of the repository."""
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.*") if not path.is_relative_to(ROOT / ".git")]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_files_that_a_page_names_exist(page: Path, tracked: list[str]) -> None:
    assert [name for name in sorted(names_of_files(page.read_text())) if not exists(name, tracked)] == []


def test_files_that_comments_name_exist(tracked: list[str]) -> None:
    """Paths with a folder in docstrings and comments; those in tests are mostly of users' files."""
    wrong = []
    for folder in ("operator", "images", "manifests", "charts"):
        for path in (ROOT / folder).rglob("*.py"):
            named = [name for name in FILE.findall(path.read_text()) if not name.endswith(tuple(ELSEWHERE))]
            wrong += [f"{path.name}: {name}" for name in named if not exists(name, tracked)]
    assert wrong == []


def test_example_objects_are_valid() -> None:
    examples: list[Any] = []
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            document = yaml.safe_load(block)
            examples += [document] if isinstance(document, dict) and document.get("kind") == "TrainingRun" else []
    assert len(examples) >= 2
    assert [errors(crd_part("spec"), example["spec"]) for example in examples] == [[]] * len(examples)


def rows(page: str, first_cell: str) -> dict[str, list[str]]:
    """Table rows whose first cell is such a name in backticks."""
    found = re.findall(rf"^\| `({first_cell})` \|(.*)\|$", (ROOT / page).read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in found}


TIMES = {"no": 0, "once": 1, **{f"{count} times": count for count in range(2, 10)}}


def test_the_table_of_failures_is_the_one_that_is_acted_on() -> None:
    table = rows("docs/architecture.md", "[a-zA-Z]+")
    assert set(table) == {str(outcome) for outcome in Outcome} - {"succeeded"}
    for name, (again, back_off, _) in table.items():
        policy = POLICIES[Outcome(name)]
        assert TIMES[re.split("[,;]", again)[0]] == policy.retries, name
        assert back_off.startswith("yes") == policy.back_off, name


def row_of_documentation(row: Row) -> str:
    """A row of the table of facts that overrule a verdict."""
    named = [f"`{outcome}`" for outcome in (Outcome.INTERRUPTED, Outcome.CRASH) if outcome in row.overrules]
    named += ["none"] if None in row.overrules else []
    overrules = ", ".join(named) if len(row.overrules) == len(named) else "all but `succeeded`"
    reasons = ", ".join(f"`{entry.name}`" for entry in row.reasons) or "the agent's"
    return f"| {row.fact} | {overrules} | `{row.outcome}` | {reasons} |"


def test_the_table_of_facts_that_overrule_a_verdict_is_the_one_that_is_acted_on() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    found = re.search(r"^\| fact \| verdicts that it overrules \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found is not None
    assert found[1].splitlines() == [row_of_documentation(row) for row in ROWS]


def test_the_table_of_permissions_is_the_role() -> None:
    role = yaml.safe_load((ROOT / "manifests/rbac/cluster-role.yaml").read_text())
    text = (ROOT / "docs/operations.md").read_text()
    table: dict[str, str] = {}
    for resources, verbs in re.findall(r"^\| ((?:`[a-z/]+`(?:, )?)+) \| ([a-z, ]+) \|", text, re.MULTILINE):
        table |= dict.fromkeys(re.findall("`([a-z/]+)`", resources), verbs)
    wanted = {resource: ", ".join(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    assert table == wanted


def test_every_metric_is_documented() -> None:
    ours = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in REGISTRY.collect()
        if family.name.startswith("trainingrun_")
    }
    assert set(rows("docs/operations.md", "trainingrun_[a-z_]+")) == ours


PURE = ("tests/operator/domain/", "tests/operator/builders/", "tests/operator/api/")


def tables_of_tests(text: str) -> list[list[list[str]]]:
    """Tables whose last column is the test of the row; each with its head."""
    found = []
    for block in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.strip().splitlines()]
        if rows[0][-1].strip() == "test":
            found.append(rows)
    return found


def test_every_attack_in_the_tables_is_carried_out_by_its_test() -> None:
    """By a test of the whole operator, of a stage, or of a real API server: not of a function that decides."""
    tables = tables_of_tests((ROOT / "docs/operations.md").read_text())
    assert sum(map(len, tables)) > 30
    wrong = []
    for head, _, *rows in tables:
        for row in rows:
            named = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", row[-1])
            complete = len(row) == len(head) and all(row)
            if not complete or named is None or named[1].startswith(PURE):
                wrong.append(" | ".join(row))
            elif f"def {named[2]}(" not in (ROOT / named[1]).read_text():
                wrong.append(row[-1])
    assert wrong == []


def test_every_reason_is_documented() -> None:
    ours = {entry.name for found in operator_reasons.TABLE.values() for entry in found} - {
        operator_reasons.UNKNOWN.name
    }
    names = ours | set(reasons.cases())
    text = (ROOT / "docs/reasons.md").read_text()
    assert len(names) > 100
    assert set(re.findall(r"^### ([A-Za-z0-9]+)$", text, re.MULTILINE)) == names


def test_reasons_in_the_pages_exist() -> None:
    """A reason in a command's output or in a sentence is one of a table."""
    known = set(operator_reasons.TABLE) | set(reasons.cases())
    shown = re.findall(
        r"waiting \(([A-Za-z]+)\)|(?:Preparing|Training|Exporting): ([A-Z][a-z]+[A-Z]\w+)",
        "".join(page.read_text() for page in PAGES),
    )
    assert {name for pair in shown for name in pair if name} <= known


def test_the_table_of_label_formats_is_what_is_read_and_offered() -> None:
    table = rows("docs/user-guide.md", "[a-zA-Z]+")
    schema: Any = crd_part("spec").schema
    dataset = schema["properties"]["dataset"]["properties"]
    resolved: Any = contract("resolved").schema
    for split in ("train", "eval"):
        assert dataset[split]["properties"]["format"]["enum"] == ["auto", *FORMATS]
    assert resolved["$defs"]["source"]["properties"]["format"]["enum"] == ["auto", *FORMATS]
    assert set(FORMATS) <= set(table)


def test_the_table_of_sequences_is_what_is_done() -> None:
    text = (ROOT / "docs/user-guide.md").read_text()
    table = re.findall(r"^\| ((?:`[^`]+\.jpg` )+)\| (together|each by itself)\b", text, re.MULTILINE)
    assert len(table) > 12
    for cell, expected in table:
        names = re.findall("`([^`]+)`", cell)
        groups = {group_key(name, "sequence") for name in names}
        assert len(groups) == (1 if expected == "together" else len(names)), cell
