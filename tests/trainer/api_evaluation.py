"""Evaluate checkpoints with Estimator.evaluate and with Evaluator; run by the trainer's interpreter with a FOLDER.

FOLDER is a shared folder with spec.json and two checkpoints or more. `compared.json` gets, for each of the two
programs, the metrics of the newest two, the newest evaluated twice, and the summaries that they wrote; and how many
graphs are in the event files of our training and of our evaluations.
"""

import json
import shutil
import sys
import threading
from pathlib import Path

import tensorflow as tf
from google.protobuf import text_format
from object_detection import model_hparams, model_lib

from trainingrun_trainer import pipeline_config
from trainingrun_trainer.building import Building
from trainingrun_trainer.evaluation import Evaluator
from trainingrun_trainer.shared_folder import ProgressWriter, SharedFolder

EMPTY_GRAPH_BYTES = 10000


def main(root: str) -> None:
    """Write compared.json."""
    folder = SharedFolder(root)
    spec = folder.read("spec.json")
    path = folder.path("pipeline.stock.config")
    Path(path).write_text(text_format.MessageToString(pipeline_config.load(folder, spec)))
    made = model_lib.create_estimator_and_inputs(
        run_config=tf.estimator.RunConfig(model_dir=folder.path(spec["modelDir"])),
        hparams=model_hparams.create_hparams(None),
        pipeline_config_path=path,
        train_steps=spec["steps"],
        sample_1_of_n_eval_examples=1,
    )
    estimator, evaluated = made["estimator"], made["eval_input_fns"][0]
    state = tf.train.get_checkpoint_state(estimator.model_dir)
    older, newest = state.all_model_checkpoint_paths[-2:]
    order = [newest, older, newest]
    model = Path(estimator.model_dir)
    events = model / "eval_0"
    shutil.rmtree(events, ignore_errors=True)

    found = {"stock": [estimator.evaluate(evaluated, checkpoint_path=one, name="0") for one in order]}
    tf.summary.FileWriterCache.clear()
    found["stock events"] = read_events(events)
    shutil.rmtree(events)

    progress = ProgressWriter(folder)
    evaluator = Evaluator(
        estimator, evaluated, progress, threading.Event(), images=spec["evalImages"], building=Building(progress)
    )
    found["ours"] = [evaluator.evaluate(one, step=0) for one in order]
    evaluator.close()
    found["our events"] = read_events(events)
    found["graphs"] = {path.name: count_graphs(path) for path in (model, events)}
    Path(folder.path("compared.json")).write_text(json.dumps(found, default=plain))


def read_events(folder: Path) -> list:
    """Step, tag and value of all summaries; pictures and texts as hexadecimal digits."""
    found = []
    for path in sorted(folder.glob("events.*")):
        for event in tf.train.summary_iterator(str(path)):
            for value in event.summary.value:
                kind = value.WhichOneof("value")
                content = (
                    value.simple_value if kind == "simple_value" else getattr(value, kind).SerializeToString().hex()
                )
                found.append([event.step, value.tag, kind, content])
    return found


def count_graphs(folder: Path) -> int:
    """The number of graphs in event files, without empty ones; TensorFlow writes some as part of a MetaGraphDef."""
    events = (event for path in folder.glob("events.*") for event in tf.train.summary_iterator(str(path)))
    return sum(len(event.graph_def) + len(event.meta_graph_def) > EMPTY_GRAPH_BYTES for event in events)


def plain(value: object) -> object:
    """JSON for numbers of numpy and for pictures."""
    return value.hex() if isinstance(value, bytes) else float(value)


if __name__ == "__main__":
    tf.logging.set_verbosity(tf.logging.ERROR)
    main(sys.argv[1])
