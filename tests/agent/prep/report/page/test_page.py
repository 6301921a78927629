"""report.html: complete, of bounded size, and harmless whatever the data contains."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml
from lxml import etree, html
from PIL import Image

from trainingrun_agent.prep.model.codes import KINDS
from trainingrun_agent.prep.model.codes.kind import field_names
from trainingrun_agent.prep.report.page import pictures
from trainingrun_agent.prep.report.page.page import render
from trainingrun_agent.prep.report.page.pictures import Box, Shown, Wanted, draw
from trainingrun_agent.terms import TRAININGRUN
from voc_data import encoded, jpeg, picture

HOSTILE = "</title></style><script>alert(1)</script><img src=//x.test/i onerror='a()'>\"&\x00\ud800\u202e"
MEGABYTE = 1 << 20
NETWORK = {
    "name": "ssd_inception_v2",
    "inputSize": 300,
    "leastSide": 8,
    "tooSmall": 12,
    "reached": 0.96,
    "featureMaps": [
        {"cells": cells, "stride": stride, "anchors": [[scale, scale], [2 * scale, scale / 2]], "boxes": boxes}
        for cells, stride, scale, boxes in ((19, 16, 0.1, 90), (10, 32, 0.35, 10), (1, 300, 0.95, 0))
    ],
}


def split(classes: Sequence[str] = ("cat", "dog"), each: int = 50) -> dict[str, Any]:
    objects = each * len(classes)
    return {
        "format": "pascalVOC",
        "images": 40,
        "objects": objects,
        "negatives": 3,
        "badFiles": 1,
        "perClass": dict.fromkeys(classes, each),
        "flags": {"difficult": 2, "occluded": 0, "truncated": 0},
        "statistics": {
            "sizes": [[3, 4, objects - 1], [20, 0, 1]] if objects else [],
            "aspects": [[-16, 1], [0, objects - 1]] if objects else [],
            "centres": [objects, *[0] * 1023],
            "boxesPerImage": [[0, 3], [51, 37]],
            "imageSides": [[18, 40]],
        },
    }


def finding(code: str = "BoxClipped", **changes: Any) -> dict[str, Any]:
    """A finding as in report.json, with all its fields."""
    fields = dict.fromkeys(field_names(KINDS[code].seen), "x") | {"count": 2, "corners": [1], "image": [1, 2]}
    severity = str(KINDS[code].severity)
    return {"code": code, "severity": severity, "split": "train", "file": "a.xml", "fields": fields, **changes}


def report(
    *,
    classes: Sequence[str] = ("cat", "dog"),
    findings: Sequence[Mapping[str, Any]] = (),
    counts: Mapping[str, int] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    severities = Counter(item["severity"] for item in findings)
    return {
        "formatVersion": 3,
        "digest": "ab" * 32,
        "classes": list(classes),
        "counts": counts or Counter(item["code"] for item in findings),
        "errors": severities["error"],
        "warnings": severities["warning"],
        "infos": severities["info"],
        "findings": list(findings),
        "verdict": {"outcome": "errors" if severities["error"] else "warnings" if severities["warning"] else "clean"},
        "splits": {"train": split(classes), "eval": split(classes, 10)},
        "network": NETWORK,
        **fields,
    }


def parsed(document: Mapping[str, Any], shown: Sequence[Shown] = ()) -> html.HtmlElement:
    text = render(document, shown, TRAININGRUN)
    tree = html.document_fromstring(text.encode())
    harmless(tree, text)
    return tree


def harmless(tree: html.HtmlElement, text: str) -> None:
    """Check that the page runs and requests nothing, and that its links and references have targets in it."""
    assert not tree.xpath("//script|//iframe|//object|//embed|//form|//base")
    assert not tree.xpath("//@*[starts-with(name(), 'on')]|//@style")
    assert all(address.startswith("data:") for address in tree.xpath("//@src|//link/@href"))
    assert not re.search(r"@import|url\((?!#)", text)
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert {address[1:] for address in tree.xpath("//a/@href")} <= set(ids)
    assert {name for names in tree.xpath("//@aria-labelledby") for name in names.split()} <= set(ids)
    assert len(tree.xpath("//meta[@http-equiv='Content-Security-Policy']")) == 1
    assert all(element.get("alt") for element in tree.xpath("//img"))


def words(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def headings(tree: html.HtmlElement) -> list[str]:
    return [words(element) for element in tree.xpath("//h2")]


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in report().items() if name != field}


EVERYTHING = [
    "What to do first",
    "Objects per class",
    "The evaluation split",
    "Box sizes and the network",
    "Shapes and places of boxes",
    "Images",
    "Findings",
]
DOCUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no findings": (report(), "No findings: nothing to do."),
    "an error": (report(findings=[finding("ImageEmpty")]), "40 images"),
    "no eval": (report(splits={"train": split()}), "There is no evaluation split"),
    "no train": (report(splits={"eval": split()}), "There are no boxes to train on"),
    "no objects": (report(splits={"train": split(each=0), "eval": split(each=0)}), "No class has objects to train on."),
    "no classes": (report(classes=()), "There are no boxes"),
    "no network": (without("network"), "width at the input, %"),
    "one class not in eval": (
        report(splits={"train": split(), "eval": {**split(), "perClass": {"cat": 10, "dog": 0}}}),
        "Not evaluated: dog",
    ),
    "a fraction": (
        report(
            split={
                "fraction": "0.15",
                "seed": 7,
                "groupBy": "sequence",
                "images": 0.147,
                "classes": [],
                "largestDeviation": {"name": "dog", "share": 0.222},
            }
        ),
        "seed 7, grouped by sequence), and 14.7 % of the images are in eval. The class furthest from that is dog: 22.2",
    ),
    "counted only": (report(counts={"BoxOutside": 12_345}), "12 345 findings"),
}


@pytest.mark.parametrize(("document", "text"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_section_is_there_whatever_is_missing(document: dict[str, Any], text: str) -> None:
    tree = parsed(document)
    assert headings(tree) == EVERYTHING
    assert text in words(tree)


def test_without_any_split_the_findings_are_shown() -> None:
    tree = parsed(report(splits={}, findings=[finding("ImageEmpty")]))
    assert headings(tree) == ["What to do first", "Findings"]
    assert "ImageEmpty" in words(tree)


def test_data_that_was_refused_before_it_was_read_has_no_numbers() -> None:
    refused = {"outcome": "refused", "reason": "FormatNotRecognised", "message": "no labels", "nextStep": "Add labels."}
    tree = parsed(report(splits={}, classes=(), verdict=refused))
    assert headings(tree) == ["What to do first"]
    assert [words(one) for one in tree.xpath("//header/*")] == [
        "Data set report",
        "This data cannot be used for training (FormatNotRecognised)",
        "no labels",
    ]


def test_without_any_image_that_can_be_used_there_is_nothing_to_draw() -> None:
    tree = parsed(report(splits={"train": {**split(each=0), "images": 0}}, findings=[finding("ImageEmpty")]))
    assert headings(tree) == ["What to do first", "Findings"]


def test_a_fraction_that_the_dataset_has_is_not_asked_for() -> None:
    tree = parsed(report(splits={"train": split()}, dataset={"train": {"uri": "s3://b/c/"}, "evalFraction": "0.15"}))
    assert "The dataset above sets 15.0 % of them aside for evaluation." in words(tree)
    assert "There is no evaluation split" not in words(tree)


def test_the_verdict_comes_first() -> None:
    found = [finding("ImageEmpty"), *[finding("BoxSwapped")] * 2]
    tree = parsed(report(findings=found, splits={"train": split(each=2444)}))
    verdict = "This data can be used for training, without the files that have errors"
    assert words(tree.xpath("//header/p")[0]) == verdict
    assert words(tree.xpath("//header/p")[2]) == "40 images, 4 888 objects, 1 error, 2 warnings"
    assert tree.findtext(".//title") == f"Data set report: {verdict}"


def test_a_refusal_says_first_what_has_to_change() -> None:
    given = {
        "outcome": "refused",
        "reason": "EmptyTrainSet",
        "message": "no image <b>",
        "nextStep": "Put images there.",
    }
    tree = parsed(report(splits={}, verdict=given))
    said = ["This data cannot be used for training (EmptyTrainSet)", "no image <b>"]
    assert [words(line) for line in tree.xpath("//header/p")][:2] == said
    assert words(tree.xpath("//section[@id='first']")[0]) == "What to do firstPut images there."
    assert "No findings" not in words(tree)


def test_the_dataset_of_a_run_can_be_copied_whatever_its_names_are() -> None:
    dataset = {
        "classes": ["no", "007", "a: b", "#x", "<script>alert(1)</script>", "zero\u200bwidth", "tire"],
        "evalFraction": "0.15",
        "train": {"format": "yolo", "uri": "s3://BUCKET/größe & co/"},
    }
    [copied] = parsed(report(dataset=dataset)).xpath("//section[@id='dataset']//pre[@class='copy']")
    assert yaml.safe_load(copied.text_content()) == {"dataset": dataset}


def test_findings_are_ordered_by_severity_and_count() -> None:
    warnings = [*[finding("BoxSwapped")] * 2, *[finding("BoxClipped")] * 3]
    order = ["ImageEmpty", "BoxClipped", "BoxSwapped", "SizeMissing"]
    found = [finding("SizeMissing"), *warnings, finding("ImageEmpty")]
    tree = parsed(report(findings=found))
    assert [words(link) for link in tree.xpath("//section[@id='first']//a")] == order
    assert [words(head).split()[0] for head in tree.xpath("//section[@id='findings']//h3")] == order


HOSTILE_FINDINGS = {
    "file": finding(file=HOSTILE),
    "field": finding("NameClash", fields={"other": HOSTILE}),
    "list": finding("ImageAmbiguous", fields={"labelFile": "a", "count": 2, "images": [HOSTILE]}),
}


@pytest.mark.parametrize("hostile", HOSTILE_FINDINGS.values(), ids=HOSTILE_FINDINGS)
def test_markup_in_findings_is_shown_as_text(hostile: dict[str, Any]) -> None:
    tree = parsed(report(findings=[hostile]))
    assert "<script>alert(1)</script>" in tree.text_content()


def test_markup_in_names_is_shown_as_text() -> None:
    shown = Shown("train", HOSTILE, HOSTILE, f"class:{HOSTILE}", jpeg())
    tree = parsed(report(classes=(HOSTILE, "dog"), digest=HOSTILE, network={**NETWORK, "name": HOSTILE}), [shown])
    assert tree.text_content().count("<script>alert(1)</script>") >= 6
    assert "<script>" in tree.xpath("//img/@alt")[0]


def test_five_hundred_classes_are_all_there() -> None:
    classes = [f"class-{index}" for index in range(500)]
    document = report(classes=classes)
    tree = parsed(document)
    table = {words(cell) for cell in tree.xpath("//section[@id='classes']//tbody//th")}
    assert table == set(classes)
    assert len(render(document, [], TRAININGRUN)) < MEGABYTE


def test_a_thousand_findings_give_a_page_of_bounded_size() -> None:
    codes = ["BoxClipped", "BoxSwapped", "BoxOutside", "BoxDegenerate", "ImageEmpty"]
    codes += ["ClassMissing", "NameClash", "DuplicateImage", "FormatMismatch", "ImageAnimated"]
    found = [finding(code, file="f" * 1024) for code in codes]
    for one in found:
        one["fields"] |= dict.fromkeys(("name", "other", "format"), "x" * 500)
    document = report(findings=found * 100, counts=dict.fromkeys(codes, 250))
    tree = parsed(document)
    assert len(tree.xpath("//section[@id='findings']//tbody/tr")) == 10 * 20
    assert "And 230 more, the first 80 of them in report.json." in words(tree)
    assert len(render(document, [], TRAININGRUN)) < MEGABYTE


def test_a_hundred_and_fifty_pictures_fit_into_three_megabytes() -> None:
    shown = [
        draw(jpeg(640, 480, seed=seed), Wanted("train", f"{seed}.jpg", "", "class:cat", (Box((0, 0, 1, 1), "cat"),)))
        for seed in range(5)
    ]
    assert 0 < len(render(report(), shown * 30, TRAININGRUN)) < 3 * MEGABYTE


def test_pictures_are_shown_beside_their_finding_or_class() -> None:
    shown = [
        Shown("train", "a.jpg", "object 3", "BoxClipped", jpeg()),
        Shown("eval", "b.jpg", "2 dogs", "class:dog", jpeg()),
        Shown("train", "c.jpg", "", "BoxClipped", None),
    ]
    tree = parsed(report(findings=[finding()]), shown)
    clipped = [words(item) for item in tree.xpath("//section[@id='finding-BoxClipped']//figure")]
    assert clipped == ["a.jpg (train) object 3", "This image cannot be shown.c.jpg (train)"]
    [sample] = tree.xpath("//section[@id='samples']//section[h3='dog']//img")
    assert sample.get("src").startswith("data:image/jpeg;base64,/9j/")


def test_each_anchor_is_marked_and_named() -> None:
    tree = parsed(report())
    [chart] = tree.xpath("//*[local-name()='svg'][@aria-labelledby='sizes-title sizes-description']")
    marks = [mark.findtext("title") for mark in chart.iter("path") if "mark" in mark.get("class", "").split()]
    assert len(marks) == 6
    numbers = [re.findall(r"\d+", mark or "") for mark in marks]
    assert numbers[:2] == [["19", "19", "30", "30"], ["19", "19", "60", "15"]]


def shown_image(shown: Shown) -> Image.Image:
    assert shown.jpeg is not None
    image = Image.open(io.BytesIO(shown.jpeg))
    image.load()
    assert image.format == "JPEG"
    return image


def wanted(*boxes: Box, upright: bool = True) -> Wanted:
    return Wanted("train", "a.jpg", "", "BoxClipped", boxes, upright)


GRAY = Image.new("RGB", (640, 480), "gray")


def colours(image: Image.Image, y: int) -> list[str]:
    """For each pixel of row y: red, blue, or neither."""
    row = [image.getpixel((x, y)) for x in range(60, 260)]
    return ["red" if red > blue + 60 else "blue" if blue > red + 60 else "" for red, _, blue in row]  # type: ignore[misc]


def test_a_box_is_drawn_where_it_is_and_a_marked_one_differs() -> None:
    box = (0.125, 0.25, 0.875, 0.75)
    plain = colours(shown_image(draw(encoded(GRAY), wanted(Box(box, "")))), 60)
    marked = colours(shown_image(draw(encoded(GRAY), wanted(Box(box, "", marked=True)))), 60)
    nothing = colours(shown_image(draw(encoded(GRAY), wanted())), 60)
    assert set(nothing) == {""}
    assert Counter(plain)["blue"] > 190  # a solid line
    assert 90 < Counter(marked)["red"] < 160  # a dashed one


def test_the_label_is_drawn_at_the_box() -> None:
    def drawn(label: str) -> bytes:
        return shown_image(draw(encoded(GRAY), wanted(Box((0.5, 0.5, 0.9, 0.9), label)))).tobytes()

    assert drawn("cat") != drawn("dog")
    assert drawn("\u732b\ud800")


@pytest.mark.parametrize(("upright", "size"), [(True, (240, 320)), (False, (320, 240))], ids=["turned", "as stored"])
def test_the_picture_is_turned_as_its_labels_are(upright: bool, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(640, 480), exif=exif)
    assert shown_image(draw(data, wanted(upright=upright))).size == size


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "garbage": b"\xff\xd8garbage" * 50,
    "a page": b"<!doctype html><script>alert(1)</script>",
    "a bomb": encoded(Image.new("1", (30_000, 30_000)), "PNG"),
    "without its end": jpeg()[:-400],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_an_image_that_cannot_be_decoded_has_no_picture(data: bytes) -> None:
    assert draw(data, wanted()) == Shown("train", "a.jpg", "", "BoxClipped", None)


@pytest.mark.parametrize(
    "box",
    [(-5.0, -5.0, 9.0, 9.0), (0.9, 0.9, 0.1, 0.1), (0.5, 0.5, 0.5, 0.5), (1.0, 1.0, 1.0, 1.0)],
    ids=["beyond", "swapped", "a point", "a corner"],
)
def test_any_box_can_be_drawn(box: tuple[float, float, float, float]) -> None:
    assert shown_image(draw(jpeg(), wanted(Box(box, "x" * 500, marked=True)))).size == (160, 120)


def test_a_box_with_nan_has_no_picture() -> None:
    assert draw(jpeg(), wanted(Box((float("nan"), 0, 1, 1), "cat"))).jpeg is None


@pytest.mark.parametrize(
    ("size", "longest"), [((6000, 4000), 320), ((8, 6), 160), ((3000, 1), 320)], ids=["huge", "tiny", "a line"]
)
def test_pictures_have_a_readable_size(size: tuple[int, int], longest: int) -> None:
    data = encoded(Image.effect_noise(size, 90))
    shown = draw(data, wanted(Box((0, 0, 1, 1), "cat")))
    assert max(shown_image(shown).size) == longest
    assert shown.jpeg is not None
    assert len(shown.jpeg) < 3 * pictures.MAX_BYTES


def test_the_drawings_are_well_formed() -> None:
    text = render(report(findings=[finding()]), [], TRAININGRUN)
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) >= 5
    assert all(etree.fromstring(drawing).get("viewBox") for drawing in drawings)
