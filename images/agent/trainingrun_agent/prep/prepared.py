"""A data set that is prepared, as its manifest describes it: what the verdict says of it, and what training needs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from trainingrun_agent.prep.model.findings import UNKNOWN_FINDING, Finding
from trainingrun_agent.prep.store.archived import ARCHIVED
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder
from trainingrun_agent.terms import Terms

TOP_FINDINGS, TOP_FINDING_TEXT = 5, 200
_OF_THE_MANIFEST = ("classes", "maxBoxesPerImage", "intensityRange", ARCHIVED)
"""Facts of the manifest that the verdict does not repeat."""


@dataclass(frozen=True)
class PreparedDataset:
    """`manifest_key` is absolute in the bucket; `numbers` as in verdict.schema.json, $defs.prep.

    `data_digest` is that of images, labels and their settings, whatever version prepares them. `train_bytes` are
    those of all train records.
    """

    digest: str
    data_digest: str
    reused: bool
    manifest_key: str
    numbers: dict[str, Any]
    max_boxes_per_image: int
    train_images: int
    eval_images: int
    train_bytes: int

    @property
    def record_bytes(self) -> int:
        """The mean size of a train record."""
        return self.train_bytes // max(1, self.train_images)


def prepared(
    folder: DatasetFolder,
    dataset: Mapping[str, Any],
    terms: Terms,
    *,
    data_digest: str,
    reused: bool,
    train_bytes: int,
) -> PreparedDataset:
    """The data set in this folder, which its manifest describes."""
    numbers = {name: value for name, value in dataset.items() if name not in _OF_THE_MANIFEST}
    numbers["topFindings"] = top_findings(dataset, terms)
    return PreparedDataset(
        digest=folder.digest,
        data_digest=data_digest,
        reused=reused,
        manifest_key=folder.manifest_key,
        numbers={**numbers, "digest": folder.digest, "reused": reused},
        max_boxes_per_image=dataset["maxBoxesPerImage"],
        train_images=dataset["trainImages"],
        eval_images=dataset["evalImages"],
        train_bytes=train_bytes,
    )


def top_findings(dataset: Mapping[str, Any], terms: Terms) -> list[str]:
    """The first findings, as the verdict shows them, from what a manifest says about the data set."""
    texts = []
    for document in dataset.get("topFindings", ()):
        with suppress(*UNKNOWN_FINDING):  # of another version: the report is in the bucket all the same
            finding = Finding.from_json(document)
            texts.append(f"{finding.split}: {finding.line(terms)}"[:TOP_FINDING_TEXT])
    return texts
