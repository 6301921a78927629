"""The pipeline.config that a run is trained with: the network's default, or the user's own, with what the spec asks.

Invariant: whoever wrote the rest, the fields of `owned` have the run's values, and the Object Detection API can build
the result; else UserError names the field of the spec that is at fault. Without any wish, it is the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import augmentation, changes, fields, own_config, owned, protos, typed_fields, usable
from trainingrun_agent.pipeline.build import rate_of
from trainingrun_agent.pipeline.changes import Change
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.reasons.configuration import (
    AUGMENTATION_REFUSED,
    CONFIG_OF_NO_NETWORK,
    FOCAL_LOSS_UNFIT,
    INPUT_SIZE_UNFIT,
    MODEL_CONFIG_MISMATCH,
    MODEL_CONFIG_UNUSABLE,
    OVERRIDE_OF_OTHER_FAMILY,
    OVERRIDE_OF_OWN_FIELD,
    OVERRIDE_REFUSED,
)
from trainingrun_agent.terms import Change as Suggestion
from trainingrun_agent.terms import Field
from trainingrun_agent.training_settings import Model, Train


@dataclass(frozen=True)
class OwnConfig:
    """The text of a user's pipeline.config, and where it is."""

    text: str
    place: object


@dataclass(frozen=True)
class Wishes:
    """What a run asks for; `classes` are those of the data set, `config` is what spec.model.config names."""

    model: Model
    train: Train
    classes: Sequence[str]
    config: OwnConfig | None = None


@dataclass(frozen=True)
class Pipeline:
    """The effective configuration, how it differs from the network's default, and what its reader should know.

    `replaced` are fields of a user's own configuration that have the run's values instead. `input_size` is the shorter
    side of the input in pixels, None if images are not scaled to one size.
    """

    text: str
    changes: tuple[Change, ...]
    replaced: tuple[Change, ...]
    notes: tuple[str, ...]
    input_size: int | None


def effective(default: str, wishes: Wishes) -> Pipeline:
    """Apply the wishes to the network's default configuration. Raises UserError."""
    base = _parsed(default)
    own = None if wishes.config is None else _own(wishes.config, wishes.model.network, base)
    work = _Work(_parsed(default) if own is None else _copy(own), base, wishes)
    work.apply()
    text = protos.to_text(work.pipeline)
    before, after = changes.leaves(base), changes.leaves(work.pipeline)
    replaced = () if own is None else _replaced(changes.leaves(own), after)
    return Pipeline(
        text=text,
        changes=tuple(changes.between(before, after, work.by)),
        replaced=tuple(replaced),
        notes=tuple(work.notes),
        input_size=typed_fields.input_size(work.pipeline),
    )


def _replaced(own: changes.Leaves, after: changes.Leaves) -> list[Change]:
    """The fields that the user wrote, and that have the run's values."""
    owners = {path: owned.owner(path) for path in own.fields}
    return [one for one in changes.between(own, after, owners) if one.by]


