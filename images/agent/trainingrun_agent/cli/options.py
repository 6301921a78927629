"""Options that several commands share. Only the standard library is imported, so that --help is instant.

Invariant: what is accepted here has the bounds of the same field of a TrainingRun (manifests/crd).
"""

from __future__ import annotations

import argparse
import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

FORMATS = (
    "auto",
    "pascalVOC",
    "tutorialCSV",
    "coco",
    "yolo",
    "cvat",
    "labelMe",
    "via",
    "labelStudio",
    "openImages",
    "createML",
    "csv",
)
NETWORKS = (
    "ssd_inception_v2",
    "ssd_mobilenet_v1",
    "ssd_mobilenet_v2",
    "ssdlite_mobilenet_v2",
    "ssd_mobilenet_v1_quantized",
    "ssd_mobilenet_v2_quantized",
    "ssd_mobilenet_v1_fpn",
    "ssd_resnet50_fpn",
    "faster_rcnn_inception_v2",
    "faster_rcnn_resnet50",
    "faster_rcnn_resnet101",
    "faster_rcnn_inception_resnet_v2",
    "rfcn_resnet101",
    "ssd_mobilenet_v1_0.25_128",
)
DEFAULT_BAD_FILES, DEFAULT_SIDE, DEFAULT_REGION = "0", 1024, "us-east-1"
FAIL_ON = ("error", "warning", "never")
SPLIT_GROUPS = ("sequence", "folder", "image")
MIN_INTENSITY, MAX_INTENSITY = -(1 << 31), (1 << 31) - 1
MAX_CLASSES, MAX_CLASS_NAME, MAX_CLASSES_FILE = 500, 100, 1 << 20
REPORT_EXIT_CODES = """\
exit codes:
  0    no finding at or above --fail-on
  1    findings at or above --fail-on, or more bad files than --max-bad-files
  2    wrong arguments; data that cannot be read or used for training; nowhere to write
  130  interrupted
"""
CREDENTIALS = """\
Credentials are read from where AWS's own tools read them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
the files of AWS_PROFILE, or the role of the machine or pod. Certificates: AWS_CA_BUNDLE.
"""


