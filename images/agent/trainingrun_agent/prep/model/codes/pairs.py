"""Findings about which labels belong to which image."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import FILES, Example, FindingKind, Severity

_CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
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
    advice="Add the image to the folder, list it in the label file, or delete the labels.",
    example=Example("tire.jpg tire.xml wheel.xml", "tire.jpg tire.xml", FILES),
)
IMAGE_LISTED_TWICE = FindingKind(
    "ImageListedTwice",
    Severity.ERROR,
    meaning="Entries of one label file, or of two, are about the same images and have different labels.",
    effect="The entries may complete or contradict each other. With the wrong one, objects become background.",
    seen={
        "oneFile": "{count:image is|images are} listed more than once, with different labels: {example}",
        "twoFiles": "{count:image has|images have} other labels here than in {first}: {example}",
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
        "oneFile": "{count:image is|images are} listed more than once, with the same labels: {example}",
        "twoFiles": "{count:image has|images have} the same labels in {first}: {example}",
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
        "oneFile": "{count:image is|images are} also listed without boxes: {example}",
        "twoFiles": "{count:image has|images have} no boxes here, but in {first}: {example}",
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
    meaning="A label file names an image by a name that several images have.",
    effect="With the wrong image, every box is around something else.",
    seen="{labelFile} lists it, but {count} images have that name: {images}",
    advice="Write the paths of the images into the file, or give each image its own name.",
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
