"""PascalVOC files, well-formed and crafted: an annotation, or one named finding."""

from __future__ import annotations

import pytest

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.source.readers import labelimg
from trainingrun_agent.prep.source.readers.pascal_voc import parse, read
from voc_data import labelled, voc
from voc_samples import BAD, GOOD, TIRE, box

PLACED = b"""<annotation verified="yes">
\t<folder>f</folder>
\t<filename>a b.jpg</filename>
\t<path>/f/a b.jpg</path>
\t<source>
\t\t<database>Unknown</database>
\t</source>
\t<size>
\t\t<width>160</width>
\t\t<height>120</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
\t<object>
\t\t<name>tire</name>
\t\t<pose>Left</pose>
\t\t<truncated>1</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>10</xmin>
\t\t\t<ymin>20.5</ymin>
\t\t\t<xmax>60</xmax>
\t\t\t<ymax>80</ymax>
\t\t</bndbox>
\t</object>
</annotation>
"""
INTRUDERS = [
    *(b"", b"<", b">", b"&", b"&lt;", b"/", b" ", b"\r\n", b"\t", b"\0", b"\x0b", b"\x7f", "é".encode()),
    *(b"0", b"-", b"+", b".", b"e5", b"x", b"<a/>", b"<object/>", b"<name>b</name>"),
    *(b"<!---->", b"<?p?>", b"<![CDATA[1]]>"),
]


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_reads(data: bytes) -> None:
    assert read(data) == parse(data)
    [item] = read(data).objects
    assert (item.name, item.xmin, item.ymin, item.xmax, item.ymax) == ("tire", 10, 20, 60, 80)


