"""Findings about the class of an object, and about what an object is."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import Example, FindingKind, Severity

_CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
_ROW = "tire.jpg,160,120,tire,10,20,60,80\n"
_BACKGROUND = "The image is skipped: with the object left out, the network would learn that it is background."

UNKNOWN_CLASS = FindingKind(
    "UnknownClass",
    Severity.ERROR,
    meaning="An object has a class that is not among those to be trained.",
    effect="TensorFlow would train without an error and drop the object: the network learns that it is background.",
    seen={
        "name": "class {name!r} is not in {field[dataset.classes]}",
        "near": "class {name!r} is not in {field[dataset.classes]}; the nearest name there is {nearest!r}",
        "id": "class id {id}, but {field[dataset.classes]} has {count:name|names}: ids go from 0 to {last}",
        "listed": "class id {id}, which {list} does not name: its ids go from 0 to {last}",
    },
    advice="Correct the class in the file, or {change[dataset.classes]}. Case and spaces matter.",
    example=Example(
        f"{_CSV}{_ROW}tire.jpg,160,120,wheel,90,20,140,80\n",
        f"{_CSV}{_ROW}tire.jpg,160,120,tire,90,20,140,80\n",
        "labels.csv",
    ),
)
CLASS_SPELLING = FindingKind(
    "ClassSpelling",
    Severity.ERROR,
    meaning="Class names in the labels differ from a class to be trained by case, blanks or Unicode form only.",
    effect="TensorFlow would train without an error and drop the objects: the network learns that they are background.",
    seen="{field[dataset.classes]} has {nearest!r}, the labels have {boxes}; first in {files}",
    advice="Rename the class in the label tool and export again, or {change[dataset.classes]}.",
    example=Example(
        f"{_CSV}{_ROW}tire.jpg,160,120,Tire,90,20,140,80\n",
        f"{_CSV}{_ROW}tire.jpg,160,120,tire,90,20,140,80\n",
        "labels.csv",
    ),
)
CLASSES_ALIKE = FindingKind(
    "ClassesAlike",
    Severity.WARNING,
    meaning="Two classes to be trained differ by case, blanks or Unicode form only. Usually they are one class.",
    effect="The network learns to distinguish what looks the same: both classes get worse.",
    seen="{boxes}: these names differ by case, blanks or Unicode form only",
    done="trained them as different classes",
    advice="If they are one class, rename it in the label tool and export again, then {change[dataset.classes]}.",
    example=Example("The classes `tire` and `Tire` are both trained.", "Only `tire` is trained."),
)
CLASSES_MIRRORED = FindingKind(
    "ClassesMirrored",
    Severity.INFO,
    meaning="The names of two classes differ only in left and right, or in up and down.",
    effect="A training image that is flipped shows the other class and keeps the name of its own: the network learns to"
    " confuse the two.",
    seen="{names} may be mirror images of each other",
    done="left such flips out of the augmentation, unless the run names its steps itself",
    advice="Nothing to do. If the classes do look alike when flipped, a run can name the steps of its augmentation.",
    example=Example(
        "The classes `arrow_left` and `arrow_right` are trained.", "The classes `tire` and `hub` are trained."
    ),
)
CLASS_LIST_USED = FindingKind(
    "ClassListUsed",
    Severity.INFO,
    meaning="The labels hold class ids, and a list of class names near them says what the ids mean. It differs from "
    "the classes to be trained, as a list with names that are never used does.",
    effect="None: ids come from the list, and the classes to be trained are selected by name.",
    seen={
        "some": "{count:class name|class names}; by class id: {ids}",
        "none": "{count:class name|class names}, none of them in {field[dataset.classes]}: {names}",
    },
    done="used the list for the class ids of the labels below its folder",
    advice="Nothing to do if the labels were made with this list; else correct or delete it.",
    example=Example(
        "`classes.txt` lists `person`, `tire`; `tire` is trained.", "`classes.txt` lists `tire`, the class trained."
    ),
)
CLASS_LIST_UNUSED = FindingKind(
    "ClassListUnused",
    Severity.WARNING,
    meaning="There are several lists of class names, and they differ. The one nearest to the labels, in their folder "
    "or one above it, says what their class ids mean.",
    effect="If the labels were made with the other list, their objects are trained as other classes.",
    seen="lists {names}; the ids of the labels mean what {list} says",
    done="ignored the list",
    advice="Delete the list that is out of date.",
    example=Example(
        "`classes.txt` lists `tire`, `old/classes.txt` lists `wheel`, `tire`.", "There is only one `classes.txt`."
    ),
)
CLASS_LIST_UNREADABLE = FindingKind(
    "ClassListUnreadable",
    Severity.ERROR,
    meaning="The labels hold class ids, and the file near them that should say what the ids mean cannot be read. No "
    "other list is there.",
    effect="Ids would be taken for positions in the classes to be trained, whose order may be another one.",
    seen={
        "syntax": "a list of class names, but not valid: {problem}",
        "size": "a list of class names of {size} bytes; at most {limit} bytes are read",
    },
    advice="Correct or replace the file. Or delete it, if the ids are positions in {field[dataset.classes]}.",
    example=Example(
        "`data.yaml` with `names: [rim, tire`, and labels with class ids.", "`data.yaml` with `names: [rim, tire]`."
    ),
)
CLASS_ASSUMED = FindingKind(
    "ClassAssumed",
    Severity.INFO,
    meaning="The objects of a label file have no class at all, as when regions are drawn for a single class. There is "
    "one class to be trained.",
    effect="None if the objects are of that class.",
    seen="{count:object has|objects have} no class",
    done="used the only class to be trained, for every object of the file",
    advice="Nothing to do if every object is of that class; else give each its class in the label tool.",
    example=Example(
        "filename,region_shape_attributes,region_attributes\n"
        'tire.jpg,"{""name"":""rect"",""x"":10,""y"":20,""width"":50,""height"":60}",{}\n',
        "filename,region_shape_attributes,region_attributes\n"
        'tire.jpg,"{""name"":""rect"",""x"":10,""y"":20,""width"":50,""height"":60}","{""part"":""tire""}"\n',
        "via.csv",
    ),
)
CLASSES_MISSING = FindingKind(
    "ClassesMissing",
    Severity.ERROR,
    meaning="The objects of a label file have no class at all, and there is not exactly one class to be trained.",
    effect="It is unknown which class each object is of.",
    seen="none of its {count:object|objects} has a class",
    done="skipped the images of the file",
    advice="If all objects are of one class, {change[dataset.classes]}, with this class alone. "
    "Else give each object its class in the label tool.",
    example=Example(
        "`via.json` has regions with `region_attributes: {}`; `tire` and `hub` are trained.",
        "`via.json` has regions with `region_attributes: {}`; `tire` is trained.",
    ),
)
CLASS_MISSING = FindingKind(
    "ClassMissing",
    Severity.ERROR,
    meaning="An object has a box, but no class.",
    effect=_BACKGROUND,
    seen="an object has no class",
    advice="Give the box a class in the label tool.",
    example=Example(
        f"{_CSV}{_ROW}tire.jpg,160,120,,90,20,140,80\n",
        f"{_CSV}{_ROW}tire.jpg,160,120,tire,90,20,140,80\n",
        "labels.csv",
    ),
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
