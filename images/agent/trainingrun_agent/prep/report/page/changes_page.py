"""pipeline-changes.html: how the pipeline.config of a run differs from the default of its network, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainingrun_agent.prep.report.page.markup import Html, counted, join, name_of, table, tag
from trainingrun_agent.prep.report.page.page import whole_page


def render(document: Mapping[str, Any]) -> str:
    """The page of a pipeline-changes.json, as text to be stored in UTF-8."""
    changes, replaced, notes = document["changes"], document["replaced"], document["notes"]
    title = f"Configuration of {document['network']}"
    parts = [
        tag("h1", title),
        tag("p", _heading(len(changes)), class_="verdict"),
    ]
    if notes:
        parts += [tag("h2", "Good to know"), tag("ul", *(tag("li", note) for note in notes))]
    if changes:
        parts += [
            tag("h2", "Differences"),
            _table(changes, "default", "here", "Differences from the network's default"),
        ]
    if replaced:
        parts += [
            tag("h2", "Set by the run"),
            tag("p", "These fields of your own configuration have other values, which the run sets itself."),
            _table(replaced, "yours", "here", "Fields that the run sets itself"),
        ]
    return whole_page(title, tag("main", join(parts)))


def _heading(changed: int) -> str:
    return f"{counted(changed, 'field')} of pipeline.config {'differs' if changed == 1 else 'differ'} from the default"


def _table(rows: Sequence[Mapping[str, str]], before: str, after: str, caption: str) -> Html:
    return table(
        ("field", before, after, "from"),
        [(name_of(row["path"]), row["default"], row["here"], f"spec.{row['by']}") for row in rows],
        caption=caption,
        quiet=True,
    )