@pytest.mark.parametrize(("data", "code"), BAD.values(), ids=BAD)
def test_refuses_by_name(data: bytes, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read(data)
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{caught.value.code}: ")


def test_names_the_object() -> None:
    with pytest.raises(UnusableError) as caught:
        read(voc([TIRE, TIRE, box(xmin="x", ymin=1, xmax=2, ymax=2)]))
    assert caught.value.index == 2


@pytest.mark.parametrize(
    "text",
    ["", "0", "-5", "nan", "inf", "1e99", "wide"],
    ids=["empty", "zero", "negative", "nan", "inf", "huge", "word"],
)
def test_an_invalid_size_counts_as_missing(text: str) -> None:
    annotation = read(voc().replace(b"<width>160", f"<width>{text}".encode()))
    assert (annotation.width, annotation.height) == (0, 120)


def test_keeps_flags_and_images_without_objects() -> None:
    [item] = read(voc([labelled(extra="<difficult>1</difficult><truncated>1</truncated><pose>Left</pose>")])).objects
    assert (item.difficult, item.truncated, item.view) == (True, True, "Left")
    assert read(voc([])).objects == ()


@pytest.mark.parametrize("intruder", INTRUDERS, ids=map(repr, INTRUDERS))
def test_the_fast_pattern_agrees_with_the_parser_or_gives_up(intruder: bytes) -> None:
    for place in range(len(PLACED)):
        for data in (PLACED[:place] + intruder + PLACED[place:], PLACED[:place] + intruder + PLACED[place + 1 :]):
            found = labelimg.read(data)
            assert found is None or found == parse(data), data


def test_the_fast_pattern_reads_files_of_labelimg() -> None:
    assert labelimg.read(PLACED) == parse(PLACED)
    for data in (voc(), voc([]), voc([TIRE, labelled("rim", (-1, "0.5", 2, "12.25"))])):
        assert labelimg.read(data) == parse(data)


def drawn(inner: str) -> bytes:
    return voc([f"<object><name>tire</name>{inner}</object>"])


ROTATED = "<robndbox><cx>50</cx><cy>40</cy><w>{}</w><h>{}</h><angle>{}</angle></robndbox>"
UPRIGHT = "<bndbox><xmin>30</xmin><ymin>30</ymin><xmax>70</xmax><ymax>50</ymax></bndbox>"
ROTATION = "<attributes><attribute><name>rotation</name><value>{}</value></attribute></attributes>"
POINTS = "<pt><x>10</x><y>30</y></pt><pt><x>40</x><y>20</y></pt><pt><x>25</x><y>60</y><time>1</time></pt>"
SHAPES = {
    "roLabelImg, not turned": (ROTATED.format(40, 20, 0), (30, 30, 70, 50), "turned box"),
    "roLabelImg, a quarter": (ROTATED.format(40, 20, 1.5707963267948966), (40, 20, 60, 60), "turned box"),
    "roLabelImg, an eighth": (
        ROTATED.format(40, 40, 0.7853981633974483),
        (21.7157, 11.7157, 78.2843, 68.2843),
        "turned box",
    ),
    "roLabelImg, a third": (
        ROTATED.format(40, 20, 2.0943951023931953),
        (31.3397, 17.6795, 68.6603, 62.3205),
        "turned box",
    ),
    "LabelMe on the web": (
        f"<deleted>0</deleted><polygon><username>me</username>{POINTS}</polygon>",
        (10, 20, 40, 60),
        "polygon",
    ),
    "CVAT, a quarter": (f"{UPRIGHT}{ROTATION.format(90.0)}", (40, 20, 60, 60), "turned box"),
    "CVAT, not turned": (f"{UPRIGHT}{ROTATION.format(0.0)}", (30, 30, 70, 50), ""),
    "CVAT, a whole turn": (f"{UPRIGHT}{ROTATION.format(360.0)}", (30, 30, 70, 50), ""),
    "an attribute that is no angle": (f"{UPRIGHT}{ROTATION.format('left')}", (30, 30, 70, 50), ""),
    "CVAT's LabelMe, a quarter": (
        "<polygon><x1>30</x1><y1>30</y1><x2>70</x2><y2>50</y2></polygon><attributes>a=b, rotation=90.0</attributes>",
        (40, 20, 60, 60),
        "turned box",
    ),
    "LabelMe on the web, a mask": (
        "<segm><mask>a.png</mask><box><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></box></segm>",
        (1, 2, 30, 40),
        "mask",
    ),
    "a polygon without a box": (
        "<polygon><x1>10</x1><y1>30</y1><x2>40</x2><y2>20</y2><x3>25</x3><y3>60</y3></polygon>",
        (10, 20, 40, 60),
        "polygon",
    ),
    "a polygon with its box": (
        "<polygon><x1>10</x1><y1>30</y1></polygon><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>",
        (1, 2, 30, 40),
        "",
    ),
}


@pytest.mark.parametrize(("inner", "corners", "shape"), SHAPES.values(), ids=SHAPES)
def test_takes_the_upright_box_around_other_shapes(inner: str, corners: tuple[float, ...], shape: str) -> None:
    [item] = read(drawn(inner)).objects
    assert (item.corners, item.shape) == (pytest.approx(corners, abs=1e-4), shape)


BROKEN_SHAPES = {
    "an angle that is a word": (ROTATED.format(4, 2, "steep"), "BoxNotANumber"),
    "no angle": (ROTATED.format(4, 2, 0).replace("angle", "turn"), "BoxNotANumber"),
    "an angle in degrees": (ROTATED.format(4, 2, 30), "BoxMissing"),
    "an infinite angle": (ROTATED.format(4, 2, "inf"), "BoxNotFinite"),
    "a polygon of one point": ("<polygon><pt><x>1</x><y>2</y></pt></polygon>", "BoxMissing"),
    "a polygon without points": ("<polygon><pt/></polygon>", "BoxMissing"),
    "a point that is a word": ("<polygon><pt><x>1</x><y>b</y></pt></polygon>", "BoxNotANumber"),
}


@pytest.mark.parametrize(("inner", "code"), BROKEN_SHAPES.values(), ids=BROKEN_SHAPES)
def test_names_the_broken_shape(inner: str, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read(drawn(inner))
    assert (caught.value.code, caught.value.index) == (code, 0)


def test_all_boxes_of_an_object_count() -> None:
    """Only the first was read, so the others became background."""
    other = "<bndbox><xmin>90</xmin><ymin>20</ymin><xmax>120</xmax><ymax>80</ymax></bndbox></object>"
    made = read(voc([TIRE.replace("</object>", other), TIRE]))
    assert [(item.index, item.xmin) for item in made.objects] == [(0, 10), (0, 90), (1, 10)]


def test_what_was_deleted_on_the_web_is_gone_and_its_size_is_read() -> None:
    data = voc([labelled(extra="<deleted>1</deleted>"), TIRE], size=None)
    made = read(data.replace(b"<object>", b"<imagesize><nrows>120</nrows><ncols>160</ncols></imagesize><object>", 1))
    assert [item.index for item in made.objects] == [1]
    assert (made.width, made.height) == (160, 120)
