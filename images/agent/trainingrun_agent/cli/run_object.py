"""From the check to the object: the `dataset` of a TrainingRun that trains on the data, and the whole object.

Invariant: what is written has the fields of manifests/crd. What nobody has said is the placeholder BUCKET, which the
API server refuses, so that it cannot be forgotten.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainingrun_agent.cli.evaluation import choose_rule
from trainingrun_agent.cli.folders import Folders
from trainingrun_agent.cli.options import DEFAULT_BAD_FILES, DEFAULT_SIDE
from trainingrun_agent.cli.server import endpoint_of, region_of
from trainingrun_agent.cli.uris import Uris
from trainingrun_agent.config import Source, SplitRule
from trainingrun_agent.prep.model.codes.whole import LABELS_ELSEWHERE
from trainingrun_agent.prep.report.dataset_yaml import PLACEHOLDER, dataset_lines
from trainingrun_agent.prep.split.dataset_split import DatasetSplit
from trainingrun_agent.yaml_text import block

API_VERSION, KIND = "trainingrun.dev/v1alpha1", "TrainingRun"
MAX_NAME = 40
_HEAD = "# Written by `trainingrun doctor`. Every field is explained in docs/reference.md."
_FILL_ENDPOINT = "# endpoint: https://s3.example.com:9000  # unless the bucket is at AWS"


@dataclass
class RunObject:
    """Makes the object from the arguments of the command, and from what preparation found.

    `levels` is how many folders above the images their labels were found.
    """

    arguments: Namespace
    data: Folders
    levels: int = 0

    def dataset(
        self, classes: Sequence[str], rule: SplitRule | None, splits: Sequence[DatasetSplit], boxes: Sequence[Path]
    ) -> dict[str, Any] | None:
        """`spec.dataset`; None if the images cannot be divided for training and evaluation.

        `rule` is the one that has divided them, if any, and `boxes` are the files of boxes by split.
        """
        self.levels = _levels(splits)
        uris = Uris(self.arguments, self.data, self.levels)
        formats = {split.name: split.source.format for split in splits}
        made: dict[str, Any] = {"train": _source(uris, self.data.train, formats["train"])}
        if self.data.eval is not None:
            made["eval"] = _source(uris, self.data.eval, formats["eval"])
        else:
            rule = rule or choose_rule(boxes[0], classes)
            if rule is None:
                return None
            made |= _division(rule)
        return made | {"classes": list(classes)} | self._limits()

    def lines(self, dataset: Mapping[str, Any]) -> Iterator[str]:
        """The whole object as YAML."""
        arguments = self.arguments
        endpoint, region = endpoint_of(arguments), region_of(arguments)
        storage: dict[str, Any] = {} if endpoint is None else {"endpoint": endpoint}
        if region is not None:
            storage["region"] = region
        storage["bucket"] = Uris(arguments, self.data).bucket
        if arguments.addressing is not None:
            storage["addressing"] = arguments.addressing
        storage["credentials"] = {"secretName": arguments.secret}
        yield _HEAD
        yield from block({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self._name()}})
        yield "spec:"
        yield "  storage:"
        if endpoint is None:
            yield f"    {_FILL_ENDPOINT}"
        yield from block(storage, "    ")
        yield from dataset_lines(dataset, "  ")
        yield from block({"model": {"network": arguments.network}, "train": {"steps": arguments.steps}}, "  ")

    def to_fill_in(self) -> Iterator[str]:
        """What a person has to look at before the object is applied."""
        uris = Uris(self.arguments, self.data, self.levels)
        if uris.bucket == PLACEHOLDER:
            yield f"write the name of your bucket in place of {PLACEHOLDER}, or give --bucket"
        if not self.data.in_bucket:
            for folder, place in uris.uploads():
                yield f"upload {folder} to {place}, if it is not there yet"
            if self.levels and not uris.together:
                yield "upload the labels that LabelsElsewhere names to their place beside it"
        if endpoint_of(self.arguments) is None:
            yield "set spec.storage.endpoint, or give --endpoint, unless the bucket is at AWS"
        secret = self.arguments.secret
        yield f"Secret {secret} has to be in the namespace of the run, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

    def _limits(self) -> dict[str, Any]:
        """Limits of the check that are no defaults of a TrainingRun; it allows more bad files than the check."""
        bad, side = self.arguments.max_bad_files, self.arguments.max_image_side
        intensities = self.arguments.intensity_range
        limits: dict[str, Any] = {} if bad == DEFAULT_BAD_FILES else {"maxBadFiles": bad}
        if side != DEFAULT_SIDE:
            limits["maxImageSide"] = side
        return limits if intensities is None else {**limits, "intensityRange": list(intensities)}

    def _name(self) -> str:
        """A name for the run: --name, else that of the folder, as Kubernetes allows it."""
        if self.arguments.name:
            return str(self.arguments.name)
        uris = Uris(self.arguments, self.data, self.levels)
        uri = str(self.arguments.folder) if self.data.in_bucket else uris.uploads()[0][1]
        return run_name(uri.rstrip("/").rpartition("/")[2])


def _source(uris: Uris, source: Source, format_: str) -> dict[str, Any]:
    made: dict[str, Any] = {"uri": uris.of(source), "format": format_}
    if source.labels is not None:
        made["labels"] = {"uri": uris.of(source.labels)}
    return made if source.image_set is None else {**made, "imageSet": source.image_set}


def _levels(splits: Sequence[DatasetSplit]) -> int:
    """How many levels above the images the folder is that has their labels, too."""
    found = [one.file.count("../") for split in splits for one in split.findings if one.kind is LABELS_ELSEWHERE]
    return max(found, default=0)


def run_name(text: str) -> str:
    """A text as the name of a TrainingRun."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    name = name if name[:1].isalpha() else f"run-{name}"
    return name[:MAX_NAME].rstrip("-")


def _division(rule: SplitRule) -> dict[str, Any]:
    made: dict[str, Any] = {"evalFraction": str(rule.fraction)}
    if rule.seed:
        made["splitSeed"] = rule.seed
    return made if rule.group_by == "sequence" else {**made, "splitGroup": rule.group_by}
