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
