"""Reads the pipeline.config of a run and sets the paths of this pod in it."""

import glob
from typing import Any, Dict, List, Tuple

from google.protobuf import text_format
from object_detection.protos import pipeline_pb2

from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import SharedFolder

_RATES = {
    "learning_rate",
    "initial_learning_rate",
    "burnin_learning_rate",
    "min_learning_rate",
    "learning_rate_base",
    "warmup_learning_rate",
}
"""Numbers in the messages of optimizer.proto."""


def load(folder: SharedFolder, spec: Dict[str, Any]) -> Any:
    """Read pipeline.config (a TrainEvalPipelineConfig) and set what spec.json decides."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    try:
        with open(folder.path(spec["pipelineConfig"])) as handle:
            text_format.Merge(handle.read(), config)
    except text_format.ParseError as error:
        raise TrainerError(
            "userError",
            "ConfigRefused",
            f"pipeline.config cannot be parsed: {error}",
        )
    label_map = folder.path(spec["labelMap"])
    for reader, records in _input_readers(config, spec):
        reader.label_map_path = label_map
        del reader.tf_record_input_reader.input_path[:]
        reader.tf_record_input_reader.input_path.extend(folder.path(record) for record in records)
    config.train_config.num_steps = spec["steps"]
    _change_training(config, spec)
    config.train_config.ClearField("fine_tune_checkpoint")
    if spec.get("pretrained"):
        prefix = folder.path(spec["pretrained"])
        if not glob.glob(glob.escape(prefix) + ".index"):
            raise TrainerError(
                "userError",
                "PretrainedUnusable",
                f"The pretrained weights hold no checkpoint {spec['pretrained']}.",
            )
        config.train_config.fine_tune_checkpoint = prefix
        if spec.get("pretrainedScope"):  # agents before this one leave it as pipeline.config has it
            config.train_config.load_all_detection_checkpoint_vars = spec["pretrainedScope"] != "featureExtractor"
    return config


def _change_training(config: Any, spec: Dict[str, Any]) -> None:
    """Set the batch size and the rate with which a training goes on that failed, and one reader for a fixed order."""
    if spec.get("batchSize"):
        config.train_config.batch_size = spec["batchSize"]
    factor = spec.get("learningRateFactor", 1.0)
    if factor != 1.0:
        _scale_rates(config.train_config.optimizer, factor)
    if spec.get("seed") is not None:
        config.train_input_reader.num_readers = 1  # of several, the first that has read an image comes first


def _scale_rates(message: Any, factor: float) -> None:
    """Multiply every learning rate of an optimizer, those that have their default value too."""
    for field in message.DESCRIPTOR.fields:
        if field.name in _RATES and field.message_type is None:
            setattr(message, field.name, getattr(message, field.name) * factor)
        elif field.message_type is not None and field.label == field.LABEL_REPEATED:
            for each in getattr(message, field.name):
                _scale_rates(each, factor)
        elif field.message_type is not None and message.HasField(field.name):
            _scale_rates(getattr(message, field.name), factor)


def _input_readers(config: Any, spec: Dict[str, Any]) -> List[Tuple[Any, List[str]]]:
    """The input readers of the configuration, each with its records."""
    if not config.eval_input_reader:
        config.eval_input_reader.add()
    return [(config.train_input_reader, spec["trainRecords"])] + [
        (reader, spec["evalRecords"]) for reader in config.eval_input_reader
    ]
