"""Lines of YOLO with more than a box: polygons, keypoints, turned boxes, confidences; never the wrong one silently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from label_reading import Corners, file_format
from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError
from trainingrun_agent.prep.source.readers import Context
from trainingrun_agent.prep.source.readers.yolo import survey
from trainingrun_agent.prep.source.readers.yolo_columns import KEYPOINTS, POLYGONS, SCORED, TRACKED, TURNED, UNCLEAR
from voc_data import jpeg

CLASSES = ("tire", "hub")
POSE = "0 0.50 0.50 0.20 0.10 0.45 0.48 0.55 0.53"
POSE_BOX: Corners = (0.4, 0.45, 0.6, 0.55)
FOUR_POINTS = "0 0.5 0.5 0.2 0.1 0.45 0.48 0.55 0.53 0.52 0.52 0.5 0.5"
VISIBLE = "0 0.50 0.50 0.20 0.10 0.45 0.48 2 0.55 0.53 1"
QUAD = "0 0.5 0.5 0.7 0.5 0.7 0.7 0.5 0.65"  # as a box of half the image, its other corners lie in it
TURNED_BOX = "0 0.50 0.40 0.60 0.50 0.50 0.60 0.40 0.50"
TURNED_CORNERS: Corners = (0.4, 0.4, 0.6, 0.6)
POLYGON = "0 0.1 0.1 0.2 0.1 0.3 0.3 0.2 0.4 0.1 0.3"
POLYGON_BOX: Corners = (0.1, 0.1, 0.3, 0.4)
SCORED_POLYGON = "0 0.1 0.1 0.3 0.1 0.2 0.4 0.9"


def read(*lines: str, columns: str = "", keypoints: tuple[int, int] | None = None) -> Annotation:
    context = Context(CLASSES, CLASSES, keypoints, columns)
    return file_format("yolo").read("\n".join(lines).encode(), context)


def boxes(made: Annotation) -> list[Corners]:
    return [item.corners for item in made.objects]


def notes(made: Annotation) -> dict[str, object]:
    return {kind.code: fields["count"] for kind, fields in made.notes}


READ: dict[str, tuple[Sequence[str], dict[str, object], list[Corners], list[str], dict[str, object]]] = {
    "keypoints that kpt_shape names": ([POSE], {"keypoints": (2, 2)}, [POSE_BOX], [""], {"KeypointsIgnored": 1}),
    "polygons that kpt_shape names": ([QUAD], {"keypoints": (0, 0)}, [(0.5, 0.5, 0.7, 0.7)], ["polygon"], {}),
    "visibilities": ([VISIBLE], {}, [POSE_BOX], [""], {"KeypointsIgnored": 1}),
    "visibilities among boxes of other files": (
        [VISIBLE],
        {"columns": POLYGONS},
        [POSE_BOX],
        [""],
        {"KeypointsIgnored": 1},
    ),
    "one keypoint with its visibility": (
        ["0 0.5 0.5 0.2 0.1 0.45 0.48 2"],
        {},
        [POSE_BOX],
        [""],
        {"KeypointsIgnored": 1},
    ),
    "polygons of any number of corners": (
        [POLYGON, QUAD],
        {},
        [POLYGON_BOX, (0.5, 0.5, 0.7, 0.7)],
        ["polygon", "polygon"],
        {},
    ),
    "a polygon that is no box with keypoints": ([POLYGON], {}, [POLYGON_BOX], ["polygon"], {}),
    "polygons of the data set": ([QUAD], {"columns": POLYGONS}, [(0.5, 0.5, 0.7, 0.7)], ["polygon"], {}),
    "a polygon among boxes": (
        ["0 0.5 0.5 0.2 0.1", QUAD],
        {},
        [POSE_BOX, (0.5, 0.5, 0.7, 0.7)],
        ["", "polygon"],
        {},
    ),
    "corners of turned boxes": ([TURNED_BOX], {}, [TURNED_CORNERS], ["turned box"], {}),
    "turned boxes with confidences": (
        [f"{TURNED_BOX} 0.9"],
        {},
        [TURNED_CORNERS],
        ["turned box"],
        {"LabelsPredicted": 1},
    ),
    "turned boxes with confidences and ids": (
        [f"{TURNED_BOX} 0.9 12"],
        {},
        [TURNED_CORNERS],
        ["turned box"],
        {"LabelsPredicted": 1},
    ),
    "confidences": (
        ["0 0.5 0.5 0.2 0.1 0.93", "0 0.5 0.5 0.2 0.1 1"],
        {},
        [POSE_BOX] * 2,
        ["", ""],
        {"LabelsPredicted": 1, "TrackingIgnored": 1},
    ),
    "tracking ids": (["0 0.5 0.5 0.2 0.1 17"], {}, [POSE_BOX], [""], {"TrackingIgnored": 1}),
    "confidences and tracking ids": (["0 0.5 0.5 0.2 0.1 0.9 17"], {}, [POSE_BOX], [""], {"LabelsPredicted": 1}),
    "the first object of a tracker": (
        ["0 0.5 0.5 0.2 0.1 0.9 1"],
        {"columns": TRACKED},
        [POSE_BOX],
        [""],
        {"LabelsPredicted": 1},
    ),
    "polygons with confidences": (
        [SCORED_POLYGON, f"{POLYGON} 0.4"],
        {},
        [(0.1, 0.1, 0.3, 0.4), POLYGON_BOX],
        ["polygon", "polygon"],
        {"LabelsPredicted": 2},
    ),
}


@pytest.mark.parametrize(("lines", "context", "corners", "shapes", "told"), READ.values(), ids=READ)
def test_reads(
    lines: Sequence[str], context: dict[str, object], corners: list[Corners], shapes: list[str], told: dict[str, object]
) -> None:
    made = read(*lines, **context)  # type: ignore[arg-type]
    assert [pytest.approx(one) for one in corners] == boxes(made)
    assert [item.shape for item in made.objects] == shapes
    assert notes(made) == told


UNREAD: dict[str, tuple[Sequence[str], dict[str, object], str]] = {
    "a polygon or keypoints": (
        [POSE],
        {},
        "ColumnsUnclear: 8 numbers after the class: the corners of a polygon, or a box and its keypoints?",
    ),
    "four corners or keypoints": ([QUAD], {}, "ColumnsUnclear: 8 numbers after the class"),
    "a triangle, a keypoint, or a confidence and an id": (
        ["0 0.5 0.5 0.2 0.1 0.9 1"],
        {},
        "ColumnsUnclear: 6 numbers after the class",
    ),
    "keypoints among boxes": (
        ["0 0.5 0.5 0.2 0.1 0.45 0.48 0.55 0.53 0.52 0.52"],
        {"columns": POLYGONS},
        "ColumnsUnclear: 10 numbers after the class",
    ),
    "an odd number": (["0 0.5 0.5 0.2 0.1 0.45 0.48 0.5"], {}, "ColumnsUnclear: 7 numbers after the class: a box and"),
    "an angle in degrees": (
        ["0 0.5 0.5 0.2 0.1 -45"],
        {},
        "ColumnsUnclear: -45.0 after the box is neither a confidence nor a tracking id; it may be an angle",
    ),
    "an angle in radians": (["0 0.5 0.5 0.2 0.1 1.57"], {}, "ColumnsUnclear: 1.57 after the box"),
    "other columns than kpt_shape says": (
        [POSE],
        {"keypoints": (17, 3)},
        "ColumnsUnclear: 8 numbers after the class, but kpt_shape in data.yaml asks for 55",
    ),
    "a line that the data set does not explain": ([POLYGON], {"columns": KEYPOINTS}, "ColumnsUnclear: 10 numbers"),
}


@pytest.mark.parametrize(("lines", "context", "message"), UNREAD.values(), ids=UNREAD)
def test_names_both_readings(lines: Sequence[str], context: dict[str, object], message: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read(*lines, **context)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    assert caught.value.index == 0


SURVEYS: dict[str, tuple[list[str], str]] = {
    "nothing": ([""], ""),
    "boxes": (["0 0.5 0.5 0.2 0.1"], POLYGONS),
    "polygons": ([QUAD, POLYGON], POLYGONS),
    "boxes in one file and something in another": (["0 0.5 0.5 0.2 0.1", POSE], POLYGONS),
    "keypoints or four corners": ([POSE, QUAD], UNCLEAR),
    "keypoints, and a box that has none": (["0 0.5 0.5 0.2 0.1", "\n".join([FOUR_POINTS] * 3)], UNCLEAR),
    "keypoints, and a line that is cut": (["\n".join([FOUR_POINTS] * 20), FOUR_POINTS[:-4]], UNCLEAR),
    "visibilities, and a box that has none": ([VISIBLE, "0 0.5 0.5 0.2 0.1"], KEYPOINTS),
    "four corners, few of which can be keypoints": (
        [QUAD, "0 0.8 0.1 0.9 0.1 0.9 0.2 0.8 0.21", "0 0.7 0.7 0.8 0.7 0.8 0.8 0.7 0.82"],
        POLYGONS,
    ),
    "keypoints, one of them outside its box": ([POSE, POSE, POSE, "0 0.5 0.5 0.2 0.1 0.45 0.48 0.9 0.53"], UNCLEAR),
    "visibilities, none of them 2": (["0 0.5 0.5 0.2 0.1 0.45 0.48 1 0.55 0.53 0"], UNCLEAR),
    "turned boxes": ([TURNED_BOX, "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2"], TURNED),
    "a tracker's output": (["0 0.5 0.5 0.2 0.1 0.9 1", "0 0.5 0.5 0.2 0.1 0.9 2"], TRACKED),
    "polygons with confidences": ([SCORED_POLYGON, f"{POLYGON} 0.4"], SCORED),
    "lines that are none": (["tire 0.5 wide", "# 0.5", QUAD, POLYGON], POLYGONS),
}


@pytest.mark.parametrize(("files", "meaning"), SURVEYS.values(), ids=SURVEYS)
def test_all_files_of_a_data_set_mean_the_same(files: list[str], meaning: str) -> None:
    assert survey(file.encode() for file in files) == meaning


def prepared(scratch: Path, *labels: str) -> Preparation:
    prep = Preparation(scratch, classes=CLASSES[:1], max_bad_files="100%")
    prep.eval = None
    for number, text in enumerate(labels):
        prep.memory.objects[f"train/{number}.jpg"] = jpeg(seed=str(number))
        prep.memory.objects[f"train/{number}.txt"] = text.encode()
    prep.run()
    return prep


def test_a_polygon_that_could_be_keypoints_is_read_as_the_other_files_say(tmp_path: Path) -> None:
    prep = prepared(tmp_path, QUAD, POLYGON)
    assert prep.codes() == {"ShapeBoxed": 2}


@pytest.mark.parametrize(
    ("shape", "codes"), [("[2, 2]", {"KeypointsIgnored": 2}), ("[0, 0]", {"ShapeBoxed": 2})], ids=["boxes", "polygons"]
)
def test_kpt_shape_is_the_way_out(tmp_path: Path, shape: str, codes: dict[str, int]) -> None:
    prep = Preparation(tmp_path, classes=CLASSES[:1], max_bad_files="100%")
    prep.eval = None
    for number in range(2):
        prep.memory.objects[f"train/{number}.jpg"] = jpeg(seed=str(number))
        prep.memory.objects[f"train/{number}.txt"] = QUAD.encode()
    with pytest.raises(UserError):
        prep.run()
    assert prep.codes()["ColumnsUnclear"] == 2
    prep.memory.objects = {key: data for key, data in prep.memory.objects.items() if key.startswith("train/")}
    prep.memory.objects["train/data.yaml"] = f"names: [tire]\nkpt_shape: {shape}\n".encode()
    prep.run()
    assert prep.codes() == codes


def test_predictions_are_reported(tmp_path: Path) -> None:
    prep = prepared(tmp_path, "0 0.5 0.5 0.5 0.5 0.93\n0 0.2 0.2 0.3 0.3 0.4\n")
    [finding] = prep.document("report.json")["findings"]
    assert (finding["code"], finding["file"]) == ("LabelsPredicted", "0.txt")
    assert seen(finding) == "2 objects have a confidence, as detections have and labels do not"


DOTA = "imagesource:GoogleEarth\ngsd:0.146\n60.0 20 90 50 60 80 30 50 small-vehicle 1\n0 0 10 0 10 9 0 9 plane 0\n"


def test_dota_reads() -> None:
    made = read(DOTA)
    assert [(item.name, item.corners, item.difficult, item.shape) for item in made.objects] == [
        ("small-vehicle", (30, 20, 90, 80), True, "turned box"),
        ("plane", (0, 0, 10, 9), False, "turned box"),
    ]
    assert not made.relative
    assert file_format("yolo").recognises(DOTA.encode())


def test_dota_pairs_its_folders(tmp_path: Path) -> None:
    prep = Preparation(tmp_path, classes=("plane", "small-vehicle"))
    prep.eval = None
    prep.memory.objects |= {"train/images/P1.jpg": jpeg(), "train/labelTxt/P1.txt": DOTA.encode()}
    prep.run()
    assert prep.codes() == {"ShapeBoxed": 1}


def test_dota_names_the_line_that_is_none() -> None:
    with pytest.raises(UnusableError) as caught:
        read(f"{DOTA}1 2 3 plane")
    assert (caught.value.code, caught.value.index) == ("BoxColumns", 2)
