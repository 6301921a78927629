"""README.md of an export: what the model takes and gives, and code that uses it.

Invariant: the code runs as it is written, from the folder of the export, with TensorFlow 1.14 and with TensorFlow 2.
"""

import sys
from typing import Any, Dict, Optional, Sequence

_PHOTO = 'np.asarray(ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB"))'
_START = f"""\
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

CLASSES = {{classes}}
photo = {_PHOTO}
"""
_FROZEN_GRAPH = """\
graph = tf.compat.v1.GraphDef.FromString(open("frozen_inference_graph.pb", "rb").read())
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf.compat.v1.import_graph_def(graph, name="")
    outputs = ["detection_boxes:0", "detection_scores:0", "detection_classes:0"]
    boxes, scores, classes = session.run(outputs, {"image_tensor:0": photo[None]})
for box, score, number in zip(boxes[0], scores[0], classes[0]):
"""
_SAVED_MODEL = """\
tf.compat.v1.enable_eager_execution()  # TensorFlow 1 needs it
detect = tf.compat.v2.saved_model.load("saved_model/1").signatures["serving_default"]
found = detect(inputs=tf.constant(photo[None]))
outputs = ("detection_boxes", "detection_scores", "detection_classes")
for box, score, number in zip(*(found[name][0].numpy() for name in outputs)):
"""
_SHOW = """\
    if score >= {threshold}:
        print(CLASSES[int(number)], round(float(score), 3), [round(float(side), 3) for side in box])
"""
_PAGE = """\
# Detector

Detects {count} in photos. Exported from the checkpoint of step {step}{reason}.

## Classes

{table}

## Input

One name, two formats of the same network:

| file | input | outputs |
|---|---|---|
| `frozen_inference_graph.pb` | tensor `image_tensor:0` | tensors \
`detection_boxes:0`, `detection_scores:0`, `detection_classes:0`, `num_detections:0` |
| `saved_model/1` | `inputs` of the signature `serving_default` | the same names, without `:0` |

- Type and layout: `uint8`, `[images, height, width, 3]`, RGB from 0 to 255. \
Any size: the network scales images itself, and all images of one call have the same size.
- Turn photos upright first, as the code does: cameras store the orientation beside the pixels, \
and labels were made upright.
- {intensities}

## Output

For each image, ordered by score, the best first:

- `detection_boxes`: `[ymin, xmin, ymax, xmax]`, each from 0 to 1 of the image's height or width
- `detection_scores`: 0 to 1
- `detection_classes`: the numbers above, as floats
- `num_detections`: how many of the entries are detections; the rest is filled with zeros

**Suggested least score: {threshold}.** There, F1 is highest over the {images} evaluated images and all \
classes together: {precision:.0%} of the detections are right (IoU of at least 0.5 with a labelled box of their \
class), and {recall:.0%} of the labelled boxes are found. Choose a higher score for fewer wrong \
detections, a lower one to miss less.

## Use the frozen graph

```python
{frozen_graph}```

## Use the SavedModel

```python
{saved_model}```

Both need the packages `tensorflow` (1.14 or later, also 2.x), `numpy` and `pillow`. \
Keras cannot load the SavedModel (`load_model`); use the code above.

## Files

| file | content |
|---|---|
| `metrics.json` | scores; `about` in it explains each number |
| `pictures/` | evaluated photos with labels in green, detections with a score of at least 0.5 in orange |
| `checkpoint/` | weights, to train on from |
| `label_map.pbtxt`, `pipeline.config` | classes and configuration |

Made with TensorFlow {tensorflow} and Python {python}. The scores were measured with TensorFlow's JPEG \
decoder; other decoders round some pixels differently, which changes scores in the second or third decimal.
"""


def frozen_graph_code(names: Dict[int, str], threshold: float) -> str:
    """A program that prints what the frozen graph detects in photo.jpg."""
    return _program(_FROZEN_GRAPH, names, threshold)


def saved_model_code(names: Dict[int, str], threshold: float) -> str:
    """A program that prints what the SavedModel detects in photo.jpg."""
    return _program(_SAVED_MODEL, names, threshold)


def render(
    metrics: Dict[str, Any], names: Dict[int, str], intensity_range: Optional[Sequence[int]], tensorflow: str
) -> str:
    """The page for the numbers of metrics.json and the version of TensorFlow that made the export."""
    threshold = metrics["scoreThreshold"]
    reason = metrics.get("checkpointReason")
    return _PAGE.format(
        count="one class of objects" if len(names) == 1 else f"{len(names)} classes of objects",
        step=metrics["checkpointStep"],
        reason=f" ({_plain(reason)})" if reason else "",
        table="\n".join(["| number | class |", "|---|---|"] + [f"| {n} | {_plain(names[n])} |" for n in sorted(names)]),
        intensities=_intensities(intensity_range),
        threshold=threshold,
        images=metrics["evalImages"],
        precision=metrics["precision"],
        recall=metrics["recall"],
        frozen_graph=frozen_graph_code(names, threshold),
        saved_model=saved_model_code(names, threshold),
        tensorflow=tensorflow,
        python=".".join(str(part) for part in sys.version_info[:2]),
    )


def _program(detect: str, names: Dict[int, str], threshold: float) -> str:
    classes = ", ".join(f"{number}: {_quoted(names[number])}" for number in sorted(names))
    return _START.format(classes=f"{{{classes}}}") + detect + _SHOW.format(threshold=threshold)


def _quoted(name: str) -> str:
    """The name in Python, in double quotes if that needs no escape."""
    text = repr(name)
    return f'"{text[1:-1]}"' if '"' not in text else text


def _intensities(intensity_range: Optional[Sequence[int]]) -> str:
    if intensity_range is None:
        return "Images have 8 bits per channel."
    low, high = intensity_range
    return f"Images of more than 8 bits: scale them as in training, so that {low} becomes 0 and {high} becomes 255."


def _plain(text: str) -> str:
    """Text without what would end a line or a cell of a table; characters that cannot be printed are escaped."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text).replace("|", "\\|")
