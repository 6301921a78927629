"""Findings about the class of an object, and about what an object is."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import Example, FindingKind, Severity

_CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
_ROW = "tire.jpg,160,120,tire,10,20,60,80\n"
_BACKGROUND = "The image is skipped: with the object left out, the network would learn that it is background."

UNKNOWN_CLASS = FindingKind(
    "UnknownClass",
    Severity.ERROR,
    meaning="An object has a class that is not among those to be trained. Usually it is one of them in another "
    "spelling.",
    effect="TensorFlow would train without an error and drop the object: the network learns that it is background.",
    seen={
        "name": "class {name!r} is not in {field[dataset.classes]}",
        "near": "class {name!r} is not in {field[dataset.classes]}; the nearest name there is {nearest!r}",
        "id": "class id {id}, but {field[dataset.classes]} has {count:name|names}: ids go from 0 to {last}",
    },
    advice="Correct the class in the file, or {change[dataset.classes]}. Case and spaces matter; YOLO's ids count from "
    "0 in the order of {field[dataset.classes]}.",
    example=Example(
        f"{_CSV}{_ROW}tire.jpg,160,120,Tire,90,20,140,80\n",
        f"{_CSV}{_ROW}tire.jpg,160,120,tire,90,20,140,80\n",
        "labels.csv",
    ),
)
CLASS_MISSING = FindingKind(
    "ClassMissing",
    Severity.ERROR,
    meaning="An object has a box, but no class.",
    effect=_BACKGROUND,
    seen="an object has no class",
    advice="Give the box a class in the label tool.",
    example=Example(f"{_CSV}tire.jpg,160,120,,10,20,60,80\n", f"{_CSV}{_ROW}", "labels.csv"),
)
CLASS_ID_INVALID = FindingKind(
    "ClassIdInvalid",
    Severity.ERROR,
    meaning="A line of a YOLO file does not begin with the number of a class.",
    effect=_BACKGROUND,
    seen="the line begins with {found!r}, which is not a class id",
    advice="Begin the line with the number of the class, from 0 in the order of {field[dataset.classes]}.",
    example=Example(
        "0 0.25 0.5 0.25 0.5\ntire 0.75 0.5 0.25 0.5\n", "0 0.25 0.5 0.25 0.5\n0 0.75 0.5 0.25 0.5\n", "tire.txt"
    ),
)
CLASS_AMBIGUOUS = FindingKind(
    "ClassAmbiguous",
    Severity.ERROR,
    meaning="An object has several attributes or labels, and it is unclear which of them is the class.",
    effect="With the wrong one, the object is trained as another class.",
    seen={
        "attributes": "several attributes, and not exactly one of them is in {field[dataset.classes]}: {attributes}",
        "labels": "the region has several labels: {labels}",
    },
    advice="Leave one label per object, or make sure that exactly one attribute has its value in "
    "{field[dataset.classes]}.",
    example=Example(
        "filename,region_shape_attributes,region_attributes\n"
        'tire.jpg,"{""name"":""rect"",""x"":10,""y"":20,""width"":50,""height"":60}","{""colour"":""black"",""form"":""round""}"\n',
        "filename,region_shape_attributes,region_attributes\n"
        'tire.jpg,"{""name"":""rect"",""x"":10,""y"":20,""width"":50,""height"":60}","{""colour"":""black"",""part"":""tire""}"\n',
        "via.csv",
    ),
)
TOO_MANY_OBJECTS = FindingKind(
    "TooManyObjects",
    Severity.ERROR,
    meaning="An image has more than 10 000 objects: usually something was exported many times.",
    effect="All images of a batch are padded to the largest number of boxes, so one such image slows down every step.",
    seen="more than {limit} objects",
    advice="Cut the image into tiles and label those, or correct its labels.",
    example=Example("`labels.csv` with 10 001 rows for `tire.jpg`.", "`labels.csv` with one row per object."),
)
SHAPE_BOXED = FindingKind(
    "ShapeBoxed",
    Severity.INFO,
    meaning="Objects were drawn as polygons, rotated boxes, ellipses or masks. A detector learns upright boxes.",
    effect="The box around a slanted object is loose: it has much background in it, and so will the detections.",
    seen="{count:object is not an upright box|objects are not upright boxes} but: {shapes}",
    done="used the upright box around each",
    advice="Nothing to do where that box fits the object.",
    example=Example(
        '{"imagePath": "tire.jpg", "imageWidth": 160, "imageHeight": 120, "shapes": [{"label": "tire",\n'
        ' "shape_type": "polygon", "points": [[10, 50], [35, 20], [60, 50], [35, 80]]}]}\n',
        '{"imagePath": "tire.jpg", "imageWidth": 160, "imageHeight": 120, "shapes": [{"label": "tire",\n'
        ' "shape_type": "rectangle", "points": [[10, 20], [60, 80]]}]}\n',
        "tire.json",
    ),
)
CROWD_DROPPED = FindingKind(
    "CrowdDropped",
    Severity.INFO,
    meaning="A box around many objects at once: `iscrowd` in COCO, `IsGroupOf` in Open Images.",
    effect="As a single object it would teach a wrong size. Without it, the objects in it count as background.",
    seen="{count:box|boxes} around a crowd or group of objects",
    done="left out the boxes",
    advice="Label the objects one by one if they should be detected.",
    example=Example(
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120}],\n "annotations": [\n'
        '  {"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]},\n'
        '  {"image_id": 1, "category_id": 7, "bbox": [80, 20, 70, 60], "iscrowd": 1}],\n'
        ' "categories": [{"id": 7, "name": "tire"}]}\n',
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120}],\n "annotations": [\n'
        '  {"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]},\n'
        '  {"image_id": 1, "category_id": 7, "bbox": [80, 20, 30, 60]},\n'
        '  {"image_id": 1, "category_id": 7, "bbox": [115, 20, 35, 60]}],\n'
        ' "categories": [{"id": 7, "name": "tire"}]}\n',
        "labels.json",
    ),
)
