"""Fields of pipeline.config that a run sets itself, each with the field of the spec to use instead.

Invariant: in the configuration that training gets, these fields have the run's values, whoever wrote the rest.
"""

from __future__ import annotations

from typing import Any, Final

from trainingrun_agent.pipeline import fields

# Paths below the message of the network's family begin with `model.*`.
OWNED: Final = {
    "model.*.num_classes": "dataset.classes",
    "model.*.feature_extractor.type": "model.network",
    "train_input_reader": "dataset.train",
    "eval_input_reader": "dataset.eval",
    "train_config.batch_size": "train.batchSize",
    "train_config.num_steps": "train.steps",
    "train_config.max_number_of_boxes": "dataset.train",
    "train_config.fine_tune_checkpoint": "model.pretrained",
    "train_config.fine_tune_checkpoint_type": "model.pretrained",
    "train_config.from_detection_checkpoint": "model.pretrained",
    "train_config.load_all_detection_checkpoint_vars": "model.pretrained",
    "train_config.keep_checkpoint_every_n_hours": "train.keepCheckpoints",
    "eval_config.batch_size": "dataset.eval",
    "eval_config.metrics_set": "train.metric",
    "eval_config.num_examples": "dataset.eval",
    "eval_config.max_evals": "train.evalEverySteps",
    "eval_config.eval_interval_secs": "train.evalEverySteps",
    "eval_config.export_path": "export",
    "eval_config.visualization_export_dir": "export",
    "eval_config.save_graph": "export",
    "eval_config.eval_master": "export",
}


def owner(path: str) -> str:
    """The field of the spec that sets this field of pipeline.config; empty if any value may be given to it.

    A message that holds such a field has an owner too: giving it another value would clear the field.
    """
    names = [segment.name for segment in fields.parse(path)]
    if names[0] == "model" and len(names) > 1:
        names[1] = "*"
    wanted = ".".join(names)
    for known, field in OWNED.items():
        if f"{wanted}.".startswith(f"{known}."):
            return field
    return ""


def held(path: str) -> str:
    """A field that a run sets itself and that is below this path; empty if there is none."""
    names = [segment.name for segment in fields.parse(path)]
    if names[0] == "model" and len(names) > 1:
        family, names[1] = names[1], "*"
    else:
        family = "*"
    inside = [known for known in OWNED if known.startswith(f"{'.'.join(names)}.")]
    return inside[0].replace("*", family) if inside else ""


def take(pipeline: Any, default: Any) -> None:
    """Set the fields that a run sets itself to their values in `default`, a configuration of the same family."""
    for known in OWNED:
        names = known.replace("*", default.model.WhichOneof("model")).split(".")
        source, target = default, pipeline
        for name in names[:-1]:
            source, target = getattr(source, name), getattr(target, name)
        _copy(source, target, names[-1])


def _copy(source: Any, target: Any, name: str) -> None:
    field = source.DESCRIPTOR.fields_by_name[name]
    target.ClearField(name)
    if field.label == field.LABEL_REPEATED:
        getattr(target, name).MergeFrom(getattr(source, name))
    elif field.message_type is not None:
        getattr(target, name).CopyFrom(getattr(source, name))
    elif source.HasField(name):
        setattr(target, name, getattr(source, name))
