"""Average precision of detections, computed from boxes with pycocotools (COCO evaluation, Lin et al., 2014)."""

import contextlib
import io
from typing import Any, Dict, List, Tuple

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from trainingrun_trainer import threshold

Box = List[float]  # [ymin, xmin, ymax, xmax] in 0..1


class Scores:
    """Collects labelled boxes and detections image by image."""

    def __init__(self, names: Dict[int, str]) -> None:
        self._names = names  # by class id
        self._images: List[Dict[str, Any]] = []
        self._ground_truth: List[Dict[str, Any]] = []
        self._detections: List[Dict[str, Any]] = []

    def add(
        self,
        size: Tuple[int, int],
        ground_truth: List[Tuple[int, Box]],
        detections: List[Tuple[int, float, Box]],
    ) -> None:
        """Add an image of `size` (width, height): its labels (class id, box) and detections (class id, score, box)."""
        image = len(self._images) + 1
        self._images.append({"id": image, "width": size[0], "height": size[1]})
        for class_id, box in ground_truth:
            x, y, w, h = _pixels(box, size)
            entry = {"image_id": image, "category_id": class_id, "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0}
            self._ground_truth.append(dict(entry, id=len(self._ground_truth) + 1))
        for class_id, score, box in detections:
            entry = {"image_id": image, "category_id": class_id, "bbox": _pixels(box, size), "score": score}
            self._detections.append(entry)

    def result(self) -> Dict[str, Any]:
        """AP@.5 and mAP (mean over IoU .5:.95), over all classes and per class; 0 where nothing was detected.

        Also the score that is suggested as a threshold, with its precision, recall and F1.
        """
        if not self._detections or not self._ground_truth:
            nothing = {"ap50": 0.0, "mAP": 0.0}
            per_class = {name: dict(nothing) for name in self._names.values()}
            return dict(nothing, perClass=per_class, **threshold.suggest([], len(self._ground_truth)))
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = {
                "images": self._images,
                "annotations": self._ground_truth,
                "categories": [{"id": number, "name": name} for number, name in self._names.items()],
            }
            coco.createIndex()
            run = COCOeval(coco, coco.loadRes(self._detections), "bbox")
            run.evaluate()
            run.accumulate()
        # precision: IoU thresholds x recalls x classes x areas x detections; -1 where a class has no labelled box
        precision = run.eval["precision"][:, :, :, 0, -1]
        per_class = {}
        for index, number in enumerate(run.params.catIds):
            of_class = precision[:, :, index]
            if (of_class > -1).any():
                per_class[self._names[number]] = {"ap50": _mean(of_class[0]), "mAP": _mean(of_class)}
        found, labelled = threshold.matches(run.evalImgs, len(run.params.areaRng), len(run.params.imgIds))
        overall = {"ap50": _mean(precision[0]), "mAP": _mean(precision), "perClass": per_class}
        return dict(overall, **threshold.suggest(found, labelled))


def _mean(values: Any) -> float:
    """Mean of a numpy array without the entries that are -1."""
    known = values[values > -1]
    return round(float(known.mean()), 4) if known.size else 0.0


def _pixels(box: Box, size: Tuple[int, int]) -> List[float]:
    """The box as COCO has it: [x, y, width, height] in pixels."""
    ymin, xmin, ymax, xmax = box
    width, height = size
    return [xmin * width, ymin * height, (xmax - xmin) * width, (ymax - ymin) * height]
