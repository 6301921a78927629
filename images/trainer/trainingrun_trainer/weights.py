"""Where the model's variables start: which of the pretrained weights the API may load, and which the graph does load.

Invariant: what is reported is read from the finished graph, not concluded from what was asked for.
"""

import re
from collections import Counter
from typing import Any, Callable, Dict, List

import tensorflow as tf
from object_detection import model_lib

from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import ProgressWriter

# Layers with outputs for each class. The first stage of Faster R-CNN knows no classes, only objects.
_CLASS_LAYERS = re.compile(
    r"((BoxPredictor_\d+|WeightSharedConvolutionalBoxPredictor)/ClassPredictor|SecondStageBoxPredictor)/"
)
# Parts of a network in the words of the report; the first pattern that is found in a variable's name decides.
_PARTS = (
    ("class heads", "ClassPredictor/"),
    ("class heads", "/class_predictions/"),  # R-FCN
    ("box heads", "BoxEncodingPredictor/"),
    ("box heads", "ConvolutionalBoxPredictor/BoxPredictor/"),  # with a feature pyramid
    ("box heads", "/refined_locations/"),  # R-FCN
    ("feature extractor", "FeatureExtractor/"),
)


def model_fn_creator(scope: str) -> Callable[..., Any]:
    """How model_lib makes the model, for a pretrainedScope of spec.json that the API itself does not know."""
    return _create_without_classes if scope == "allButClasses" else model_lib.create_model_fn


def _create_without_classes(detection_model_fn: Callable[..., Any], *arguments: Any) -> Any:
    def build(*model_arguments: Any, **options: Any) -> Any:
        model = detection_model_fn(*model_arguments, **options)
        whole_map = model.restore_map
        model.restore_map = lambda **how: {
            name: variable for name, variable in whole_map(**how).items() if not _CLASS_LAYERS.match(name)
        }
        return model

    return model_lib.create_model_fn(build, *arguments)


class StartHook(tf.train.SessionRunHook):
    """Reports how many variables start from the pretrained weights; raises when weights are given and none does.

    With `everything`, it raises unless all of them do.
    """

    def __init__(self, progress: ProgressWriter, *, pretrained: bool, everything: bool = False) -> None:
        self._progress, self._pretrained, self._everything = progress, pretrained, everything

    def begin(self) -> None:
        """Count the model's variables in the finished graph, without the step and what the optimizer remembers."""
        variables = tf.model_variables()
        anew = [variable for variable in variables if not _is_loaded(variable)]
        loaded = len(variables) - len(anew)
        if self._pretrained and not loaded:
            raise TrainerError(
                "userError",
                "PretrainedMismatch",
                f"The weights of model.pretrained fit none of the {len(variables)} variables of the network.",
            )
        restored: Dict[str, Any] = {"loaded": loaded, "total": len(variables)}
        if anew:
            restored["startsAnew"] = _in_words(anew, variables)
        if anew and self._everything:
            raise TrainerError(
                "userError",
                "PretrainedMismatch",
                f"model.pretrained.scope is all, but the weights have only {loaded} of {len(variables)} variables; "
                f"missing, or of another shape: {restored['startsAnew']}.",
            )
        self._progress.advance(restored=restored)
        print(f"pretrained: {loaded} of {len(variables)} variables", flush=True)


def _is_loaded(variable: Any) -> bool:
    """Whether the variable's first value is read from a checkpoint: tf.train.init_from_checkpoint replaces it."""
    return bool(variable.initial_value.op.type == "RestoreV2")


def _in_words(anew: List[Any], variables: List[Any]) -> str:
    """The parts of the network that start anew, such as `class heads (4 variables)`."""
    totals, counts = Counter(map(_part, variables)), Counter(map(_part, anew))
    return ", ".join(f"{part} ({_share(counts[part], totals[part])} variables)" for part in counts)


def _share(number: int, total: int) -> str:
    return str(number) if number == total else f"{number} of {total}"


def _part(variable: Any) -> str:
    name = variable.op.name
    return next((part for part, pattern in _PARTS if pattern in name), "other layers")
