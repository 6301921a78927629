"""Findings about a whole split: balance, sizes, images that are in the data more than once."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import Example, FindingKind, Severity

_SEEN_BEFORE = "Scores will be inflated: the model has already seen this image."

LABELS_ELSEWHERE = FindingKind(
    "LabelsElsewhere",
    Severity.INFO,
    meaning="The labels are not in the folder with the images. They were found in a folder or file beside it, or above "
    "it, or they are in the folder that was named for them, which has labels of other images too.",
    effect="None if they are the right labels. Labels of another data set with the same names would put every box in "
    "the wrong place.",
    seen={
        "all": "the labels were found here, outside of the folder with the images: {count:file|files}",
        "some": "the labels were found here, outside of the folder with the images: {count:file|files}; {others} more "
        "belong to no image of it",
        "named": "{count:file belongs|files belong} to the images; {others} more belong to no image of the folder",
        "images": "it lists {others} more images, which are not in the folder",
    },
    done="used the labels of the images that are there",
    advice="Nothing to do if they are the right ones. To use others, {change[dataset.train.labels.uri]}.",
    example=Example(
        "`train/tire.jpg` and `labels/tire.xml`, with `train/` as the folder.", "`train/tire.jpg` and `train/tire.xml`."
    ),
)
SPLITS_POOLED = FindingKind(
    "SplitsPooled",
    Severity.WARNING,
    meaning="The folder for training has parts that its authors kept apart: folders such as train, valid and test, or "
    "the image sets of a VOC tree. All of them are used as one.",
    effect="Images that were meant for evaluation are trained on. Scores cannot be compared with those of others, and "
    "are too high if the authors kept images of one scene in one part.",
    seen={
        "folders": "there are splits, with images: {parts}; to keep them apart, train on {train} and evaluate on "
        "{eval}",
        "sets": "there are lists of splits; to keep them apart, train on image set {train} and evaluate on image set "
        "{eval} of the same folder",
        "lists": "{parts} list the images of splits, and are not read; to keep them apart, put the images of each into "
        "a folder of its own",
    },
    done="used all of it",
    advice="To keep the parts apart, {change[dataset.train.uri]}, with {field[dataset.eval.uri]} for evaluation in "
    "place of {field[dataset.evalFraction]}. Nothing to do if the parts mean nothing to you.",
    example=Example(
        "`train/tire.jpg` and `test/wheel.jpg` with their labels, and the folder of both for training.",
        "The same files, with `train/` for training and `test/` for evaluation.",
    ),
)
EVAL_INSIDE_TRAIN = FindingKind(
    "EvalInsideTrain",
    Severity.WARNING,
    meaning="One of the two folders, for training and for evaluation, is inside the other.",
    effect="Images are in both splits, so the scores are those of images that the model has already seen.",
    seen={
        "inside": "{eval} is inside {train}, so {count:image|images} for evaluation are images for training, too",
        "around": "{train} is inside {eval}, so {count:image|images} for training are images for evaluation, too",
    },
    done="used both folders as they are",
    advice="Name two folders that have no image in common: {change[dataset.train.uri]} or {field[dataset.eval.uri]}.",
    example=Example(
        "`set/` for training, `set/test/` for evaluation.", "`set/train/` for training, `set/test/` for evaluation."
    ),
)
CLASS_WITHOUT_EVAL = FindingKind(
    "ClassWithoutEval",
    Severity.WARNING,
    meaning="No image for evaluation has an object of this class.",
    effect="The class is trained, but mAP says nothing about how well it is detected.",
    seen={
        "nowhere": "no box of class {name!r} in the eval split",
        "drawn": "no box of class {name!r} in the eval split: all {count} are in train, in {groups:group|groups}, first"
        " {group}",
        "seed": "no box of class {name!r} in the eval split: all {count} are in train, in {groups:group|groups}, first"
        " {group}; {field[dataset.splitSeed]} {seed} puts every class into both splits",
    },
    done="left the class out of mAP",
    advice="Label images with this class for evaluation. If a part of one folder is used for evaluation, you can also "
    "{change[dataset.splitSeed]} or {field[dataset.evalFraction]}; one group is only divided with "
    "{field[dataset.splitGroup]} image.",
    example=Example("No eval image has the class `hub`.", "An eval image has a box of class `hub`."),
)
EVAL_TOO_SMALL = FindingKind(
    "EvalTooSmall",
    Severity.WARNING,
    meaning="There are fewer than 20 images for evaluation, or fewer than 5 boxes of a class in them.",
    effect="Scores are mostly chance: other images of the same kind would give others, and a difference between two "
    "runs says little.",
    seen={
        "images": "{count:image|images} for evaluation: a score of 50 % may be off by {points} points (95 % interval)",
        "class": "{count:box|boxes} of class {name!r} for evaluation: a recall of 50 % may be off by {points} points "
        "(95 % interval)",
    },
    done="evaluates on what is there",
    advice="Label more images for evaluation. If a part of one folder is used for it, you can also "
    "{higher[dataset.evalFraction]}.",
    example=Example("One image for evaluation.", "20 images for evaluation, with 5 boxes of each class."),
)
CLASS_IMBALANCE = FindingKind(
    "ClassImbalance",
    Severity.WARNING,
    meaning="A class has less than a twentieth of the boxes of the most frequent class.",
    effect="The network learns the rare class last and worst, and detects it rarely.",
    seen="{count:box|boxes} of class {name!r}, but {mostCount} of {most!r}",
    done="changed nothing: every box counts the same",
    advice="Add images with the rare class.",
    example=Example("21 boxes of class `tire`, one of class `hub`.", "20 boxes of class `tire`, one of class `hub`."),
)
BOXES_TOO_SMALL = FindingKind(
    "BoxesTooSmall",
    Severity.WARNING,
    meaning="More than a twentieth of the boxes of a split are BoxTooSmall.",
    effect="The network learns little from boxes this small. Scores stay low however long it is trained.",
    seen="shorter than {leastSide} pixels once {network} scales images to {side} pixels: {count} of {of:box|boxes}",
    done="kept for training",
    advice="Cut the images into tiles before labelling, or {change[model.network]} that has a larger input.",
    example=Example("One of two boxes is 3 pixels wide.", "Both boxes are 50 pixels wide."),
)
BOXES_BEYOND_IMAGES = FindingKind(
    "BoxesBeyondImages",
    Severity.WARNING,
    meaning="More than half of all boxes reach beyond their images. BoxClipped and BoxOutside name each. That is no "
    "chance: the numbers mean something else than the format says, such as corners in place of width and height, or "
    "the images had another size when they were labelled.",
    effect="Boxes that are clipped to the image are trained as they are, around the wrong part of it.",
    seen="{count} of {of:box reaches|boxes reach} beyond the image",
    done="clipped the boxes to their images",
    advice="Look at the boxes in the report. Where they are off, write what the format asks for, or use the images "
    "that were labelled.",
    example=Example(
        "20 boxes of a CSV with the columns `x`, `y`, `width` and `height`, whose last two are `xmax` and `ymax`.",
        "The same numbers in the columns `xmin`, `ymin`, `xmax` and `ymax`.",
    ),
    urgent=True,
)
IMAGES_MUCH_LARGER = FindingKind(
    "ImagesMuchLarger",
    Severity.INFO,
    meaning="Images are more than four times as large as the network's input.",
    effect="Details get lost: an object of 40 pixels in such an image is less than 10 pixels for the network.",
    seen="more than {times} times as large as the {side} pixels that {network} uses: {count} of {of:image|images}",
    done="scaled the images down to {field[dataset.maxImageSide]}",
    advice="Nothing to do if the objects stay large enough. Smaller images are uploaded and prepared faster.",
    example=Example(
        "An image of 1280 x 960 pixels for a network that scales it to 300.", "The image at 640 x 480 pixels."
    ),
)
DUPLICATE_IMAGE = FindingKind(
    "DuplicateImage",
    Severity.WARNING,
    meaning="Two images of a split are the same, byte by byte, and have the same boxes.",
    effect="The image counts twice; what it shows weighs more than the rest.",
    seen="byte-identical to {other}, with the same boxes",
    done="kept both",
    advice="Delete one of the two.",
    example=Example("`wheel.jpg` is a copy of `tire.jpg`, with the same boxes.", "`tire.jpg` alone."),
)
DUPLICATE_CONTRADICTS = FindingKind(
    "DuplicateContradicts",
    Severity.WARNING,
    meaning="Two images of a split are the same, byte by byte, but have different boxes.",
    effect="The network is taught that the same pixels are an object and background.",
    seen="byte-identical to {other}, but with different boxes",
    done="kept both",
    advice="Decide which boxes are right, and delete the other image.",
    example=Example("`wheel.jpg` is a copy of `tire.jpg`, with another box.", "`tire.jpg` alone."),
)
EVAL_IMAGES_IN_TRAIN = FindingKind(
    "EvalImagesInTrain",
    Severity.WARNING,
    meaning="Images for evaluation are training images, byte by byte, or look like one. DuplicateAcrossSplits and "
    "NearDuplicateAcrossSplits name each of them.",
    effect="Scores measure what the model remembers: they say little about images that it has not seen.",
    seen={
        "images": "{count} of {of:image|images} for evaluation are training images; {like} more look like one",
        "evalInside": "{count} of {of:image|images} for evaluation are training images; {like} more look like one: "
        "the folder of {field[dataset.eval.uri]} is inside that of {field[dataset.train.uri]}",
        "trainInside": "{count} of {of:image|images} for evaluation are training images; {like} more look like one: "
        "the folder of {field[dataset.train.uri]} is inside that of {field[dataset.eval.uri]}",
    },
    done="kept them in both splits",
    advice="Evaluate on other images: a folder of its own, not inside the other, or {field[dataset.evalFraction]}.",
    example=Example(
        "`tire.jpg` is in the train and in the eval folder.", "The eval folder has another photo, `hub.jpg`."
    ),
    urgent=True,
)
DUPLICATE_ACROSS_SPLITS = FindingKind(
    "DuplicateAcrossSplits",
    Severity.WARNING,
    meaning="The same image, byte by byte, is in both splits.",
    effect=_SEEN_BEFORE,
    seen={
        "sameBoxes": "byte-identical to {otherSplit}/{other}, with the same boxes",
        "otherBoxes": "byte-identical to {otherSplit}/{other}, but with different boxes",
    },
    done="kept both",
    advice="Remove the image from one of the splits.",
    example=Example("`train/tire.jpg` and `eval/tire.jpg` are the same file.", "`eval/tire.jpg` is another photo."),
)
NEAR_DUPLICATE_ACROSS_SPLITS = FindingKind(
    "NearDuplicateAcrossSplits",
    Severity.WARNING,
    meaning="An image for evaluation looks like one for training: their difference hashes differ in at most 7 of "
    "128 bits. Often it is a scaled copy or the next frame of a video.",
    effect="Scores will be inflated if both show the same scene: the model has already seen it.",
    seen="looks like {otherSplit}/{other}: their difference hashes differ in {bits} of {of} bits",
    done="kept both",
    advice="If both show the same scene, move them to the same split.",
    example=Example(
        "`eval/tire.jpg` is `train/tire.jpg`, saved with a lower quality.", "`eval/tire.jpg` is another photo."
    ),
)
PATH_IGNORED = FindingKind(
    "PathIgnored",
    Severity.WARNING,
    meaning="A path in a local folder is no file that can be read like an object in a bucket: a link that leads out of "
    "the folder, a link to a folder, a name that is not UTF-8, or something that is neither file nor folder.",
    effect="If the path is part of the data, the data set is smaller than you think.",
    seen="{problem}",
    done="ignored the path",
    advice="If it is part of the data, put the file itself there, with a name in UTF-8.",
    example=Example("`tire.jpg` is a link to a file in another folder.", "`tire.jpg` is a copy of that file."),
)
