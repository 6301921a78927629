"""The nouns of messages on the command line: options, folders and this machine.

Invariant: no message that is filled with these terms speaks of spec, pods or a new TrainingRun.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from trainingrun_agent.terms import Terms, is_list

_OPTIONS = {
    "dataset.train": "the folder",
    "dataset.train.uri": "the folder",
    "dataset.train.labels": "--labels",
    "dataset.train.labels.uri": "--labels",
    "dataset.train.imageSet": "--image-set",
    "dataset.train.format": "--format",
    "dataset.eval": "--eval",
    "dataset.eval.uri": "--eval",
    "dataset.eval.labels": "--eval-labels",
    "dataset.eval.labels.uri": "--eval-labels",
    "dataset.eval.imageSet": "--eval-image-set",
    "dataset.eval.format": "--format",
    "dataset.evalFraction": "--eval-fraction",
    "dataset.splitSeed": "--split-seed",
    "dataset.splitGroup": "--split-group",
    "dataset.classes": "--classes",
    "dataset.maxBadFiles": "--max-bad-files",
    "dataset.maxImageSide": "--max-image-side",
    "dataset.intensityRange": "--intensity-range",
    "model.network": "--network",
    "storage.bucket": "--bucket",
    "storage.prefix": "--prefix",
    "storage.endpoint": "--endpoint",
    "storage.region": "--region",
    "storage.addressing": "--addressing",
    "storage.proxy": "HTTPS_PROXY (HTTP_PROXY for http)",
}
_CHANGES = {
    "dataset.train.uri": "name another folder",
    "dataset.eval.uri": "name another folder with --eval",
    "dataset.train.labels.uri": "name their folder with --labels",
    "dataset.eval.labels.uri": "name their folder with --eval-labels",
    "storage.proxy": "set HTTPS_PROXY to another proxy, or NO_PROXY to the host",
    "storage.caBundle": "set AWS_CA_BUNDLE to a file with its certificates",
    "stage.scratch": "free some space, or set TMPDIR to a folder on another disk",
}


@dataclass(frozen=True)
class CommandLineTerms(Terms):
    """Names of options in place of fields; `unset` are the fields whose options were not given."""

    fields: Mapping[str, str] = field(default_factory=lambda: _OPTIONS)
    changes: Mapping[str, str] = field(default_factory=lambda: _CHANGES)
    set: str = "use"
    retry: str = "run the command again"
    new_run: str = "run the command again"
    here: str = "this machine"
    credentials: str = "your AWS credentials"
    unset: Collection[str] = ()

    def change_of(self, path: str, *, now: object = None, to: object = None, how: str = "another") -> str:
        """How the reader gives an option another value, or a value at all."""
        if path in self.unset and to is None and how == "another":
            return f"{self.set} {self.name(path)}"
        return super().change_of(path, now=now, to=to, how=how)

    def assigned(self, path: str, value: object) -> str:
        """An option with its value, as it is typed."""
        return f"{self.name(path)} {shlex.quote(self.value(value))}"

    def value(self, value: object) -> str:
        """A value as it is typed for an option."""
        return ",".join(map(str, value)) if is_list(value) else str(value)


COMMAND_LINE = CommandLineTerms()


def for_folders(train: str, evaluation: str | None, *, in_bucket: bool = False, unset: Collection[str] = ()) -> Terms:
    """The terms for data in these folders: their names stand for dataset.train and dataset.eval."""
    names = dict.fromkeys(("dataset.train", "dataset.train.uri"), train)
    if evaluation is not None:
        names |= dict.fromkeys(("dataset.eval", "dataset.eval.uri"), evaluation)
    return replace(COMMAND_LINE, fields={**_OPTIONS, **names}, scheme="s3://" if in_bucket else "", unset=unset)
