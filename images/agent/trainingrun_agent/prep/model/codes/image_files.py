"""Findings about image files: what their bytes are, and whether labels fit their size."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import Example, FindingKind, Severity

_CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
_SAVE_AGAIN = "Open the image in a viewer and save it again as JPEG."
_WRONG_PLACES = "Every box of the image would be in the wrong place, so the network would learn background as objects."

IMAGE_EMPTY = FindingKind(
    "ImageEmpty",
    Severity.ERROR,
    meaning="The image file has no content: an upload or a download failed.",
    effect="TensorFlow cannot decode the record and stops the training.",
    seen="the file is empty",
    advice="Replace the file with the image.",
    example=Example("`tire.jpg` has 0 bytes.", "`tire.jpg` is the image."),
)
IMAGE_UNREADABLE = FindingKind(
    "ImageUnreadable",
    Severity.ERROR,
    meaning="The content is not an image of a supported format, whatever the name says. Often it is the HTML error "
    "page that a download saved under the image's name, or a photo in the camera's own format.",
    effect='TensorFlow stops the training: "Unable to decode bytes as JPEG, PNG, GIF, or BMP".',
    seen="not an image: the file begins with {start}",
    advice="Replace the file with the image itself, as JPEG, PNG, BMP, GIF, TIFF or WebP.",
    example=Example("`tire.jpg` is an HTML page.", "`tire.jpg` is the image."),
)
IMAGE_TRUNCATED = FindingKind(
    "ImageTruncated",
    Severity.ERROR,
    meaning="The image data ends too early: a copy or an upload was cut off. Many viewers show such a file without "
    "complaint.",
    effect='TensorFlow stops the training with "Invalid JPEG data", even when only the last two bytes are missing.',
    seen={"decoder": "{problem}", "end": "the marker at the end of the image is missing"},
    advice="The end of the file is missing: replace the file with a complete copy.",
    example=Example("`tire.jpg` without its last 2 bytes.", "`tire.jpg` complete."),
)
IMAGE_CORRUPT = FindingKind(
    "ImageCorrupt",
    Severity.ERROR,
    meaning="The file begins as an image does, but its data cannot be decoded.",
    effect="TensorFlow stops the training at such a record, or trains on a damaged picture.",
    seen="cannot be decoded: {problem}",
    advice=_SAVE_AGAIN,
    example=Example("`tire.png` with one wrong byte, so that its checksum does not fit.", "`tire.png` undamaged."),
)
IMAGE_CRASHES_DECODER = FindingKind(
    "ImageCrashesDecoder",
    Severity.ERROR,
    meaning="The image library crashed, or ran out of memory, while decoding the file.",
    effect="A file that crashes one decoder may crash TensorFlow's too, and end the training.",
    seen="the image decoder crashed on it",
    advice=_SAVE_AGAIN,
    example=Example("An image that ends the process that decodes it.", "The same image, saved again as JPEG."),
)
IMAGE_UNSUPPORTED = FindingKind(
    "ImageUnsupported",
    Severity.ERROR,
    meaning="The image has floating-point pixels, as scientific TIFF files do.",
    effect="Which values are black and white is not defined, so what the network would see is arbitrary.",
    seen="floating-point pixels",
    advice="Convert the image to JPEG or 8-bit PNG so that it looks as it should.",
    example=Example("`tire.tif` with 32-bit floating-point pixels.", "`tire.png` with 8 bits per channel."),
)
IMAGE_TOO_LARGE = FindingKind(
    "ImageTooLarge",
    Severity.ERROR,
    meaning="Decoding the image would take more memory or time than preparation may use. A baseline JPEG may have 100 "
    "million pixels, a progressive JPEG or any other format 20 million; a side may have 65535.",
    effect="An image this large is of little use: the network scales it down to a few hundred pixels, so that its "
    "objects can hardly be seen.",
    seen={
        "header": "{width} x {height} pixels; at most {limit} million are decoded",
        "decoded": "{width} x {height} pixels after decoding; at most {limit} million are kept",
        "bomb": "more than {limit} million pixels",
        "side": "{width} x {height} pixels; a side may have at most {limit}",
        "scans": "a JPEG of {count} scans; at most {limit} are decoded",
    },
    advice="Cut the image into tiles and label those, or save it as a baseline JPEG.",
    example=Example("A PNG of 5000 x 5000 pixels.", "The same picture as a baseline JPEG."),
)
IMAGE_ANIMATED = FindingKind(
    "ImageAnimated",
    Severity.WARNING,
    meaning="The file has several frames, as an animated GIF does.",
    effect="If another frame than the first was labelled, the network learns from boxes around the wrong things.",
    seen="{format} with several frames",
    done="used the first frame",
    advice="Save the frame that was labelled as a JPEG.",
    example=Example("`tire.gif` with two frames.", "`tire.gif` with one frame."),
)
FORMAT_MISMATCH = FindingKind(
    "FormatMismatch",
    Severity.INFO,
    meaning="The name says one format and the content is another, such as a PNG named .jpg.",
    effect="None: preparation goes by the content.",
    seen="the content is {format}",
    done="read it as what it is",
    advice="Nothing to do; other tools may trust the name.",
    example=Example("`tire.jpg` is a PNG.", "`tire.png` is a PNG."),
)
SIZE_MISMATCH = FindingKind(
    "SizeMismatch",
    Severity.ERROR,
    meaning="The labels were drawn on an image of another size: the image was scaled or cropped afterwards.",
    effect=_WRONG_PLACES,
    seen="labelled at {labelled[0]} x {labelled[1]} pixels, but the image has {image[0]} x {image[1]}",
    advice="Use the image that was labelled, or label this one.",
    example=Example(
        f"{_CSV}tire.jpg,320,240,tire,20,40,120,160\n", f"{_CSV}tire.jpg,160,120,tire,10,20,60,80\n", "labels.csv"
    ),
)
SIZE_TRANSPOSED = FindingKind(
    "SizeTransposed",
    Severity.ERROR,
    meaning="Width and height in the labels are those of the image the other way round, and no EXIF rotation explains "
    "it: the image was rotated after it was labelled.",
    effect=_WRONG_PLACES,
    seen="labelled at {labelled[0]} x {labelled[1]} pixels, but the image has {image[0]} x {image[1]} and no EXIF "
    "rotation",
    advice="The image was rotated after it was labelled: label it again.",
    example=Example(
        f"{_CSV}tire.jpg,120,160,tire,20,10,80,60\n", f"{_CSV}tire.jpg,160,120,tire,10,20,60,80\n", "labels.csv"
    ),
)
SIZE_MISSING = FindingKind(
    "SizeMissing",
    Severity.INFO,
    meaning="The labels do not say the image's size, or say 0 x 0. LabelImg writes zeros when it cannot read the "
    "image.",
    effect="None if the boxes fit. Without the size, preparation cannot notice that the image was scaled after it was "
    "labelled.",
    seen="no usable image size in the labels",
    done="used the size of the image",
    advice="Nothing to do if the boxes look right in the report.",
    example=Example(
        f"{_CSV}tire.jpg,0,0,tire,10,20,60,80\n", f"{_CSV}tire.jpg,160,120,tire,10,20,60,80\n", "labels.csv"
    ),
)
ORIENTATION_AMBIGUOUS = FindingKind(
    "OrientationAmbiguous",
    Severity.WARNING,
    meaning="EXIF says that the photo must be rotated, and the size in the labels fits it both rotated and unrotated.",
    effect="Label tools show photos upright. If this one did not, every box of the image is in the wrong place.",
    seen="EXIF orientation {orientation}, and the labels fit the image both rotated and unrotated",
    done="rotated the image upright, as label tools show it",
    advice="Look at the boxes in the report. If they are off, save the image upright without EXIF and label it again.",
    example=Example(
        "`tire.jpg`, 160 x 120 pixels, with EXIF orientation 3 (upside down).",
        "`tire.jpg` saved upright, without EXIF.",
    ),
)
FILE_TOO_LARGE = FindingKind(
    "FileTooLarge",
    Severity.ERROR,
    meaning="The file has more bytes than preparation reads: 32 MiB for an image, 4 MiB (LabelMe: 32 MiB) for the "
    "labels of one image, 8 GiB for the labels of a whole data set.",
    effect="None by itself. An image of this size is scaled down to a few hundred pixels anyway.",
    seen="{size} bytes; at most {limit} are read",
    advice="Make the file smaller: compress the image, or export the labels without embedded images.",
    example=Example("`tire.jpg` has 33 MiB.", "`tire.jpg` saved with a lower JPEG quality."),
)
KEY_NOT_LISTED = FindingKind(
    "KeyNotListed",
    Severity.ERROR,
    meaning="The storage server lists the object under another key than the one it is stored under, so that it cannot "
    "be read. Servers do that with control characters, and with other characters that XML cannot carry.",
    effect="The file is missing from the data set, although it is in the bucket.",
    seen={
        "other": "the key of this object cannot be listed: the server lists {key}, but has no object of this key",
        "twice": "the key of this object cannot be listed: the server lists {key} more than once",
    },
    advice="Upload the file again under a name without control characters and other unusual ones, and delete the old "
    "object.",
    example=Example("A server lists the object `tire\\x01.jpg` as `tire?.jpg`.", "The object is called `tire.jpg`."),
)
OBJECT_CHANGED = FindingKind(
    "ObjectChanged",
    Severity.ERROR,
    meaning="The file was replaced or deleted while the data was being prepared.",
    effect="Images of one state of the data and labels of another may not fit together. Such a data set is never "
    "used: preparation fails with DataChanged.",
    seen={
        "gone": "listed with {size} bytes, then deleted",
        "replaced": "listed with {size} bytes, then replaced",
        "size": "listed with {size} bytes, then {found} bytes were read",
    },
    advice="Wait until no more files change, then {retry}.",
    example=Example("`tire.jpg` is uploaded again while it is read.", "`tire.jpg` stays as it is."),
)
