"""Bad data: what is skipped, what is refused, and what the message says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import StorageRefused, UserError
from trainingrun_agent.prep.judge.policy import allowed_bad_files
from trainingrun_agent.reasons.storage import ACCESS_DENIED
from trainingrun_agent.terms import TRAININGRUN
from voc_data import encoded, jpeg, labelled, picture, voc

BAD_PAIRS = {
    "truncated image": (jpeg()[:-2], voc(), "ImageTruncated"),
    "web page": (b"<html></html>", voc(), "ImageUnreadable"),
    "no bytes": (b"", voc(), "ImageEmpty"),
    "size of another image": (jpeg(), voc(size=(320, 240)), "SizeMismatch"),
    "turned after labelling": (jpeg(120, 160), voc(), "SizeTransposed"),
    "malformed annotation": (jpeg(), b"<annotation>", "AnnotationMalformed"),
    "class in another case": (jpeg(), voc([labelled("Tire")]), "ClassSpelling"),
    "not a number": (jpeg(), voc([labelled(box=("nan", 1, 2, 3))]), "BoxNotFinite"),
    "normalised box": (jpeg(), voc([labelled(box=(0.1, 0.1, 0.9, 0.9))]), "BoxNormalised"),
}


@pytest.mark.parametrize(("image", "xml", "code"), BAD_PAIRS.values(), ids=BAD_PAIRS)
def test_a_bad_file_is_skipped_and_named(
    prep: Preparation, contract: Callable[[str, Any], None], image: bytes, xml: bytes, code: str
) -> None:
    prep.max_bad_files = "1"
    prep.add("bad", image, xml)
    made = prep.run()
    report = prep.document("report.json")
    contract("report", report)
    assert report["counts"] == {code: 1}
    [finding] = report["findings"]
    assert finding["file"] in ("bad.jpg", "bad.xml")
    assert (finding["severity"], finding["split"]) == ("error", "train")
    assert (made.train_images, made.numbers["errors"]) == (3, 1)
    assert made.numbers["topFindings"][0].startswith("train: bad.")


MENDED = {
    "PNG named jpg": (encoded(picture(), "PNG"), voc(), {"FormatMismatch": 1}),
    "no size": (jpeg(seed="odd"), voc(size=(0, 0)), {"SizeMissing": 1}),
    "zero-width box": (jpeg(seed="odd"), voc([labelled(), labelled(box=(5, 5, 5, 9))]), {"BoxDegenerate": 1}),
    "swapped corners": (jpeg(seed="odd"), voc([labelled(box=(60, 80, 10, 20))]), {"BoxSwapped": 1}),
    "animation": (
        encoded(picture(mode="P"), "GIF", save_all=True, append_images=[picture(mode="P", seed=3)]),
        voc(),
        {"ImageAnimated": 1, "FormatMismatch": 1},
    ),
}


@pytest.mark.parametrize(("image", "xml", "counts"), MENDED.values(), ids=MENDED)
def test_files_with_repairable_defects_are_kept(
    prep: Preparation, image: bytes, xml: bytes, counts: dict[str, int]
) -> None:
    prep.add("odd", image, xml)
    assert prep.run().train_images == 4
    assert prep.codes() == counts


def drop(prep: Preparation, prefix: str) -> None:
    for key in [key for key in prep.memory.objects if key.startswith(prefix)]:
        del prep.memory.objects[key]


def spoil(prep: Preparation, *names: str, split: str = "train") -> None:
    for name in names:
        prep.add(name, jpeg()[:-2], split=split)


REFUSED: dict[str, tuple[Callable[[Preparation], Any], str, str]] = {
    "no train image": (lambda prep: drop(prep, "train/"), "EmptyTrainSet", "spec.dataset.train: no image file in it"),
    "no eval image": (lambda prep: drop(prep, "eval/"), "EmptyEvalSet", "spec.dataset.eval: no image file in it"),
    "no eval box": (
        lambda prep: prep.add("e0", xml=voc([]), split="eval"),
        "EmptyEvalSet",
        "no usable box in its 1 image",
    ),
    "train lost": (lambda prep: spoil(prep, "t0", "t1", "t2"), "EmptyTrainSet", "t0.jpg: ImageTruncated"),
    "eval lost": (lambda prep: spoil(prep, "e0", split="eval"), "EmptyEvalSet", "e0.jpg: ImageTruncated"),
    "one bad file too many": (lambda prep: spoil(prep, "t0"), "TooManyBadFiles", "1 bad file among 4 images"),
    "image without annotation": (
        lambda prep: drop(prep, "train/t0.xml"),
        "TooManyBadFiles",
        "t0.jpg: ImageWithoutAnnotation",
    ),
    "annotation without image": (
        lambda prep: drop(prep, "train/t0.jpg"),
        "TooManyBadFiles",
        "t0.xml: AnnotationWithoutImage",
    ),
    "class in another case": (
        lambda prep: setattr(prep, "classes", ("Tire",)),
        "ClassNotFound",
        "no object of class 'Tire' (did you mean 'tire'?) in spec.dataset.train; class names there: 'tire' (3)",
    ),
    "class never labelled": (
        lambda prep: setattr(prep, "classes", ("tire", "zebra")),
        "ClassNotFound",
        "no object of class 'zebra' in spec.dataset.train; class names there: 'tire' (3)",
    ),
    "a class that is not labelled, like one that is": (
        lambda prep: setattr(prep, "classes", ("tire", "tires")),
        "ClassNotFound",
        "no object of class 'tires' in spec.dataset.train; class names there: 'tire' (3)",
    ),
    "many classes never labelled": (
        lambda prep: setattr(prep, "classes", ("a", "b", "c", "d", "e", "f", "tires")),
        "ClassNotFound",
        "no object of class 'a', 'b', 'c', 'd', 'e' and 2 more in spec.dataset.train; class names there: 'tire' (3)",
    ),
    "class lost": (
        lambda prep: (
            setattr(prep, "classes", ("tire", "hub")),
            prep.add("t0", xml=voc([labelled(), labelled("hub", (5, 5, 5, 5))])),
        ),
        "ClassLost",
        "no object of class 'hub' is left, 1 of them in bad files or without a usable box",
    ),
}


@pytest.mark.parametrize(("change", "reason", "message"), REFUSED.values(), ids=REFUSED)
def test_data_that_cannot_be_trained_on_is_refused(
    prep: Preparation,
    contract: Callable[[str, Any], None],
    change: Callable[[Preparation], Any],
    reason: str,
    message: str,
) -> None:
    change(prep)
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == reason
    assert message in caught.value.message
    [where] = re.findall(
        r"Report: s3://detectors/(ml/datasets/failed/[0-9a-f]{64}/report)\.html", caught.value.report_in(TRAININGRUN)
    )
    contract("report", json.loads(prep.memory.objects[f"{where}.json"]))
    assert [key for key in prep.memory.puts if "/blobs/" not in key and "/latest/" not in key] == [
        f"{where}.json",
        f"{where}.html",
    ]


def test_an_empty_train_set_is_not_explained_by_eval(prep: Preparation) -> None:
    for name in ("t0", "t1", "t2"):
        prep.add(name, xml=b"<annotation>")
    prep.add("a0", xml=voc([labelled("hub")]), split="eval")
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "EmptyTrainSet"
    assert "t0.xml: AnnotationMalformed" in caught.value.message
    assert "eval" not in caught.value.message


def test_the_message_names_the_first_three_files(prep: Preparation) -> None:
    prep.max_bad_files = "1%"
    prep.add("t3")
    spoil(prep, "bad0", "bad1", "bad2", "bad3")
    with pytest.raises(UserError) as caught:
        prep.run()
    assert re.findall(r"bad\d", caught.value.message) == ["bad0", "bad1", "bad2"]
    assert len(caught.value.message) <= 1500
    assert "(spec.dataset.maxBadFiles 1% allows 0)" in caught.value.message


def test_an_unknown_class_comes_with_the_nearest_one(prep: Preparation) -> None:
    prep.add("bad", xml=voc([labelled("tires")]))
    with pytest.raises(
        UserError, match=r"class 'tires' is not in spec\.dataset\.classes; the nearest name there is 'tire'"
    ):
        prep.run()


def test_a_class_without_eval_box_is_a_warning(prep: Preparation) -> None:
    prep.classes = ("tire", "hub")
    prep.add("t0", xml=voc([labelled(), labelled("hub")]))
    prep.run()
    assert prep.codes() == {"ClassWithoutEval": 1}


def test_counts_are_complete_when_findings_are_cut(prep: Preparation) -> None:
    prep.add("t0", xml=voc([labelled()] + [labelled(box=(5, 5, 5, 9 + number)) for number in range(1500)]))
    prep.run()
    report = prep.document("report.json")
    assert (len(report["findings"]), report["counts"], report["warnings"]) == (1000, {"BoxDegenerate": 1500}, 1500)


@pytest.mark.parametrize("file", ["t1.jpg", "t1.xml"])
@pytest.mark.parametrize("change", ["deleted", "shorter", "longer", "replaced by as many bytes"])
def test_files_that_change_during_preparation_make_the_data_set_unusable(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch, change: str, file: str
) -> None:
    get = prep.memory.get

    def changed(key: str, *, max_bytes: int, etag: str = "") -> bytes:
        if key != f"train/{file}":
            return get(key, max_bytes=max_bytes, etag=etag)
        if change == "deleted":
            prep.memory.objects.pop(key, None)
            return get(key, max_bytes=max_bytes, etag=etag)
        size = len(prep.memory.objects[key])
        prep.memory.objects[key] = bytes({"longer": size + 1, "shorter": 1}.get(change, size))
        return get(key, max_bytes=max_bytes, etag=etag)

    monkeypatch.setattr(prep.memory, "get", changed)
    prep.max_bad_files = "1"
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "DataChanged"
    assert f"{file}: ObjectChanged" in caught.value.message


def test_the_cause_is_reported_even_when_the_report_cannot_be_written(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = prep.memory.put

    def refuse(key: str, data: bytes, *, if_absent: bool = False) -> bool:
        if "report" in key or "/latest/" in key:
            raise StorageRefused(ACCESS_DENIED, call="PutObject", where=key, answer="403")
        return put(key, data, if_absent=if_absent)

    monkeypatch.setattr(prep.memory, "put", refuse)
    spoil(prep, "t0")
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "TooManyBadFiles"
    assert "could not be written" in caught.value.report_in(TRAININGRUN)


@pytest.mark.parametrize(
    ("limit", "files", "allowed"),
    [("0", 100, 0), ("3", 10, 3), ("1%", 99, 0), ("1%", 100, 1), ("2.5%", 1000, 25), ("100%", 7, 7)],
)
def test_max_bad_files_is_a_count_or_a_percentage(limit: str, files: int, allowed: int) -> None:
    assert allowed_bad_files(limit, files) == allowed


@pytest.mark.parametrize(("boxes", "codes"), [(20, {}), (21, {"ClassImbalance": 1})])
def test_a_class_with_far_fewer_boxes_is_reported(prep: Preparation, boxes: int, codes: dict[str, int]) -> None:
    prep.classes = ("tire", "hub")
    many = [labelled(box=(10, 10 + number, 60, 40 + number)) for number in range(boxes - 2)]
    prep.add("t0", xml=voc([*many, labelled("hub")]))
    prep.add("e0", xml=voc([labelled(), labelled("hub")]), split="eval")
    prep.run()
    assert prep.codes() == codes


def test_many_findings_of_one_code_do_not_hide_others(prep: Preparation) -> None:
    prep.max_bad_files = "100%"
    prep.add("clipped", xml=voc([labelled(box=(-5, 1, 50, 60))]))
    prep.add("many", xml=voc([labelled(f"zebra {number}") for number in range(1500)]))
    prep.run()
    report = prep.document("report.json")
    assert report["counts"] == {"BoxClipped": 1, "UnknownClass": 1500}
    assert [finding["code"] for finding in report["findings"]] == ["UnknownClass"] * 999 + ["BoxClipped"]


def told(prep: Preparation, code: str) -> list[tuple[str, str, str]]:
    """Split, file and text of the findings with a code."""
    report = prep.document("report.json")
    return [(one["split"], one["file"], seen(one)) for one in report["findings"] if one["code"] == code]


@pytest.mark.parametrize(("beyond", "boxes", "told"), [(11, 21, True), (10, 20, False), (9, 9, False), (10, 10, True)])
def test_boxes_that_mostly_reach_beyond_their_images_are_one_warning(
    prep: Preparation, beyond: int, boxes: int, told: bool
) -> None:
    """As with corners that are read as width and height: each is clipped, which alone looks like a small defect."""
    prep.memory.objects.clear()
    prep.eval = None
    inside, outside = ([labelled(box=(10, 10 + at, right, 60 + at)) for at in range(21)] for right in (60, 9999))
    prep.add("t0", xml=voc([*outside[:beyond], *inside[: boxes - beyond]]))
    prep.run()
    found = [seen(one) for one in prep.document("report.json")["findings"] if one["code"] == "BoxesBeyondImages"]
    assert found == [f"{beyond} of {boxes} boxes reach beyond the image"] * told


def test_names_that_differ_by_case_or_blanks_are_one_finding_with_the_number_of_boxes(prep: Preparation) -> None:
    for number, names in enumerate([["Tire", "tire"], ["Tire", "TIRE"], ["ti re"], ["Tire", "wheel"], [" tire "]]):
        prep.add(f"a{number}", xml=voc([labelled(name) for name in names]))
    prep.max_bad_files = "4"
    prep.run()
    assert told(prep, "ClassSpelling") == [
        (
            "train",
            "a0.xml",
            (
                "spec.dataset.classes has 'tire', the labels have 'tire' (5 boxes), 'Tire' (3 boxes), 'TIRE' (1 box), "
                "'ti re' (1 box); first in a0.xml, a1.xml, a2.xml"
            ),
        )
    ]
    assert told(prep, "UnknownClass") == [("train", "a3.xml", "class 'wheel' is not in spec.dataset.classes")]
    report = prep.document("report.json")
    assert (report["errors"], report["counts"]["ClassSpelling"]) == (2, 1)
    assert report["splits"]["train"]["badFiles"] == 4


def test_classes_that_differ_by_case_only_are_told_with_their_boxes(prep: Preparation) -> None:
    prep.add("a", xml=voc([labelled("Tire")]))
    prep.classes = ("tire", "Tire")
    prep.run()
    assert told(prep, "ClassesAlike") == [
        ("train", "", "'tire' (3 boxes), 'Tire' (1 box): these names differ by case, blanks or Unicode form only")
    ]


MIRRORED = "'arrow_left' and 'arrow_right' may be mirror images of each other"


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(("arrow_left", "arrow_right"), [("train", "", MIRRORED)]), (("arrow_left", "tire"), [])],
    ids=["a pair", "one alone"],
)
def test_classes_that_a_flip_would_confuse_are_reported(
    prep: Preparation, classes: tuple[str, ...], expected: list[tuple[str, str, str]]
) -> None:
    prep.classes = tuple({**dict.fromkeys(classes), "tire": None})
    prep.add("a", xml=voc([labelled(name) for name in classes]))
    prep.run()
    assert told(prep, "ClassesMirrored") == expected


LEFT_OUT: dict[str, tuple[tuple[str, ...], str]] = {
    "a class without objects": (("tire", "zebra"), "spec.dataset.classes: [tire];"),
    "most classes": (("a", "b", "c", "d", "tire", "e", "hub cap"), "spec.dataset.classes: [tire, hub cap];"),
    "one in another spelling": (("Tire", "zebra", "hub cap"), "spec.dataset.classes: [tire, hub cap];"),
    "near one that is asked for already": (("tire", "tires"), "spec.dataset.classes: [tire];"),
    "all": (("zebra",), "another spec.dataset.classes, without these names;"),
}


@pytest.mark.parametrize(("classes", "change"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_class_without_objects_is_an_error_that_offers_the_list_without_it(
    prep: Preparation, classes: tuple[str, ...], change: str
) -> None:
    prep.add("a", xml=voc([labelled("hub cap")]))
    prep.classes = classes
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "ClassNotFound"
    assert f"reate a new TrainingRun with {change}" in caught.value.hint


def test_an_eval_set_without_any_label_is_not_told_about_each_class(prep: Preparation) -> None:
    prep.memory.objects["eval/e0.xml"] = b""
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "EmptyEvalSet"
    assert "ClassWithoutEval" not in prep.codes()