class InBucket(NamedTuple):
    """A folder in a bucket; `key` ends in a slash or is empty."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def add_data(parser: argparse.ArgumentParser) -> None:
    """The data, and what it is meant for."""
    parser.add_argument(
        "folder",
        type=_place,
        metavar="FOLDER",
        help="folder with images and their labels, for training; s3://BUCKET/PREFIX/ is one in a bucket",
    )
    places = parser.add_argument_group(
        "evaluation data (default: all images are for training)"
    ).add_mutually_exclusive_group()
    places.add_argument("--eval", type=_place, metavar="FOLDER", help="folder with images and labels for evaluation")
    places.add_argument(
        "--eval-fraction",
        type=_fraction,
        metavar="F",
        help="share of the images in FOLDER that are for evaluation, such as 0.15; chosen by their names",
    )
    split = parser.add_argument_group("with --eval-fraction")
    split.add_argument(
        "--split-seed", type=_seed, metavar="N", help="another number selects other images for evaluation (default: 0)"
    )
    split.add_argument(
        "--split-group",
        choices=SPLIT_GROUPS,
        help="what stays in one split: images numbered in sequence, a folder, or only each image (default: sequence)",
    )
    _add_labels(parser.add_argument_group("labels"))
    _add_rules(parser.add_argument_group("rules"))
    add_server(parser.add_argument_group("with s3://BUCKET/PREFIX/"))


def add_server(server: argparse._ActionsContainer) -> None:
    """The server of a bucket."""
    server.add_argument(
        "--endpoint", metavar="URL", help="address of an S3-compatible server (default: AWS_ENDPOINT_URL, or AWS)"
    )
    server.add_argument(
        "--region", metavar="NAME", help="AWS region (default: from your AWS configuration, or us-east-1)"
    )
    server.add_argument(
        "--addressing",
        choices=("path", "virtual"),
        help="where the bucket stands in URLs: in the path, or in the host name (default: path with --endpoint, else"
        " virtual)",
    )


def _add_labels(labels: argparse._ArgumentGroup) -> None:
    labels.add_argument(
        "--format", choices=FORMATS, default="auto", help="format of the labels (default: recognised from the files)"
    )
    labels.add_argument(
        "--labels",
        type=_place,
        metavar="FOLDER",
        help="folder with the labels (default: among the images, or in a folder beside them)",
    )
    labels.add_argument("--eval-labels", type=_place, metavar="FOLDER", help="the same for the images of --eval")
    names = labels.add_mutually_exclusive_group()
    names.add_argument(
        "--classes",
        type=_classes,
        metavar="A,B",
        help="class names in the order of their ids (default: the names in the labels)",
    )
    names.add_argument(
        "--classes-file", type=_classes_file, dest="classes", metavar="FILE", help="file with one class name per line"
    )
    labels.add_argument("--image-set", metavar="NAME", help="VOC tree: only the images in ImageSets/Main/NAME.txt")
    labels.add_argument("--eval-image-set", metavar="NAME", help="the same for evaluation, also without --eval")


def _add_rules(rules: argparse._ArgumentGroup) -> None:
    rules.add_argument(
        "--max-bad-files",
        type=_bad_files,
        default=DEFAULT_BAD_FILES,
        metavar="N",
        help="files that may be unusable: a count such as 5, or a share of the images such as 1%% (default: 0)",
    )
    rules.add_argument(
        "--max-image-side",
        type=_side,
        default=DEFAULT_SIDE,
        metavar="N",
        help="scale larger images down to this many pixels (default: 1024)",
    )
    rules.add_argument(
        "--intensity-range",
        type=_intensity_range,
        metavar="LOW,HIGH",
        help="images of more than 8 bits: the values that become black and white (default: found from 64 images)",
    )
    rules.add_argument(
        "--network",
        choices=NETWORKS,
        default=NETWORKS[0],
        metavar="NAME",
        help="compare boxes with the input size and anchors of this network:"
        f" {', '.join(NETWORKS)} (default: {NETWORKS[0]})",
    )


def add_object(parser: argparse.ArgumentParser) -> None:
    """The TrainingRun to write, and what it says that the data does not."""
    written = parser.add_argument_group("the TrainingRun that trains on this data")
    written.add_argument("--write", type=Path, metavar="FILE", help="write it to FILE, for kubectl apply")
    written.add_argument("--force", action="store_true", help="write FILE also if it exists")
    written.add_argument("--name", type=_name, help="name of the run (default: from the name of FOLDER)")
    written.add_argument(
        "--uri", type=place_in_bucket, metavar="URI", help="where FOLDER is or will be, such as s3://photos/defects/"
    )
    written.add_argument(
        "--bucket", type=_bucket, metavar="NAME", help="bucket of the run (default: that of the images)"
    )
    written.add_argument(
        "--secret",
        type=_secret,
        default="trainingrun-s3",
        metavar="NAME",
        help="Secret with the credentials of the bucket (default: trainingrun-s3)",
    )
    written.add_argument("--steps", type=_steps, default=20_000, metavar="N", help="steps to train (default: 20000)")


def add_report(parser: argparse.ArgumentParser, *, fail_on: str) -> None:
    """Which reports to write, and when to fail; `fail_on` is the default."""
    output = parser.add_argument_group("output")
    output.add_argument("--html", type=Path, metavar="FILE", help="write the report with pictures to FILE")
    output.add_argument(
        "--json", type=Path, metavar="FILE", help="write the report as JSON to FILE; - is standard output"
    )
    output.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        default=fail_on,
        help="exit with code 1 if there are findings of this severity or a higher one (default: %(default)s)",
    )
    output.add_argument("-q", "--quiet", action="store_true", help="print no progress")


def _place(text: str) -> Path | InBucket:
    if not text.startswith("s3://"):
        return Path(text)
    return place_in_bucket(text)


def place_in_bucket(text: str) -> InBucket:
    """Parse `s3://bucket/prefix`, with or without a slash at the end."""
    bucket, _, key = text.removeprefix("s3://").partition("/")
    good = text.startswith("s3://") and re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket) and key.isprintable()
    if not good or key.startswith("/") or ".." in key.split("/"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder in a bucket, such as s3://photos/defects/")
    return InBucket(bucket, key if key.endswith("/") or not key else f"{key}/")


def _bucket(text: str) -> str:
    return place_in_bucket(f"s3://{text}/").bucket


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of at most 40 characters of a-z, 0-9 and '-'")
    return text


def _secret(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a Secret")
    return text


def _steps(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,7}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of steps, 1 or more")
    return int(text)


def _fraction(text: str) -> Decimal:
    if not re.fullmatch(r"0?\.\d{1,4}", text) or not Decimal(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a fraction between 0 and 1, such as 0.15")
    return Decimal(text)


def _seed(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def _side(text: str) -> int:
    if not re.fullmatch(r"\d{2,4}", text) or not 64 <= int(text) <= 8192:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of pixels from 64 to 8192")
    return int(text)


def _intensity_range(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"-?\d{1,10},-?\d{1,10}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not two whole numbers, such as 0,16383")
    low, high = map(int, text.split(","))
    if not MIN_INTENSITY <= low < high <= MAX_INTENSITY:
        raise argparse.ArgumentTypeError(f"{text!r} is no range: the first value must be below the second")
    return low, high


def _bad_files(text: str) -> str:
    if not re.fullmatch(r"\d+|\d+(\.\d+)?%", text) or len(text) > 16:
        raise argparse.ArgumentTypeError(f'{text!r} is neither a count such as "5" nor a percentage such as "1%"')
    return text


def _classes(text: str) -> tuple[str, ...]:
    return _checked(tuple(name.strip() for name in text.split(",")))


def _classes_file(text: str) -> tuple[str, ...]:
    try:
        with Path(text).open(encoding="utf-8-sig") as file:
            content = file.read(MAX_CLASSES_FILE)
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(
            f"{text} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        ) from error
    return _checked(tuple(name for line in content.splitlines() if (name := line.strip())))


def _checked(names: tuple[str, ...]) -> tuple[str, ...]:
    bad = next((name for name in names if not name.isprintable() or not 0 < len(name) <= MAX_CLASS_NAME), None)
    if bad is not None:
        raise argparse.ArgumentTypeError(f"{bad!r} is not a class name: 1 to {MAX_CLASS_NAME} printable characters")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise argparse.ArgumentTypeError(f"{twice!r} is listed twice")
    if not 0 < len(names) <= MAX_CLASSES:
        raise argparse.ArgumentTypeError(f"{len(names)} class names, but there can be 1 to {MAX_CLASSES}")
    return names
