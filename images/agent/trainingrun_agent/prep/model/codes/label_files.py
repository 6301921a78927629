"""Findings about files of labels: whether they can be read, and whether their entries are complete."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import Example, FindingKind, Severity

_CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
_ROW = "tire.jpg,160,120,tire,10,20,60,80\n"
_VOC = (
    "<annotation>\n  <size><width>160</width><height>120</height></size>\n  <object><name>tire</name>\n"
    "    <bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>80</ymax></bndbox></object>\n</annotation>\n"
)
_EXPORT_AGAIN = "Complete the entry, or export the file again."
_ALL_LOST = "No label of the file is used: what a damaged file still shows may be only a part of it."
_ENTRY_LOST = "The entry is not used, so its objects are missing or become background."


def _coco(*, images: str = "", boxes: str = "", categories: str = "") -> str:
    """A COCO file, line by line."""
    images = images or '{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120}'
    boxes = boxes or '{"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]}'
    categories = categories or '{"id": 7, "name": "tire"}'
    return f'{{"images": [{images}],\n "annotations": [{boxes}],\n "categories": [{categories}]}}\n'


ANNOTATION_EMPTY = FindingKind(
    "AnnotationEmpty",
    Severity.ERROR,
    meaning="The label file has no content: saving or uploading it failed.",
    effect="It is unknown which objects the image has. Taken for an image without objects, it would teach that they "
    "are background.",
    seen="the file is empty",
    advice="Label the image again and save.",
    example=Example("`tire.xml` has 0 bytes.", "`tire.xml` has the boxes of the image."),
)
ANNOTATION_TOO_LARGE = FindingKind(
    "AnnotationTooLarge",
    Severity.ERROR,
    meaning="The label file, or one entry in it, is far larger than labels are. Usually an image or a mask is "
    "embedded, or the labels of many images are in a file that should have those of one.",
    effect=_ALL_LOST,
    seen={
        "bytes": "{size} bytes; at most {limit} are read",
        "labels": "{size} bytes without the embedded image; at most {limit} are read",
        "value": "one value is longer than {limit} characters, from character {at}",
        "images": "more than {limit} images",
        "objects": "more than {limit} objects",
        "categories": "more than {limit} categories",
    },
    advice="Export the labels without embedded images and masks, or divide them among several files.",
    example=Example(
        "`labels.json`, COCO, with a mask of 3 million characters.", "`labels.json` without masks, only with boxes."
    ),
)
ANNOTATION_MALFORMED = FindingKind(
    "AnnotationMalformed",
    Severity.ERROR,
    meaning="The label file is not valid XML, JSON, CSV or text: it was cut off, changed by hand, or saved in another "
    "encoding.",
    effect=_ALL_LOST,
    seen={
        "parser": "not well-formed {syntax}: {problem}",
        "line": "not well-formed CSV in line {line}: {problem}",
        "longLine": "line {line} is longer than {limit} characters",
        "openQuote": "a quoted cell does not end in its line {line}",
        "json": "not well-formed JSON at character {at}: {problem}",
        "jsonCutOff": "the JSON ends too early, at character {at}: {problem}",
        "jsonExpected": "not well-formed JSON at character {at}: {expected} expected",
        "jsonContinues": "the JSON document ends, but more follows at character {at}",
        "jsonTooDeep": "nested too deeply, or a number with thousands of digits, at character {at}",
        "encoding": "not {encoding} text: {problem}",
    },
    advice="Save or export the file again with the label tool. XML without an encoding declaration has to be UTF-8.",
    example=Example(_VOC.removesuffix("</annotation>\n"), _VOC, "tire.xml"),
)
ANNOTATION_FORMAT = FindingKind(
    "AnnotationFormat",
    Severity.ERROR,
    meaning="The content is valid, but is not in the label format of the data set.",
    effect=_ALL_LOST,
    seen={
        "root": "the root element is <{found}>, not <{expected}>",
        "noShapes": "no list of shapes, which every LabelMe file has",
        "columns": "the first line is {found!r}; it has to name the columns {columns}",
    },
    advice="Save or export the labels in the format of the others.",
    example=Example(_VOC.replace("annotation>", "labels>"), _VOC, "tire.xml"),
)
ANNOTATION_DOCTYPE = FindingKind(
    "AnnotationDoctype",
    Severity.ERROR,
    meaning="The XML file declares a DOCTYPE. A DOCTYPE can define entities, which can expand without end or read "
    "other files, so no such file is parsed.",
    effect=_ALL_LOST,
    seen="the file declares a DOCTYPE, which could define entities",
    advice="Remove the <!DOCTYPE …> declaration: no label format needs it.",
    example=Example(f"<!DOCTYPE annotation>\n{_VOC}", _VOC, "tire.xml"),
)
FILE_IGNORED = FindingKind(
    "FileIgnored",
    Severity.INFO,
    meaning="The file ends as label files do, but does not begin as those of the data set's format.",
    effect="None if the file has no labels. If it has, the objects in it are missing.",
    seen="it does not begin as {format} labels do",
    done="ignored: not a label file",
    advice="Nothing to do if it has no labels; else save it in the format of the others.",
    example=Example("`labels.json` (COCO), and `notes.json` with something else.", "`labels.json` alone."),
)
LABELS_OF_WHOLE_IMAGES = FindingKind(
    "LabelsOfWholeImages",
    Severity.INFO,
    meaning="The file says something about whole images, and nothing about objects in them: COCO's captions and "
    "panoptic segments, CVAT's tags.",
    effect="None if other files have the boxes. A detector needs to know where an object is.",
    seen={
        "captions": "{count:caption|captions} of images, and no box",
        "segments": "panoptic segments of {count:image|images}, and no box",
        "tags": "{count:tag|tags} of whole images, and no box",
    },
    done="ignored the file",
    advice="Nothing to do if other files have the boxes; else draw boxes, and export them.",
    example=Example(
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120}],\n'
        ' "annotations": [{"image_id": 1, "caption": "a tire on a road"}]}\n',
        _coco(),
        "labels.json",
    ),
)
FORMAT_IGNORED = FindingKind(
    "FormatIgnored",
    Severity.INFO,
    meaning="The images have labels in two formats, one of which was usually made from the other: the tutorial leaves "
    "both XML and CSV.",
    effect="None as long as both say the same.",
    seen={
        "same": "{used} labels are used; {ignored} labels say the same about the {count:image that was|images that "
        "were} compared",
        "empty": "{used} labels are used; {ignored} labels have no object",
        "apart": "{used} labels are used; {ignored} labels are about other images or cannot be read",
        "unread": "{used} labels are used; {ignored} labels are too large to compare",
    },
    done="used one of the two formats",
    advice="Nothing to do if the labels that are used are the right ones. Otherwise {change[dataset.train.format]}, or "
    "delete them.",
    example=Example(
        "`tire.xml` and `train_labels.csv` with the box that was made from it.",
        "`tire.xml` alone.",
    ),
)
IMAGE_NAME_MISSING = FindingKind(
    "ImageNameMissing",
    Severity.ERROR,
    meaning="An entry of a label file does not say which image it is about.",
    effect=_ENTRY_LOST,
    seen="the entry names no image",
    advice="Write the image's name into the entry, delete the entry, or export the file again.",
    example=Example(
        f"{_CSV}{_ROW},160,120,tire,90,20,140,80\n", f"{_CSV}{_ROW}tire.jpg,160,120,tire,90,20,140,80\n", "labels.csv"
    ),
)
ENTRY_INCOMPLETE = FindingKind(
    "EntryIncomplete",
    Severity.ERROR,
    meaning="An entry of a COCO file lacks what other entries refer to it by: an id, a name, or the image it is about.",
    effect=_ENTRY_LOST,
    seen="the entry has no {missing}",
    advice=_EXPORT_AGAIN,
    example=Example(
        _coco(categories='{"id": 7, "name": "tire"}, {"id": 8}'),
        _coco(categories='{"id": 7, "name": "tire"}, {"id": 8, "name": "hub"}'),
        "labels.json",
    ),
)
ENTRIES_CONTRADICT = FindingKind(
    "EntriesContradict",
    Severity.ERROR,
    meaning="Two entries with the same id say different things: an image with two names or sizes, or a category with "
    "two names. Files merged by hand often have this.",
    effect="Which entry is meant is unknown. With the wrong one, objects get another object's class or place.",
    seen={
        "image": "{labelFile} lists it more than once, with another name or size",
        "category": "category id {id!r} is both {first!r} and {second!r}",
        "track": "a track goes back from frame {first} to frame {second}",
    },
    advice="Give each image and each category its own id, or export the file again.",
    example=Example(
        _coco(categories='{"id": 7, "name": "tire"}, {"id": 7, "name": "hub"}'),
        _coco(categories='{"id": 7, "name": "tire"}, {"id": 8, "name": "hub"}'),
        "labels.json",
    ),
)
CATEGORY_MISSING = FindingKind(
    "CategoryMissing",
    Severity.ERROR,
    meaning="An object refers to a class by an id that the file does not define.",
    effect="The class of the object is unknown; the image is skipped, because an object left out becomes background.",
    seen="{labelFile} has no category with id {id!r}",
    advice="Add the category to the file, or export the file again.",
    example=Example(_coco(boxes='{"image_id": 1, "category_id": 9, "bbox": [10, 20, 50, 60]}'), _coco(), "labels.json"),
)
TRACKS_UNREAD = FindingKind(
    "TracksUnread",
    Severity.ERROR,
    meaning="The CVAT file has tracks: boxes that follow an object through the frames of a video. The file names its "
    "frames by number only, and no image has the name that CVAT gives a frame, such as frame_000042.",
    effect="The objects of the tracks are missing; where their frames are images of the data set, they become "
    "background.",
    seen="{count:<track> element|<track> elements}: boxes that follow an object through a video",
    advice="Export with images, which CVAT names frame_000000, frame_000001 and so on, or name your own images so. "
    'Tasks of single images, and projects with several videos, have to be exported as "CVAT for images 1.1".',
    example=Example(
        '<annotations>\n<image id="0" name="tire.jpg" width="160" height="120">\n'
        '  <box label="tire" xtl="10" ytl="20" xbr="60" ybr="80"/></image>\n'
        '<track id="0" label="tire"><box frame="0" xtl="90" ytl="20" xbr="140" ybr="80"/></track>\n</annotations>\n',
        '<annotations>\n<image id="0" name="tire.jpg" width="160" height="120">\n'
        '  <box label="tire" xtl="10" ytl="20" xbr="60" ybr="80"/>\n'
        '  <box label="tire" xtl="90" ytl="20" xbr="140" ybr="80"/></image>\n</annotations>\n',
        "annotations.xml",
    ),
)
FRAMES_WITHOUT_IMAGE = FindingKind(
    "FramesWithoutImage",
    Severity.INFO,
    meaning="A CVAT file has tracks, and some of the frames that it has boxes for are not among the images.",
    effect="None, if only some frames of the video are used. Otherwise the images of the others are missing.",
    seen="{count:box|boxes} in frames that are no images of the data set",
    done="ignored the boxes",
    advice="Nothing to do if these frames were left out on purpose; else upload them.",
    example=Example(
        "`frame_000000.jpg` and a track through the frames 0 and 1 of a video.",
        "`frame_000000.jpg` and `frame_000001.jpg` with the same track.",
    ),
)
IMAGE_TURNED = FindingKind(
    "ImageTurned",
    Severity.ERROR,
    meaning="The image was rotated inside Label Studio while it was labelled. The file itself is not rotated.",
    effect="Boxes of the rotated view are in wrong places on the image file.",
    seen="labelled on the image rotated by {degrees:g} degrees",
    advice="Rotate the image file itself, and label it without rotating the view.",
    example=Example(
        "A Label Studio region with `image_rotation: 90`.",
        "The same region on the rotated image, with `image_rotation: 0`.",
    ),
)
