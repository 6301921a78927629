"""The `dataset` of a TrainingRun that trains on this data, to be copied.

Invariant: what is shown is valid YAML, whatever the names of folders and classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainingrun_agent.prep.report.dataset_yaml import PLACEHOLDER, dataset_lines
from trainingrun_agent.prep.report.page.markup import Html, join, tag


def dataset_section(dataset: Mapping[str, Any]) -> Html:
    """The block of YAML; one click selects all of it."""
    text = "\n".join(dataset_lines(dataset))
    uris = [source["uri"] for name in ("train", "eval") if (source := dataset.get(name))]
    note = "It goes into the spec of a TrainingRun. A click selects all of it."
    if any(uri.startswith(f"s3://{PLACEHOLDER}/") for uri in uris):
        note += f" Upload the folder, and write the name of your bucket in place of {PLACEHOLDER}."
    return join((tag("p", note), tag("pre", tag("code", text), class_="copy", tabindex=0)))
