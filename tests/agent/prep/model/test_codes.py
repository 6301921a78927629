"""The table of findings: its example causes each finding, and the corrected example does not."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

import image_bombs
import trainingrun_agent
from image_samples import ANIMATED, deep, flipped, png_header
from label_samples import HEADER, RECT, ROW, XYWH, coco, cvat, drawn, read, task, via
from memory_store import MemoryStore
from prep_in_memory import Preparation
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes import GROUPS, KINDS
from trainingrun_agent.prep.model.codes.kind import FILES, Example, FindingKind, Severity, field_names
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source import fetch, index
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.terms import TRAININGRUN, Terms
from voc_data import encoded, jpeg, labelled, picture, voc

Files = dict[str, bytes]
PLACES = ("train/", "eval/", "labels/")
BOX = ",160,120,tire,10,20,60,80\n"
PACKAGE = Path(trainingrun_agent.__file__).parent
CONTRACT = PACKAGE.parents[1] / "contracts" / "report.schema.json"
TIRE = jpeg(seed="tire")
BOTH_CLASSES = voc([labelled(), labelled("hub")])
OTHER_BOX = voc([labelled(box=(70, 10, 150, 100))])
SMALL = voc([labelled(), labelled(box=(10, 10, 13, 100))])


def image(data: bytes, name: str = "tire.jpg") -> Files:
    return {name: data, "tire.xml": voc()}


def labels(xml: bytes) -> Files:
    return {"tire.jpg": TIRE, "tire.xml": xml}


def table(rows: str, *names: str) -> Files:
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    return {"labels.csv": (header + rows).encode(), **{name: jpeg(seed=name) for name in names}}


def both(train: Files, evaluation: Files) -> Files:
    return {f"train/{name}": data for name, data in train.items()} | {f"eval/{n}": d for n, d in evaluation.items()}


def imbalanced(boxes: int) -> Files:
    many = [labelled(box=(10, 10 + number, 60, 40 + number)) for number in range(boxes)]
    return labels(voc([*many, labelled("hub")]))


def reaching_to(side: int) -> Files:
    return labels(voc([labelled(box=(10 + number, 10, side, 80)) for number in range(10)]))


def coco_with(**entry: object) -> Files:
    document = coco({"bbox": [10, 20, 50, 40], **entry})
    return {"labels.json": json.dumps(document).encode(), "a.jpg": jpeg(128, 64)}


def video(*frames: int) -> Files:
    box = '<box frame="{}" outside="{}" keyframe="1" xtl="10" ytl="20" xbr="60" ybr="80"/>'
    shapes = "".join((box.format(0, 0), box.format(1, 0), box.format(2, 1)))
    text = "<meta><original_size><width>160</width><height>120</height></original_size></meta>"
    text = f'<annotations>{text}<track label="tire">{shapes}</track></annotations>'
    return {"labels.xml": text.encode(), **{f"frame_00000{frame}.jpg": jpeg(seed=str(frame)) for frame in frames}}


def label_studio(rotation: int) -> Files:
    region = {**drawn(**XYWH), "image_rotation": rotation}
    return {"labels.json": json.dumps(task(region)).encode(), "a.jpg": jpeg(128, 64)}


def yolo(ident: int, classes: bytes) -> Files:
    return {"tire.jpg": TIRE, "tire.txt": f"{ident} 0.5 0.5 0.4 0.4\n".encode(), "classes.txt": classes}


WITHOUT_CLASSES = {"a.jpg": jpeg(128, 64), "via.json": json.dumps(via(RECT, part="")).encode()}


def large(width: int, height: int) -> Files:
    picture_ = encoded(picture(width, height, seed="large"))
    return {"tire.jpg": picture_, "tire.xml": voc([labelled(box=(0, 0, width, height))], size=(width, height))}


DESCRIBED: dict[str, tuple[Files, Files]] = {
    "ImageEmpty": (image(b""), image(TIRE)),
    "ImageUnreadable": (image(b"<!DOCTYPE html><title>404 Not Found</title>"), image(TIRE)),
    "ImageTruncated": (image(TIRE[:-2]), image(TIRE)),
    "ImageCorrupt": (
        image(flipped(encoded(picture(), "PNG"), 60), "tire.png"),
        image(encoded(picture(), "PNG"), "tire.png"),
    ),
    "ImageUnsupported": (
        image(encoded(picture(mode="F"), "TIFF"), "tire.tif"),
        image(encoded(picture(), "PNG"), "tire.png"),
    ),
    "ImageTooLarge": (
        {"tire.png": png_header(5_000, 5_000), "tire.xml": voc(size=(5_000, 5_000))},
        {"tire.jpg": jpeg(5_000, 5_000), "tire.xml": voc([labelled(box=(0, 0, 5000, 5000))], size=(5_000, 5_000))},
    ),
    "IntensityScaled": (
        image(encoded(deep(), "PNG"), "tire.png"),
        image(encoded(picture(mode="L"), "PNG"), "tire.png"),
    ),
    "IntensityOutside": (
        image(encoded(deep(), "PNG")),  # under a wrong name, so that it is not looked at for the range
        image(encoded(picture(mode="L"), "PNG"), "tire.png"),
    ),
    "ImageAnimated": (image(ANIMATED, "tire.gif"), image(encoded(picture(mode="P"), "GIF"), "tire.gif")),
    "FormatMismatch": (image(encoded(picture(), "PNG")), image(encoded(picture(), "PNG"), "tire.png")),
    "FileTooLarge": (image(TIRE + bytes(33 << 20)), image(TIRE)),
    "AnnotationEmpty": (labels(b""), labels(voc())),
    "AnnotationTooLarge": (coco_with(segmentation="x" * 3_000_000), coco_with()),
    "FileIgnored": (
        {**coco_with(), "notes.json": b'{"author": "me"}'},
        coco_with(),
    ),
    "FramesWithoutImage": (video(0), video(0, 1)),
    "FormatIgnored": ({**labels(voc()), **table("tire.jpg,160,120,tire,10,20,60,80\n")}, labels(voc())),
    "ImageTurned": (label_studio(90), label_studio(0)),
    "ImageAmbiguous": (
        table(f"1.jpg{BOX}2.jpg{BOX}", "front/1.jpg", "rear/1.jpg", "2.jpg"),
        table(f"front/1.jpg{BOX}rear/1.jpg{BOX}2.jpg{BOX}", "front/1.jpg", "rear/1.jpg", "2.jpg"),
    ),
    "ImageElsewhere": (
        table(f"1.jpg{BOX}front/2.jpg{BOX}", "1.jpg", "rear/2.jpg"),
        table(f"1.jpg{BOX}front/2.jpg{BOX}", "1.jpg", "front/2.jpg"),
    ),
    "TooManyObjects": (
        table("tire.jpg,160,120,tire,10,20,60,80\n" * 10_001, "tire.jpg"),
        table("tire.jpg,160,120,tire,10,20,60,80\n", "tire.jpg"),
    ),
    "ClassListUsed": (yolo(1, b"person\ntire\n"), yolo(0, b"tire\n")),
    "ClassListUnreadable": (
        {**yolo(0, b""), "data.yaml": b"names: [rim, tire"},
        {**yolo(0, b""), "data.yaml": b"names: [tire]"},
    ),
    "ClassListUnused": (
        {**yolo(0, b"tire\n"), "old/classes.txt": b"wheel\ntire\n"},
        yolo(0, b"tire\n"),
    ),
    "ClassesMissing": ({**WITHOUT_CLASSES, "README.md": b"tire, hub"}, WITHOUT_CLASSES),
    "LabelsElsewhere": (
        {"train/tire.jpg": TIRE, "labels/tire.xml": voc()},
        labels(voc()),
    ),
    "SplitsPooled": (
        {f"train/train/{name}": data for name, data in labels(voc()).items()}
        | {"train/test/wheel.jpg": jpeg(seed="wheel"), "train/test/wheel.xml": voc()},
        both(labels(voc()), {"wheel.jpg": jpeg(seed="wheel"), "wheel.xml": voc()}),
    ),
    "ClassWithoutEval": (
        both(labels(BOTH_CLASSES), {"e.jpg": jpeg(), "e.xml": voc()}),
        both(labels(BOTH_CLASSES), {"e.jpg": jpeg(), "e.xml": BOTH_CLASSES}),
    ),
    "ClassImbalance": (imbalanced(21), imbalanced(20)),
    "BoxesBeyondImages": (reaching_to(161), reaching_to(160)),
    "BoxesTooSmall": (labels(SMALL), labels(voc([labelled(), labelled(box=(10, 10, 60, 100))]))),
    "ImagesMuchLarger": (large(1280, 960), large(640, 480)),
    "DuplicateImage": ({**labels(voc()), "wheel.jpg": TIRE, "wheel.xml": voc()}, labels(voc())),
    "DuplicateContradicts": ({**labels(voc()), "wheel.jpg": TIRE, "wheel.xml": OTHER_BOX}, labels(voc())),
    "EvalImagesInTrain": (
        both(labels(voc()), labels(voc())),
        both(labels(voc()), {"hub.jpg": jpeg(seed="hub"), "hub.xml": voc()}),
    ),
    "DuplicateAcrossSplits": (
        both(labels(voc()), labels(voc())),
        both(labels(voc()), {"tire.jpg": jpeg(seed="another"), "tire.xml": voc()}),
    ),
    "NearDuplicateAcrossSplits": (
        both(labels(voc()), {"tire.jpg": encoded(picture(seed="tire"), quality=40), "tire.xml": voc()}),
        both(labels(voc()), {"tire.jpg": jpeg(seed="another"), "tire.xml": voc()}),
    ),
}
EXIF = images.Image.Exif()
EXIF[0x0112] = 3
DESCRIBED["OrientationAmbiguous"] = (image(encoded(picture(seed="tire"), exif=EXIF)), image(TIRE))
QUARTER = images.Image.Exif()
QUARTER[0x0112] = 6
WIDE = voc([labelled(box=(10, 20, 150, 80))])
DESCRIBED["OrientationByBoxes"] = (
    {
        "tire.jpg": encoded(picture(seed="tire"), exif=QUARTER),
        "tire.xml": WIDE.replace(b"<size>", b"<no>").replace(b"</size>", b"</no>"),
    },
    labels(WIDE),
)
ELSEWHERE = {
    "ClassesAlike": "judge/test_policy.py",  # needs other classes
    "ClassesMirrored": "judge/test_policy.py",
    "EvalTooSmall": "judge/test_small_eval.py",  # needs 20 images
    "ImageCrashesDecoder": "sharding/test_workers.py",  # needs a worker process to die
    "KeyNotListed": "source/test_fetch.py",  # needs a server with listings of its own
    "EvalInsideTrain": "source/test_split_layout.py",  # needs other folders than train/ and eval/
    "PathIgnored": "../cli/commands/test_doctor.py",  # needs a local folder
    "ObjectArchived": "source/test_fetch.py",  # needs a storage class
    "ObjectChanged": "judge/test_policy.py",  # needs an object that changes during preparation
}


def files_of(example: Example, content: str) -> Files:
    """The files of an example, plus tire.jpg of 160 x 120 pixels."""
    if example.file == FILES:
        return {name: voc() if PurePosixPath(name).suffix == ".xml" else jpeg(seed=name) for name in content.split()}
    return {"tire.jpg": TIRE, example.file: content.encode()}


def codes(scratch: Path, files: Files) -> set[str]:
    """The codes of the findings about a data set with these files."""
    scratch.mkdir()
    prep = Preparation(
        scratch, classes=("tire", "hub") if any(b"hub" in data for data in files.values()) else ("tire",)
    )
    prep.max_bad_files = "100%"
    prep.memory.objects.update(
        {name if name.startswith(PLACES) else f"train/{name}": data for name, data in files.items()}
    )
    if not any(name.startswith("eval/") for name in files):
        prep.eval = None
    with suppress(UserError):  # the report is written nevertheless
        prep.run()
    return set(prep.codes())


@pytest.mark.parametrize("code", sorted(KINDS.keys() - ELSEWHERE.keys()))
def test_the_example_gives_the_finding_and_the_corrected_one_does_not(tmp_path: Path, code: str) -> None:
    example = KINDS[code].example
    bad, good = (files_of(example, example.bad), files_of(example, example.good)) if example.file else DESCRIBED[code]
    assert code in codes(tmp_path / "bad", bad)
    assert codes(tmp_path / "good", good) <= SIDE_EFFECTS.get(code, set())


SIDE_EFFECTS = {"ImageTooLarge": {"ImagesMuchLarger"}, "ClassesMissing": {"ClassAssumed"}}
"""By code, the findings that its corrected example causes."""


@pytest.mark.parametrize(("code", "file"), ELSEWHERE.items())
def test_findings_that_need_more_than_files_have_tests_of_their_own(code: str, file: str) -> None:
    assert code in (Path(__file__).parents[1] / file).read_text()


def test_code_literals_are_only_in_the_table() -> None:
    literal = re.compile("[\"'](" + "|".join(KINDS) + ")[\"']")
    modules = [path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "prep" / "model" / "codes")]
    found = {
        f"{path.relative_to(PACKAGE)}: {code}"
        for path in modules
        for code in literal.findall(path.read_text())
        if path.name != "errors.py" and path.parent.name != "reasons"  # some classes and reasons have the same name
    }
    assert found == set()


def test_finding_kinds_are_made_only_in_the_table() -> None:
    made = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if "FindingKind(\n" in path.read_text()}
    assert {Path(path).parent.as_posix() for path in made} == {"prep/model/codes"}
    assert sorted(kind.code for kinds in GROUPS.values() for kind in kinds) == sorted(KINDS)


def templates() -> Iterator[tuple[FindingKind, str, str]]:
    for kind in KINDS.values():
        cases = {"": kind.seen} if isinstance(kind.seen, str) else kind.seen
        yield from ((kind, case, template) for case, template in cases.items())


def test_the_contract_explains_every_field() -> None:
    named = {name for _, _, template in templates() for name in field_names(template)}
    finding = json.loads(CONTRACT.read_text())["properties"]["findings"]["items"]
    explained = finding["properties"]["fields"]["properties"]
    assert set(explained) == named | {"case", "labelFile", "where", "second"}
    assert all(one["description"] for one in explained.values())


@pytest.mark.parametrize("terms", [TRAININGRUN, Terms()], ids=["in a pod", "other"])
def test_every_text_can_be_filled(terms: Terms) -> None:
    sample = {
        "count": 2,
        "others": 2,
        "groups": 2,
        "of": 3,
        "degrees": 90.0,
        "labelled": (1, 2),
        "image": (3, 4),
        "corners": (1.5, 2, 3, 4),
    }
    for kind, case, template in templates():
        fields = {name: sample.get(name, "x") for name in field_names(template)} | ({"case": case} if case else {})
        if kind.code == "AnnotationWithoutImage":
            fields["image"] = "x"
        texts = [kind.describe(fields, terms), kind.done_text(terms), kind.advice_text(terms)]
        assert not any("{" in text or not text for text in texts), kind.code


@pytest.mark.parametrize("severity", Severity)
def test_only_errors_skip_the_file(severity: Severity) -> None:
    for kind in KINDS.values():
        if kind.severity is severity:
            assert severity is Severity.ERROR or kind.done != "file skipped", kind.code


CLIPPED = Finding(KINDS["BoxClipped"], "a.xml", {"name": "tire", "corners": (-1.5, 2, 3, 4), "image": (160, 120)}, 7)


def test_a_finding_survives_a_pipe_and_a_file() -> None:
    assert pickle.loads(pickle.dumps(CLIPPED)) == CLIPPED  # noqa: S301 - pickled here
    assert pickle.loads(pickle.dumps(CLIPPED)).kind is CLIPPED.kind  # noqa: S301
    assert Finding.from_json(json.loads(json.dumps(CLIPPED.to_json()))) == CLIPPED
    problem = UnusableError(KINDS["BoxColumns"], count=5, index=3)
    assert str(pickle.loads(pickle.dumps(problem))) == str(problem)  # noqa: S301
    assert pickle.loads(pickle.dumps(problem)).index == 3  # noqa: S301


def test_fields_are_bounded() -> None:
    finding = Finding(KINDS["ImageAmbiguous"], "f" * 2000, {"labelFile": "l" * 2000, "images": ["i" * 2000] * 50})
    assert len(json.dumps(finding.to_json())) < 8000


INCOMPLETE: dict[str, Callable[[dict[str, object]], object]] = {
    "an unknown code": lambda one: one.update(code="Nonsense"),
    "no fields": lambda one: one.pop("fields"),
    "fields of another version": lambda one: one.update(fields={"corner": 3}),
    "fields that are a list": lambda one: one.update(fields=[1]),
}


@pytest.mark.parametrize("change", INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_stored_finding_that_cannot_be_described_is_refused(change: Callable[[dict[str, object]], object]) -> None:
    document = CLIPPED.to_json()
    change(document)
    with pytest.raises((KeyError, TypeError)):
        Finding.from_json(document)


class Shorter(MemoryStore):
    """A store that returns fewer bytes than it listed, whatever the ETag."""

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        return b"12"


def defect_of(name: str, file: str) -> UnusableError:
    [found] = read(name, file).images.values()
    assert isinstance(found, UnusableError)
    return found


def opened(data: bytes) -> None:
    with images.opened(data):
        pass


def too_many(
    monkeypatch: pytest.MonkeyPatch, limit: str, format_: str = "tutorialCSV", document: object = None
) -> UnusableError:
    monkeypatch.setitem(index.MAX_LISTED, limit, 1)
    return raised(lambda: read(format_, document or HEADER + ROW + ROW.replace("a.jpg", "b.jpg")))


def raised(call: Callable[[], object]) -> UnusableError:
    with pytest.raises(UnusableError) as caught:
        call()
    return caught.value


def decoded_large(monkeypatch: pytest.MonkeyPatch) -> UnusableError:
    with images.opened(encoded(picture(mode="CMYK"))) as source:
        monkeypatch.setattr(images, "MAX_DECODED_PIXELS", 100)
        return raised(lambda: images.render(source, rotate=False, max_side=1024))


RARE: dict[str, tuple[Callable[[pytest.MonkeyPatch], UnusableError], str]] = {
    "unknown shape": (
        lambda _: defect_of("cvat", cvat('<blob label="tire"/>')),
        "BoxMissing: file 0 line 1: shape 'blob' is not known",
    ),
    "open quote": (
        lambda _: raised(lambda: read("tutorialCSV", HEADER + 'a.jpg,128,64,"tire\n",10,20,60,40\n')),
        "AnnotationMalformed: a quoted cell does not end in its line 2",
    ),
    "too many images": (lambda patch: too_many(patch, "images"), "AnnotationTooLarge: more than 1 images"),
    "too many objects": (lambda patch: too_many(patch, "objects"), "AnnotationTooLarge: more than 1 objects"),
    "too many categories": (
        lambda patch: too_many(
            patch, "categories", "coco", coco(categories=[{"id": at, "name": "a"} for at in (1, 2)])
        ),
        "AnnotationTooLarge: more than 1 categories",
    ),
    "a long side": (
        lambda _: raised(lambda: opened(image_bombs.png(70_000, 1))),
        "ImageTooLarge: 70000 x 1 pixels; a side may have at most 65535",
    ),
    "many scans": (
        lambda _: raised(lambda: opened(image_bombs.scans(200))),
        "ImageTooLarge: a JPEG of 206 scans; at most 100 are decoded",
    ),
    "fewer bytes": (
        lambda _: raised(lambda: fetch.read(Place(Shorter(), ""), Entry("a", 9), limit=9)),
        "ObjectChanged: listed with 9 bytes, then 2 bytes were read",
    ),
    "decoded too large": (
        decoded_large,
        "ImageTooLarge: 160 x 120 pixels after decoding; at most 0 million are kept",
    ),
}


@pytest.mark.parametrize(("find", "text"), RARE.values(), ids=RARE)
def test_rare_cases_are_described(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[pytest.MonkeyPatch], UnusableError], text: str
) -> None:
    assert str(find(monkeypatch)) == text
