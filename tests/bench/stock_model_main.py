"""What model_main of the Object Detection API does, in the trainer's interpreter: `stock_model_main.py FOLDER SPEC`.

This is `main` of object_detection/model_main.py, except for what its flags cannot express: when to save and evaluate,
and no SavedModel at the end, which our driver leaves to the export stage. pipeline.config holds the paths, as a user
would write them.
"""

import json
import sys
from pathlib import Path

import tensorflow as tf
from google.protobuf import text_format
from object_detection import model_hparams, model_lib

from trainingrun_trainer import pipeline_config
from trainingrun_trainer.shared_folder import SharedFolder


def main(root: str, spec: dict) -> None:
    """Train and evaluate."""
    folder = SharedFolder(root)
    path = folder.path("pipeline.local.config")
    Path(path).write_text(text_format.MessageToString(pipeline_config.load(folder, spec)))
    config = tf.estimator.RunConfig(
        model_dir=folder.path(spec["modelDir"]), save_checkpoints_steps=spec["saveEverySteps"]
    )
    made = model_lib.create_estimator_and_inputs(
        run_config=config,
        hparams=model_hparams.create_hparams(None),
        pipeline_config_path=path,
        train_steps=spec["steps"],
        sample_1_of_n_eval_examples=1,
    )
    training = tf.estimator.TrainSpec(input_fn=made["train_input_fn"], max_steps=made["train_steps"])
    evaluation = tf.estimator.EvalSpec(
        name="0", input_fn=made["eval_input_fns"][0], steps=None, start_delay_secs=0, throttle_secs=0
    )
    tf.estimator.train_and_evaluate(made["estimator"], training, evaluation)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
