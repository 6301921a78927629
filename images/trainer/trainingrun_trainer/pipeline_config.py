"""The pipeline.config of a run with the paths of this pod set in it."""

import glob

from google.protobuf import text_format
from object_detection.protos import pipeline_pb2

from trainingrun_trainer.outcomes import TrainerError


def load(folder, spec):
    # type: (object, dict) -> pipeline_pb2.TrainEvalPipelineConfig
    """Read pipeline.config and set records, label map, steps and pretrained weights from spec.json."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    try:
        with open(folder.path(spec["pipelineConfig"])) as handle:
            text_format.Merge(handle.read(), config)
    except text_format.ParseError as error:
        raise TrainerError("userError", "ConfigRefused", "pipeline.config: {}".format(error))
    labels = folder.path(spec["labelMap"])
    for reader, records in _readers(config, spec):
        reader.label_map_path = labels
        del reader.tf_record_input_reader.input_path[:]
        reader.tf_record_input_reader.input_path.extend(folder.path(record) for record in records)
    config.train_config.num_steps = spec["steps"]
    config.train_config.ClearField("fine_tune_checkpoint")
    if spec.get("pretrained"):
        prefix = folder.path(spec["pretrained"])
        if not glob.glob(glob.escape(prefix) + ".index"):
            raise TrainerError("userError", "PretrainedUnusable", "No checkpoint {}".format(spec["pretrained"]))
        config.train_config.fine_tune_checkpoint = prefix
    return config


def _readers(config, spec):
    # type: (pipeline_pb2.TrainEvalPipelineConfig, dict) -> list
    if not config.eval_input_reader:
        config.eval_input_reader.add()
    return [(config.train_input_reader, spec["trainRecords"])] + [
        (reader, spec["evalRecords"]) for reader in config.eval_input_reader
    ]
