"""Findings about image files: what their bytes are, and whether labels fit their size."""

from __future__ import annotations

from trainingrun_agent.prep.model.codes.kind import FILES, Example, FindingKind, Severity

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
    "page that a download saved under the image's name.",
    effect='TensorFlow stops the training: "Unable to decode bytes as JPEG, PNG, GIF, or BMP".',
    seen="not an image: the file begins with {start}",
    advice="Replace the file with the image itself, as JPEG, PNG, BMP, GIF, TIFF or WebP.",
    example=Example("`tire.jpg` is an HTML page.", "`tire.jpg` is the image."),
)
IMAGE_FORMAT_NOT_READ = FindingKind(
    "ImageFormatNotRead",
    Severity.ERROR,
    meaning="The image that was labelled is there, in a format that is not read: HEIC of a phone, a camera's own "
    "(raw), AVIF, JPEG XL or JPEG 2000; or a file has such a content under another name.",
    effect="None of the image's objects is trained.",
    seen={
        "labels": "its image {other} is {format}, which is not read",
        "content": "the content is {format}, which is not read",
    },
    advice="Convert such images to JPEG under the same name and upload those, for example with ImageMagick: "
    "`mogrify -auto-orient -format jpg *.heic`. The labels stay as they are.",
    example=Example("tire.heic tire.xml wheel.jpg wheel.xml", "tire.jpg tire.xml wheel.jpg wheel.xml", FILES),
)
IMAGES_LEFT_OUT = FindingKind(
    "ImagesLeftOut",
    Severity.WARNING,
    meaning="There are images in formats that are not read (HEIC, camera raw, AVIF, JPEG XL, JPEG 2000), with no "
    "labels and no copy of the same name in a format that is read.",
    effect="None of their objects is trained.",
    seen="{count:image is|images are} in a format that is not read ({format}), such as {first}",
    done="left out",
    advice="If they belong to the data set, convert them to JPEG, for example with ImageMagick "
    "(`mogrify -auto-orient -format jpg *.heic`), and label those.",
    example=Example("tire.jpg tire.xml wheel.dng", "tire.jpg tire.xml tire.dng", FILES),
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
    meaning="The image has floating-point pixels, as scientific TIFF files do, 16-bit channels that are stored one "
    "after the other, or a number of bits or channels that is not read.",
    effect="Which floating-point values are black and white is not defined: what the network would see is arbitrary.",
    seen={
        "float": "floating-point pixels",
        "planes": "a TIFF whose 16-bit channels are stored one after the other",
        "tiff": "a TIFF whose kind of pixels is not read, or whose header is damaged",
    },
    advice="Convert the image to JPEG or 8-bit PNG so that it looks as it should. For floating-point pixels you can "
    "also {change[dataset.intensityRange]}: the values that become black and white.",
    example=Example("`tire.tif` with 32-bit floating-point pixels.", "`tire.png` with 8 bits per channel."),
)
INTENSITY_SCALED = FindingKind(
    "IntensityScaled",
    Severity.INFO,
    meaning="Images have more than 8 bits a channel, such as 16-bit PNG or TIFF. Many cameras use only 10, 12 or 14 of "
    "16 bits. Unless the range is given, it is taken from 64 images of the data set, and kept for later preparations.",
    effect="The network sees 8 bits. Whoever uses it must scale images in the same way, or it finds little.",
    seen={
        "found": "images have more than 8 bits; values from {low} to {high}, which they use, become black to white",
        "full": "images have more than 8 bits, and no smaller range was found; {low} to {high} become black to white",
        "given": "values from {low} to {high} become black to white, as {field[dataset.intensityRange]} says",
    },
    done="scaled all images of more than 8 bits with this range",
    advice="Look at the pictures in the report. If they are too dark or too bright, {change[dataset.intensityRange]}. "
    "Scale images in the same way before the trained network sees them.",
    example=Example(
        "`tire.png` is gray with 16 bits a pixel, of which the camera used 14.", "`tire.png` with 8 bits a pixel."
    ),
)
INTENSITY_OUTSIDE = FindingKind(
    "IntensityOutside",
    Severity.WARNING,
    meaning="The image's values do not fit the range that the data set's images of more than 8 bits are scaled with: "
    "much of it is outside, or all of it in a small part. Another camera or another exposure took it.",
    effect="The network sees parts of the image as plain black or white, or the whole as nearly one gray level.",
    seen={
        "outside": "{percent} % of the pixels are outside of the values {low} to {high}, and become black or white",
        "narrow": "its values are from {least} to {greatest}, a small part of black to white, {low} to {high}",
    },
    done="scaled it like the others",
    advice="If many images are like this, {change[dataset.intensityRange]} that fits all of them; else bring these to "
    "the range of the others, or leave them out.",
    example=Example(
        "`tire.png` has values up to 4095, most other images up to 65535.", "`tire.png` has values up to 65535."
    ),
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
    meaning="EXIF says that the photo must be rotated, and nothing in the labels says whether they were drawn on the "
    "rotated one.",
    effect="Label tools show photos upright. If this one did not, every box of the image is in the wrong place.",
    seen={
        "same": "EXIF orientation {orientation}; rotated and unrotated, it has the same size, so labels fit both",
        "relative": "EXIF orientation {orientation}; labels in parts of the image's size fit it rotated and unrotated",
        "both": "EXIF orientation {orientation}; the labels have no size, and the boxes fit rotated and unrotated",
        "neither": "EXIF orientation {orientation}; the labels have no size, and the boxes fit neither way",
    },
    done="rotated the image upright, as label tools show it",
    advice="Look at the boxes in the report. If they are off, save the image upright without EXIF and label it again.",
    example=Example(
        "`tire.jpg`, 160 x 120 pixels, with EXIF orientation 3 (upside down).",
        "`tire.jpg` saved upright, without EXIF.",
    ),
)
ORIENTATION_BY_BOXES = FindingKind(
    "OrientationByBoxes",
    Severity.INFO,
    meaning="EXIF says that the photo must be rotated, the labels lack its size, and the boxes fit only one way.",
    effect="None if the boxes are right: what they were drawn on is trained.",
    seen={
        "upright": "EXIF orientation {orientation}; the boxes fit only the rotated image",
        "stored": "EXIF orientation {orientation}; the boxes fit only the image that is not rotated",
    },
    done="used the image as the boxes fit it",
    advice="Nothing to do if the boxes look right in the report.",
    example=Example(
        "`tire.jpg`, stored with 160 x 120 pixels and EXIF orientation 6 (a quarter turn); the box ends at x = 150.",
        "`tire.jpg` saved as it was labelled, without EXIF.",
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
OBJECT_ARCHIVED = FindingKind(
    "ObjectArchived",
    Severity.ERROR,
    meaning="The file is in an archive of the storage, such as S3 Glacier or Deep Archive. A rule of the bucket moves "
    "objects there that are old or rarely read; they are listed as before.",
    effect="The file is missing from the data set until it is restored.",
    seen={
        "plain": "archived, so that it cannot be read before it is restored",
        "class": "archived in storage class {storageClass}, so that it cannot be read before it is restored",
    },
    advice="Restore it, which can take hours, or copy it to a storage class that can be read at once; then {retry}.",
    example=Example(
        "A rule moves `tire.jpg` to storage class GLACIER.", "`tire.jpg` is restored, or in storage class STANDARD."
    ),
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