@dataclass
class _Work:
    """A configuration while it is changed; `by` has the field of the spec for each path that was changed."""

    pipeline: Any
    base: Any
    wishes: Wishes
    by: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def apply(self) -> None:
        """Change the configuration as the spec asks, overrides last."""
        wishes = self.wishes
        if wishes.config is not None:
            self._mark("model.config", changes.leaves(self.base))
            owned.take(self.pipeline, self.base)
        self._model(wishes.model)
        if wishes.config is not None:
            self._pad(wishes.train)
        self._training(wishes.train)
        faults = list(usable.problems(self.pipeline))
        with self._by("model.overrides"):
            self._overrides()
        self._check(faults)
        self._note()

    @contextmanager
    def _by(self, name: str) -> Iterator[None]:
        before = changes.leaves(self.pipeline)
        yield
        self._mark(name, before)

    def _mark(self, name: str, before: changes.Leaves) -> None:
        self.by.update(dict.fromkeys(changes.differing(before, changes.leaves(self.pipeline)), name))

    def _pad(self, train: Train) -> None:
        """The samples of the API are for batches of one image; without padding, larger ones end training."""
        with self._by("train.batchSize"):
            if typed_fields.pad_batches(self.pipeline):
                self.notes.append(f"images are padded to one size, because train.batchSize is {train.batch_size}")

    def _model(self, model: Model) -> None:
        if model.input_size is not None:
            with self._by("model.inputSize"):
                typed_fields.set_input_size(self.pipeline, model.input_size)
        if model.max_detections is not None:
            with self._by("model.maxDetections"):
                typed_fields.set_max_detections(self.pipeline, model.max_detections)

    def _training(self, train: Train) -> None:
        self._augment(train)
        if train.optimizer or (self.wishes.config is not None and not train.learning_rate_of_config):
            with self._by("train.optimizer" if train.optimizer else "train.learningRate"):
                rate = rate_of(train.learning_rate)
                typed_fields.set_optimizer(self.pipeline, train.optimizer, rate=rate, steps=train.steps)
        if train.focal_loss is not None:
            if not typed_fields.is_ssd(self.pipeline):
                network = self.wishes.model.network
                raise UserError(FOCAL_LOSS_UNFIT, network=network)
            with self._by("train.focalLoss"):
                typed_fields.set_focal_loss(self.pipeline, train.focal_loss)

    def _augment(self, train: Train) -> None:
        training = self.pipeline.train_config
        if train.augmentation is not None:
            with self._by("train.augmentation"):
                try:
                    augmentation.set_steps(training, train.augmentation)
                except augmentation.StepError as error:
                    raise UserError(AUGMENTATION_REFUSED, problem=error) from error
        elif self.wishes.config is None:
            with self._by("dataset.classes"):
                self.notes += augmentation.leave_out_flips(training, self.wishes.classes)

    def _overrides(self) -> None:
        overrides = self.wishes.model.overrides
        try:
            for path in sorted(overrides, key=fields.in_order):
                self._refuse_own(path)
                fields.set_text(self.pipeline, path, overrides[path])
        except fields.FieldError as error:
            raise UserError(OVERRIDE_REFUSED, problem=error) from error

    def _refuse_own(self, path: str) -> None:
        names = [segment.name for segment in fields.parse(path)]
        family = self.pipeline.model.WhichOneof("model")
        if names[0] == "model" and len(names) > 1 and names[1] != family and names[1] in _FAMILIES:
            network = self.wishes.model.network
            raise UserError(OVERRIDE_OF_OTHER_FAMILY, path=path, network=network, family=f"model.{family}")
        owner = owned.owner(path)
        if owner:
            raise UserError(OVERRIDE_OF_OWN_FIELD, path=path, owner=Field(owner), suggestion=Suggestion(owner))
        inner = owned.held(path)
        if inner:
            problem = f"{path} holds {inner}, which the run sets itself; name the fields of {path} to change one by one"
            raise UserError(OVERRIDE_REFUSED, problem=problem)

    def _check(self, faults: Sequence[str]) -> None:
        network = self.wishes.model.network
        others = _networks_of(own_config.kind_of(self.pipeline))
        if others and network not in others:
            problem = f"they make the network {' or '.join(others)} of {network}: set model.network to it instead"
            raise UserError(OVERRIDE_REFUSED, problem=problem)
        fault = next(usable.problems(self.pipeline), None)
        if fault is None:
            return
        if fault not in faults:
            raise UserError(OVERRIDE_REFUSED, problem=fault)
        if self.wishes.config is not None:
            place = self.wishes.config.place
            raise UserError(MODEL_CONFIG_UNUSABLE, place=place, problem=f"cannot be trained with: {fault}")
        raise UserError(INPUT_SIZE_UNFIT, problem=fault)

    def _note(self) -> None:
        train = self.wishes.train
        if train.augmentation is not None or self.wishes.config is not None:
            self.notes += augmentation.flips(self.pipeline.train_config, self.wishes.classes)
        if typed_fields.max_detections(self.pipeline) > typed_fields.COCO_MAX_DETECTIONS:
            self.notes.append("the scores count the 100 best detections of an image, as COCO's do")
        horizon = typed_fields.horizon(self.pipeline)
        if horizon is not None and horizon != train.steps:
            self.notes.append(f"the learning rate is planned for {horizon} steps, and train.steps is {train.steps}")


_FAMILIES = ("ssd", "faster_rcnn")
_MAX_QUOTE = 60


def _own(config: OwnConfig, network: str, base: Any) -> Any:
    """The user's configuration, which must be of the network."""
    try:
        pipeline = own_config.read(config.text)
    except own_config.ConfigError as error:
        raise UserError(MODEL_CONFIG_UNUSABLE, place=config.place, problem=error) from error
    kind = own_config.kind_of(pipeline)
    if kind == own_config.kind_of(base):
        return pipeline
    fitting = _networks_of(kind)
    if not fitting:
        theirs = f"a network with the feature extractor {kind.extractor[:_MAX_QUOTE]!r}, which is none of those here"
        raise UserError(CONFIG_OF_NO_NETWORK, place=config.place, theirs=theirs, network=network)
    raise UserError(
        MODEL_CONFIG_MISMATCH,
        place=config.place,
        theirs=f"the network {' or '.join(fitting)}",
        network=network,
        change=Suggestion("model.network", now=network, to=fitting[0]),
    )


def _networks_of(kind: own_config.Kind) -> list[str]:
    return [name for name, known in NETWORKS.items() if own_config.is_of(kind, known)]


def _parsed(text: str) -> Any:
    pipeline = protos.new_pipeline()
    protos.merge(pipeline, text)
    return pipeline


def _copy(message: Any) -> Any:
    made = protos.new_pipeline()
    made.CopyFrom(message)
    return made
