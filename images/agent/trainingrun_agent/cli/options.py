"""The options of the commands. Only the standard library is imported, so that --help is there at once.

Invariant: what is accepted here has the bounds of the same field of a TrainingRun (manifests/crd).
"""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

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
)
NETWORKS = (
    "ssd_inception_v2",
    "ssd_mobilenet_v1",
    "ssd_mobilenet_v2",
    "faster_rcnn_inception_v2",
    "faster_rcnn_resnet50",
    "ssd_mobilenet_v1_0.25_128",
)
FAIL_ON = ("error", "warning", "never")
SPLIT_GROUPS = ("sequence", "folder", "image")
MAX_CLASSES, MAX_CLASS_NAME, MAX_CLASSES_FILE = 500, 100, 1 << 20
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def add_data(command: argparse.ArgumentParser) -> None:
    """The options of `doctor` and `convert`: where the data is, and what it is wanted for."""
    command.add_argument("folder", type=Path, metavar="FOLDER", help="images and their labels, for training")
    places = command.add_argument_group(
        "evaluation data (none: everything is for training)"
    ).add_mutually_exclusive_group()
    places.add_argument("--eval", type=Path, metavar="FOLDER", help="a folder of its own")
    places.add_argument(
        "--eval-fraction", type=_fraction, metavar="F", help="this share of FOLDER, such as 0.15, chosen by names"
    )
    split = command.add_argument_group("with --eval-fraction")
    split.add_argument("--split-seed", type=_seed, metavar="N", help="another number, another choice (default: 0)")
    split.add_argument(
        "--split-group",
        choices=SPLIT_GROUPS,
        help="what is never parted: images numbered in sequence, a folder, or nothing but an image (default: sequence)",
    )
    labels = command.add_argument_group("labels")
    labels.add_argument("--format", choices=FORMATS, default="auto", help="format of the labels (default: recognised)")
    names = labels.add_mutually_exclusive_group()
    names.add_argument(
        "--classes",
        type=_classes,
        metavar="A,B",
        help="class names, in the order of their ids (default: the names found)",
    )
    names.add_argument(
        "--classes-file", type=_classes_file, dest="classes", metavar="FILE", help="the same, one a line"
    )
    labels.add_argument("--image-set", metavar="NAME", help="of a VOC tree: only images of ImageSets/Main/NAME.txt")
    labels.add_argument("--eval-image-set", metavar="NAME", help="the same for evaluation, also without --eval")
    rules = command.add_argument_group("rules")
    rules.add_argument(
        "--max-bad-files",
        type=_bad_files,
        default="0",
        metavar="N",
        help="files that may be unusable: 5, or 1%% of the images (default: 0)",
    )
    rules.add_argument(
        "--max-image-side",
        type=_side,
        default=1024,
        metavar="N",
        help="pixels; larger images are scaled down (default: 1024)",
    )
    rules.add_argument(
        "--network",
        choices=NETWORKS,
        default=NETWORKS[0],
        metavar="NAME",
        help=f"whose input size and anchors boxes are compared with: {', '.join(NETWORKS)} (default: {NETWORKS[0]})",
    )


def add_output(command: argparse.ArgumentParser, *, fail_on: str) -> None:
    """The options about what is told; `fail_on` is the default."""
    output = command.add_argument_group("output")
    output.add_argument("--html", type=Path, metavar="FILE", help="write the report with pictures there")
    output.add_argument(
        "--json", type=Path, metavar="FILE", help="write the report for programs there; - is standard output"
    )
    output.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        default=fail_on,
        help="least severity of findings that makes the exit code 1 (default: %(default)s)",
    )
    output.add_argument("-q", "--quiet", action="store_true", help="no progress")


def add_target(command: argparse.ArgumentParser) -> None:
    """Where `convert` writes."""
    command.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="new or empty folder, or one of an earlier convert"
    )


def add_prune(command: argparse.ArgumentParser) -> None:
    """The options of `prune`."""
    place = command.add_mutually_exclusive_group(required=True)
    place.add_argument("--bucket", metavar="NAME", help="the bucket of spec.storage.bucket")
    place.add_argument("--folder", type=Path, metavar="FOLDER", help="a folder that `convert` wrote")
    command.add_argument("--prefix", default="", metavar="KEY", help="as in spec.storage.prefix (default: none)")
    command.add_argument("--endpoint", metavar="URL", help="of an S3-compatible server (default: AWS)")
    command.add_argument("--region", metavar="NAME", help="(default: the one of your AWS configuration, or us-east-1)")
    command.add_argument(
        "--addressing", choices=("path", "virtual"), help="(default: path with --endpoint, else virtual)"
    )
    command.add_argument(
        "--older-than",
        type=age,
        default=age("30d"),
        metavar="AGE",
        help="data sets without a run, and reports on refused data: how old, such as 12h, 30d, 8w (default: 30d)",
    )
    command.add_argument(
        "--grace",
        type=age,
        default=age("24h"),
        metavar="AGE",
        help="how long a preparation may take; younger records are kept, and everything while a run is that young"
        " and not prepared (default: 24h)",
    )
    command.add_argument("--delete", action="store_true", help="delete; without it, only list")


def age(text: str) -> timedelta:
    """`30d`, `24h` or `2w`."""
    found = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 24h, 30d or 8w")
    return int(found[1]) * _UNITS[found[2]]


def _fraction(text: str) -> Decimal:
    if not re.fullmatch(r"0?\.\d{1,6}", text) or not Decimal(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no fraction between 0 and 1, such as 0.15")
    return Decimal(text)


def _seed(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _side(text: str) -> int:
    if not re.fullmatch(r"\d{2,4}", text) or not 64 <= int(text) <= 8192:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pixels from 64 to 8192")
    return int(text)


def _bad_files(text: str) -> str:
    if not re.fullmatch(r"\d+|\d+(\.\d+)?%", text) or len(text) > 16:
        raise argparse.ArgumentTypeError(f'{text!r} is no count such as "5", and no percentage such as "1%"')
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
        raise argparse.ArgumentTypeError(f"{bad!r} is no class name: 1 to {MAX_CLASS_NAME} printable characters")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise argparse.ArgumentTypeError(f"{twice!r} is there twice")
    if not 0 < len(names) <= MAX_CLASSES:
        raise argparse.ArgumentTypeError(f"{len(names)} class names; it must be 1 to {MAX_CLASSES}")
    return names
