"""Average precision by pycocotools, from boxes alone (COCO evaluation as in Lin et al., 2014)."""

import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MAX_DETECTIONS = 100


class Scores(object):
    """Collects ground truth and detections image by image."""

    def __init__(self, names):
        # type: (dict) -> None
        self._names = names  # class id -> name
        self._images, self._truth, self._found = [], [], []

    def add(self, size, truth, found):
        # type: (tuple, list, list) -> None
        """Add an image of `size` (width, height); `truth` holds (class, box), `found` (class, score, box)."""
        number = len(self._images) + 1
        self._images.append({"id": number, "width": size[0], "height": size[1]})
        for kind, box in truth:
            x, y, w, h = _pixels(box, size)
            entry = {"image_id": number, "category_id": kind, "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0}
            self._truth.append(dict(entry, id=len(self._truth) + 1))
        for kind, score, box in found:
            entry = {"image_id": number, "category_id": kind, "bbox": _pixels(box, size), "score": score}
            self._found.append(entry)

    def result(self):
        # type: () -> dict
        """AP@.5, mAP (mean over IoU .5:.95) and both per class; 0 where nothing was found."""
        if not self._found or not self._truth:
            nothing = {"ap50": 0.0, "mAP": 0.0}
            return dict(nothing, perClass={name: dict(nothing) for name in self._names.values()})
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = {
                "images": self._images,
                "annotations": self._truth,
                "categories": [{"id": number, "name": name} for number, name in self._names.items()],
            }
            coco.createIndex()
            run = COCOeval(coco, coco.loadRes(self._found), "bbox")
            run.evaluate()
            run.accumulate()
        # precision: IoU thresholds x recalls x classes x areas x detections; -1 where there is no ground truth
        precision = run.eval["precision"][:, :, :, 0, -1]
        per_class = {}
        for index, number in enumerate(run.params.catIds):
            mine = precision[:, :, index]
            if (mine > -1).any():
                per_class[self._names[number]] = {"ap50": _mean(mine[0]), "mAP": _mean(mine)}
        return {"ap50": _mean(precision[0]), "mAP": _mean(precision), "perClass": per_class}


def _mean(values):
    # type: (numpy.ndarray) -> float
    known = values[values > -1]
    return round(float(known.mean()), 4) if known.size else 0.0


def _pixels(box, size):
    # type: (list, tuple) -> list
    ymin, xmin, ymax, xmax = box
    width, height = size
    return [xmin * width, ymin * height, (xmax - xmin) * width, (ymax - ymin) * height]
