"""Reads the pipeline.config of a run and sets the paths of this pod in it."""

import glob
from typing import Any, Dict, List, Tuple

from google.protobuf import text_format
from object_detection.protos import pipeline_pb2

from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import SharedFolder


def load(folder: SharedFolder, spec: Dict[str, Any]) -> Any:
    """Read pipeline.config (a TrainEvalPipelineConfig) and set records, label map, steps and weights from spec.json."""
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


def _input_readers(config: Any, spec: Dict[str, Any]) -> List[Tuple[Any, List[str]]]:
    """The input readers of the configuration, each with its records."""
    if not config.eval_input_reader:
        config.eval_input_reader.add()
    return [(config.train_input_reader, spec["trainRecords"])] + [
        (reader, spec["evalRecords"]) for reader in config.eval_input_reader
    ]
