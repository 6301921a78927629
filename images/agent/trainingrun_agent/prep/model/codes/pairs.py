"""Findings about which labels belong to which image."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import FILES, Example, FindingKind, Severity

_CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
_LEFT = "Labels: {labelCount} in {labelFolder}, such as {first}. Images: {imageCount} in {imageFolder}"
_ROW = "tire.jpg,160,120,tire,10,20,60,80\n"

IMAGE_MISSING = FindingKind(
    "ImageMissing",
    Severity.ERROR,
    meaning="A label file or an image set names an image that is not in the folder.",
    effect="The labels are useless without the image. Many of these findings mean renamed images or a wrong folder.",
    seen={
        "labelFile": "{labelFile} lists it, but no image in the folder has that name",
        "imageSet": "the image set names it, but no image in JPEGImages/ has that name",
    },
    advice="Add the image to the folder, or remove its name from the file that lists it.",
    example=Example(f"{_CSV}{_ROW}wheel.jpg,160,120,tire,10,20,60,80\n", f"{_CSV}{_ROW}", "labels.csv"),
)
IMAGE_WITHOUT_ANNOTATION = FindingKind(
    "ImageWithoutAnnotation",
    Severity.ERROR,
    meaning="The image has no labels: nobody has labelled it, or the names do not fit.",
    effect="It is unknown which objects the image has. Used as it is, it would teach that they are background.",
    seen={
        "file": "no label file has its name, or the name is not unique",
        "list": "no label file lists it",
    },
    advice="Label the image. If there is no object in it, save labels without boxes; the user guide says how, per "
    "format.",
    example=Example("tire.jpg tire.xml wheel.jpg", "tire.jpg tire.xml wheel.jpg wheel.xml", FILES),
)
ANNOTATION_WITHOUT_IMAGE = FindingKind(
    "AnnotationWithoutImage",
    Severity.ERROR,
    meaning="The labels belong to no image: the image is not in the folder, or the names do not fit.",
    effect="The labels are useless without the image.",
    seen={
        "file": "no image has this name or the name in <filename>, or the name is not unique",
        "entries": "{count:object belongs|objects belong} to images that the file does not list, such as {image!r}",
    },
    advice="Add the image to the folder or list it in the label file. If there is no such image any more, delete the "
    "labels.",
    example=Example("tire.jpg tire.xml wheel.xml", "tire.jpg tire.xml", FILES),
)
IMAGE_LISTED_TWICE = FindingKind(
    "ImageListedTwice",
    Severity.ERROR,
    meaning="Entries of one label file, or of two, are about the same images and have different labels.",
    effect="The entries may complete or contradict each other. With the wrong one, objects become background.",
    seen={
        "oneFile": "{count:image is|images are} listed more than once, with different labels, such as {example}",
        "twoFiles": "{count:image has|images have} other labels here than in {first}, such as {example}",
    },
    advice="If one file is an old version, delete it. If each has other objects, merge them: an image needs one entry "
    "with all of its objects.",
    example=Example(
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120},\n'
        '            {"id": 2, "file_name": "tire.jpg", "width": 160, "height": 120}],\n'
        ' "annotations": [{"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]},\n'
        '                 {"image_id": 2, "category_id": 7, "bbox": [90, 20, 50, 60]}],\n'
        ' "categories": [{"id": 7, "name": "tire"}]}\n',
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120}],\n'
        ' "annotations": [{"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]},\n'
        '                 {"image_id": 1, "category_id": 7, "bbox": [90, 20, 50, 60]}],\n'
        ' "categories": [{"id": 7, "name": "tire"}]}\n',
        "labels.json",
    ),
)
LABELS_REPEATED = FindingKind(
    "LabelsRepeated",
    Severity.INFO,
    meaning="Images are listed more than once, in one label file or in two, with the same labels each time.",
    effect="None: equal labels are used once.",
    seen={
        "whole": "repeats {first}: {count:image has|images have} the same labels there; the file can be deleted",
        "part": "{count:image has|images have} the same boxes of its classes in {first}, among others, such as "
        "{example}",
        "oneFile": "{count:image is|images are} listed more than once, with the same labels, such as {example}",
        "twoFiles": "{count:image has|images have} the same labels in {first}, such as {example}",
    },
    done="used the labels once",
    advice="Delete a file that repeats another. Nothing to do otherwise.",
    example=Example(
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120},\n'
        '            {"id": 2, "file_name": "tire.jpg", "width": 160, "height": 120}],\n'
        ' "annotations": [{"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]},\n'
        '                 {"image_id": 2, "category_id": 7, "bbox": [10, 20, 50, 60]}],\n'
        ' "categories": [{"id": 7, "name": "tire"}]}\n',
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120}],\n'
        ' "annotations": [{"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]}],\n'
        ' "categories": [{"id": 7, "name": "tire"}]}\n',
        "labels.json",
    ),
)
ENTRY_WITHOUT_BOXES = FindingKind(
    "EntryWithoutBoxes",
    Severity.WARNING,
    meaning="Images are listed more than once, in one label file or in two, and only one of the entries has boxes.",
    effect="Usually an entry was made before the image was labelled. If the boxes were deleted since, they are trained "
    "although they are wrong.",
    seen={
        "oneFile": "{count:image is|images are} also listed without boxes, such as {example}",
        "twoFiles": "{count:image has|images have} no boxes here, but in {first}, such as {example}",
    },
    done="used the boxes",
    advice="Delete the file or the entries that are out of date.",
    example=Example(
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120},\n'
        '            {"id": 2, "file_name": "tire.jpg", "width": 160, "height": 120}],\n'
        ' "annotations": [{"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]}],\n'
        ' "categories": [{"id": 7, "name": "tire"}]}\n',
        '{"images": [{"id": 1, "file_name": "tire.jpg", "width": 160, "height": 120}],\n'
        ' "annotations": [{"image_id": 1, "category_id": 7, "bbox": [10, 20, 50, 60]}],\n'
        ' "categories": [{"id": 7, "name": "tire"}]}\n',
        "labels.json",
    ),
)
IMAGE_AMBIGUOUS = FindingKind(
    "ImageAmbiguous",
    Severity.ERROR,
    meaning="Labels are for an image by a name that several images have, and no folder tells them apart.",
    effect="With the wrong image, every box is around something else.",
    seen="{count:image has|images have} that name: {images}",
    advice="Give each image its own name, and its labels the same; or, in a file that lists images, write their paths.",
    example=Example(
        "`labels.csv` lists `1.jpg`; there are `front/1.jpg` and `rear/1.jpg`.",
        "`labels.csv` lists `front/1.jpg` and `rear/1.jpg`.",
    ),
)
NAME_CLASH = FindingKind(
    "NameClash",
    Severity.WARNING,
    meaning="Two images have the same name, ignoring case, Unicode form and suffix.",
    effect="Only labels whose name is exactly the image's are used; the other image has none. On computers that "
    "ignore case, one image replaces the other.",
    seen="same name as {other}, ignoring case, Unicode form and suffix",
    done="paired each image with the labels of exactly its name, if there are any",
    advice="Give each image its own name.",
    example=Example("tire.jpg tire.xml Tire.jpg Tire.xml", "tire.jpg tire.xml wheel.jpg wheel.xml", FILES),
)
IMAGE_ELSEWHERE = FindingKind(
    "ImageElsewhere",
    Severity.ERROR,
    meaning="An image has the name that labels are for, but it is in another place, and something says that it is not "
    "the one: a folder that the labels name and that is there, a split (`train`, `val`), a folder of masks, or other "
    "labels.",
    effect="With the wrong image, every box is around something else. Frames of many videos and parts of many data "
    "sets have the same names.",
    seen={
        "contradicted": "the only image with this name is {other}, which is in another folder than the labels mean",
        "taken": "the only image with this name is {other}, which has other labels",
        "rivals": "the only image with this name is {other}, but other labels have this name too",
    },
    advice="Where several labels are for one image, keep those that are right, and the others in another place. Else, "
    "if it is the image, move it to the folder that the labels name, or write its path into the file that lists it. If "
    "it is not, add the image.",
    example=Example(
        "`labels.csv` lists `front/2.jpg`; there is `rear/2.jpg`.",
        "`labels.csv` lists `front/2.jpg`; there is `front/2.jpg`.",
    ),
)
NOTHING_PAIRED = FindingKind(
    "NothingPaired",
    Severity.ERROR,
    meaning="There are images and there are labels, but hardly any labels are for one of the images. This finding is "
    "in place of one for each image and each label file.",
    effect="Without labels, there is nothing to learn from.",
    seen={
        "names": f"names differ. {_LEFT}, such as {{second}}",
        "several": f"names are not unique. {_LEFT}, {{second}} is one of several with the name",
        "contradicted": f"folders contradict. {_LEFT}, {{second}} is in another folder than the labels mean",
        "taken": f"the images have other labels. {_LEFT}, such as {{second}}",
        "rivals": f"several labels have the same name. {_LEFT}, such as {{second}}",
    },
    advice="Compare the two names. Labels and their image need the same name, and the same folders apart from words "
    "such as `photos` and `xml`: `photos/train/1.jpg` and `xml/train/1.xml`. Rename one side; or "
    "{change[dataset.train.uri]}, if another one has the labels of these images.",
    example=Example("tire.jpg photo.xml", "tire.jpg tire.xml", FILES),
)
FOUND_BY_NAME = FindingKind(
    "FoundByName",
    Severity.INFO,
    meaning="The path of labels is not that of an image, but only one image can be meant. The table of the rules is in "
    "the user guide.",
    effect="None if it is the right image.",
    seen={
        "spelling": "{count:image|images} found by a name that is written as in an address: {second} for {first}",
        "suffix": "{count:image|images} found under another suffix: {second} for {first}",
        "folder": "{count:image|images} found in another folder: {second} for {first}",
        "inside": "{count:image|images} found by the name in the label file: {second} for {first}",
        "upload": "{count:image|images} found by the name before the upload to Label Studio: {second} for {first}",
    },
    done="used the labels for the image",
    advice="Look at the example. If it is the right image, there is nothing to do; otherwise give labels and image the "
    "same name.",
    example=Example("photos/tire.jpg xml/tire.xml", "tire.jpg tire.xml", FILES),
)
IMAGES_IGNORED = FindingKind(
    "ImagesIgnored",
    Severity.INFO,
    meaning="Some image files are not photos to learn from: masks that belong to an image of the same name, or what is "
    "beside the folders of a VOC tree.",
    effect="None. A mask that is taken for a photo would teach that it shows no object.",
    seen={
        "masks": "{count:mask|masks} of other images, such as {first}",
        "tree": "{count:image|images} outside JPEGImages/, such as {first}",
    },
    done="ignored these images",
    advice="If they are photos, move them to the folder of the others and label them.",
    example=Example("tire.jpg tire.xml masks/tire.png", "tire.jpg tire.xml", FILES),
)
