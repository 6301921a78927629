"""Findings about boxes: their coordinates, their place in the image, their size."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import Example, FindingKind, Severity

_CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
_ROW = "tire.jpg,160,120,tire,10,20,60,80\n"
_GOOD = f"{_CSV}{_ROW}"
_REDRAW = "Draw the box again in the label tool."
_CORNERS = "{name!r} (xmin, ymin, xmax, ymax) = ({corners})"
_IN_IMAGE = f"{_CORNERS} in {{image[0]}} x {{image[1]}} pixels"
_SKIPPED = "The image is skipped: with the object left out, the network would learn that it is background."


def _row(*corners: object) -> str:
    return f"{_CSV}tire.jpg,160,120,tire,{','.join(map(str, corners))}\n"


BOX_MISSING = FindingKind(
    "BoxMissing",
    Severity.ERROR,
    meaning="An object has no box, only something that no box can be made from: a point, a line, a keypoint or a "
    "brush stroke.",
    effect=_SKIPPED,
    seen={
        "noBndbox": "the object {name!r} has no <bndbox>",
        "noCoordinates": "the object has no coordinates with x, y, width and height",
        "noBbox": "the bbox of the object is not [x, y, width, height], and it has no segmentation",
        "mask": "the mask of the object is damaged, and it has no bbox",
        "maskEmpty": "the mask of the object has no pixels, and it has no bbox",
        "noExtent": "shape {shape!r} has no extent",
        "unknown": "shape {shape!r} is not known",
        "points": "shape {shape!r} has {count:point|points}",
        "point": "a point of shape {shape!r} is {found}",
        "lengths": "the lists of x and y of shape {shape!r} differ in length",
        "json": "the region is not JSON: {problem}",
        "angle": "the angle of the <robndbox> is {found}, which is more than a full turn in radians; is it in degrees?",
    },
    advice="Only boxes can be trained: draw a box around the object, or delete the object.",
    example=Example(
        "<annotation>\n  <size><width>160</width><height>120</height></size>\n"
        "  <object><name>tire</name><polygon/></object>\n</annotation>\n",
        "<annotation>\n  <size><width>160</width><height>120</height></size>\n  <object><name>tire</name>\n"
        "    <bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>80</ymax></bndbox></object>\n</annotation>\n",
        "tire.xml",
    ),
)
BOX_COLUMNS = FindingKind(
    "BoxColumns",
    Severity.ERROR,
    meaning="A line of a YOLO file has neither the four numbers of a box nor the pairs of a polygon.",
    effect=_SKIPPED,
    seen="the line has {count:number|numbers} after the class",
    advice="Write `class cx cy width height` per line.",
    example=Example("0 0.5 0.5 0.25 0.5\n0 0.2 0.5 0.25\n", "0 0.5 0.5 0.25 0.5\n0 0.2 0.5 0.25 0.5\n", "tire.txt"),
)
COLUMNS_UNCLEAR = FindingKind(
    "ColumnsUnclear",
    Severity.ERROR,
    meaning="The lines of YOLO files have more than the four numbers of a box, and it is unclear what they are. Eight "
    "numbers, for example, are a polygon of four corners, or a box and two keypoints. All lines of a data set were "
    "compared: keypoints lie in their box, and their number is the same on every line.",
    effect="Read the wrong way, every box is in another place and of another size, and training learns those.",
    seen={
        "even": "{count} numbers after the class: the corners of a polygon, or a box and its keypoints?",
        "odd": "{count} numbers after the class: a box and keypoints, or a polygon and a confidence?",
        "fifth": "{found} after the box is neither a confidence nor a tracking id; it may be an angle",
        "kptShape": "{count} numbers after the class, but kpt_shape in data.yaml asks for {of}",
    },
    advice="For keypoints, put a data.yaml with `kpt_shape: [keypoints, 2 or 3]` beside the labels; for polygons, one "
    "with `kpt_shape: [0, 0]`. Boxes with an angle have to be written as their four corners.",
    example=Example("0 0.5 0.5 0.2 0.1 0.45 0.48 0.55 0.53\n", "0 0.5 0.5 0.2 0.1\n", "tire.txt"),
)
KEYPOINTS_IGNORED = FindingKind(
    "KeypointsIgnored",
    Severity.INFO,
    meaning="The boxes have keypoints, as data sets for poses have.",
    effect="None on the boxes. A detector does not learn keypoints.",
    seen="{count:box has|boxes have} keypoints",
    done="used the boxes, ignored the keypoints",
    advice="Nothing to do.",
    example=Example("0 0.5 0.5 0.2 0.1 0.45 0.48 2 0.55 0.53 1\n", "0 0.5 0.5 0.2 0.1\n", "tire.txt"),
)
TRACKING_IGNORED = FindingKind(
    "TrackingIgnored",
    Severity.INFO,
    meaning="A whole number follows the box on lines of a YOLO file: the id that a tracker gives an object.",
    effect="None if it is an id. If it is an angle, the box is too narrow or too low for a turned object.",
    seen="{count:box is|boxes are} followed by a whole number, as tracking ids are",
    done="used the boxes, ignored the ids",
    advice="Nothing to do if they are ids; boxes with an angle have to be written as their four corners.",
    example=Example("0 0.5 0.5 0.25 0.5 7\n", "0 0.5 0.5 0.25 0.5\n", "tire.txt"),
)
LABELS_PREDICTED = FindingKind(
    "LabelsPredicted",
    Severity.WARNING,
    meaning="Objects have a confidence: they are what a detector has found, as `yolo predict` or `yolo track` writes "
    "it, and not what a person has labelled.",
    effect="The network learns the mistakes of the other detector, and evaluation counts them as right.",
    seen="{count:object has|objects have} a confidence, as detections have and labels do not",
    done="used the boxes, ignored the confidences",
    advice="Correct them in a label tool, or use the labels that people made.",
    example=Example("0 0.5 0.5 0.25 0.5 0.93\n", "0 0.5 0.5 0.25 0.5\n", "tire.txt"),
)
BOX_NOT_A_NUMBER = FindingKind(
    "BoxNotANumber",
    Severity.ERROR,
    meaning="A coordinate is missing, or is text that is not a number.",
    effect=_SKIPPED,
    seen="{what} is {found}",
    advice="Draw the box again, or correct the number in the file.",
    example=Example(_row("left", 20, 60, 80), _GOOD, "labels.csv"),
)
BOX_NOT_FINITE = FindingKind(
    "BoxNotFinite",
    Severity.ERROR,
    meaning="A coordinate is NaN or infinite, which scripts write after a division by zero.",
    effect="TensorFlow drops a box with NaN without an error; an infinite coordinate makes the loss infinite for the "
    "rest of the training.",
    seen={"number": "{what} is {found}", "corners": "the corners of the box are ({found})"},
    advice="Draw the box again: its coordinates are not finite numbers.",
    example=Example(_row("nan", 20, 60, 80), _GOOD, "labels.csv"),
)
BOX_NORMALISED = FindingKind(
    "BoxNormalised",
    Severity.ERROR,
    meaning="The coordinates lie between 0 and 1, as parts of the image's size, in a format that wants pixels.",
    effect="As pixels, every box would be a dot in the top left corner of its image.",
    seen="coordinates ({corners}) lie between 0 and 1",
    advice="The format wants pixels: multiply by the width and height of the image.",
    example=Example(_row(0.0625, 0.1667, 0.375, 0.6667), _GOOD, "labels.csv"),
)
BOX_NOT_NORMALISED = FindingKind(
    "BoxNotNormalised",
    Severity.ERROR,
    meaning="The coordinates are pixels in a format that wants parts of the image's size, between 0 and 1.",
    effect="The box would lie far outside the image. TensorFlow trains on it with a loss in the thousands, then stops "
    "at the first evaluation.",
    seen="coordinates ({corners}) are not parts of the image's size",
    advice="The format wants numbers between 0 and 1 (percentages up to 100): divide by the width and height of the "
    "image.",
    example=Example(
        "0 0.21875 0.416667 0.3125 0.5\n0 115 50 50 60\n",
        "0 0.21875 0.416667 0.3125 0.5\n0 0.71875 0.416667 0.3125 0.5\n",
        "tire.txt",
    ),
)
BOX_SWAPPED = FindingKind(
    "BoxSwapped",
    Severity.WARNING,
    meaning="The first corner lies right of or below the second: some tools write corners in the order they were "
    "drawn.",
    effect="Unrepaired, the box has a negative size: training tries to match a box that nothing can match, and "
    "evaluation ignores it.",
    seen=_CORNERS,
    done="swapped the corners",
    advice=_REDRAW,
    example=Example(_row(60, 80, 10, 20), _GOOD, "labels.csv"),
)
BOX_CLIPPED = FindingKind(
    "BoxClipped",
    Severity.WARNING,
    meaning="A part of the box lies outside the image.",
    effect="Unrepaired, a box that leaves the image by more than a tenth stops the training at its first evaluation.",
    seen=_IN_IMAGE,
    done="clipped the box to the image",
    advice=_REDRAW,
    example=Example(_row(10, 20, 180, 80), _row(10, 20, 160, 80), "labels.csv"),
)
BOX_OUTSIDE = FindingKind(
    "BoxOutside",
    Severity.WARNING,
    meaning="The box lies outside the image, or less than a pixel of it inside. Often the image was cropped after it "
    "was labelled.",
    effect="Unrepaired, the box inflates the loss and stops the training at its first evaluation.",
    seen=_IN_IMAGE,
    done="dropped the box",
    advice=_REDRAW,
    example=Example(f"{_GOOD}tire.jpg,160,120,tire,200,20,260,80\n", _GOOD, "labels.csv"),
)
BOX_DEGENERATE = FindingKind(
    "BoxDegenerate",
    Severity.WARNING,
    meaning="The box is less than a pixel wide or high, as after a click by mistake.",
    effect="Unrepaired, the loss of such a box never falls, and nothing can be learned from it.",
    seen=_IN_IMAGE,
    done="dropped the box",
    advice=_REDRAW,
    example=Example(f"{_GOOD}tire.jpg,160,120,tire,10,20,10,80\n", _GOOD, "labels.csv"),
)
DUPLICATE_BOXES = FindingKind(
    "DuplicateBoxes",
    Severity.WARNING,
    meaning="A box is there more than once in an image, with the same class and the same corners: usually an export "
    "was merged with itself, or a box was pasted twice.",
    effect="Unrepaired, the object counts twice in training, and evaluation counts one of them as missed.",
    seen="{count:box is|boxes are} there already, with the same class and corners",
    done="kept one of each",
    advice="Delete the copies in the label tool.",
    example=Example(f"{_GOOD}{_ROW}", _GOOD, "labels.csv"),
)
PARTS_JOINED = FindingKind(
    "PartsJoined",
    Severity.INFO,
    meaning="LabelMe's polygons with the same `group_id` and the same class are parts of one object, such as one "
    "that something in front divides.",
    effect="None. Read one by one, each part would be an object.",
    seen="{count:polygon|polygons} joined to another one with the same group_id and class",
    done="used the box around all parts",
    advice="Nothing to do if they are parts of one object; else remove their group_id.",
    example=Example(
        '{"imagePath": "tire.jpg", "imageWidth": 160, "imageHeight": 120, "shapes": [\n'
        ' {"label": "tire", "shape_type": "polygon", "group_id": 1, "points": [[10, 20], [60, 20], [35, 40]]},\n'
        ' {"label": "tire", "shape_type": "polygon", "group_id": 1, "points": [[10, 80], [60, 80], [35, 60]]}]}\n',
        '{"imagePath": "tire.jpg", "imageWidth": 160, "imageHeight": 120, "shapes": [{"label": "tire",\n'
        ' "shape_type": "rectangle", "points": [[10, 20], [60, 80]]}]}\n',
        "tire.json",
    ),
)
BOX_TOO_SMALL = FindingKind(
    "BoxTooSmall",
    Severity.INFO,
    meaning="A side of the box is shorter than 8 pixels once the image is scaled to the network's input: half a cell "
    "of the network's finest feature map.",
    effect="The network can hardly see the object, so it learns little from the box and rarely detects such objects.",
    seen="{count:box is|boxes are} shorter than {leastSide} pixels once {network} scales the image to {side} pixels",
    done="kept for training",
    advice="Cut large images into tiles before labelling, or {change[model.network]} that has a larger input.",
    example=Example(_row(10, 20, 13, 80), _GOOD, "labels.csv"),
)
