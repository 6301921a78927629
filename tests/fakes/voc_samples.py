"""PascalVOC files of many kinds, generated: valid ones with one tire at the same corners, and unusable ones with the
code of their finding."""

from __future__ import annotations

from trainingrun_agent.prep.source.readers.pascal_voc import MAX_BYTES
from voc_data import labelled, voc

TIRE = labelled()
BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><annotation>&b;</annotation>'
EXTERNAL = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'
DECLARED = '<?xml version="1.0" encoding="{}"?>'


def box(**corners: object) -> str:
    """An <object> with these corners, in this order."""
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in corners.items())
    return f"<object><name>tire</name><bndbox>{inner}</bndbox></object>"


GOOD = {
    "as LabelImg writes it": voc(),
    "XML declaration": voc(head=DECLARED.format("utf-8")),
    "byte order mark": "\ufeff".encode() + voc(),
    "UTF-16": (DECLARED.format("utf-16") + voc().decode()).encode("utf-16"),
    "declared Latin-1": (DECLARED.format("iso-8859-1") + voc(filename="é.jpg").decode()).encode("latin-1"),
    "corners in another order": voc([box(xmax=60, ymax=80, xmin=10, ymin=20)]),
    "depth first": voc(size=None).replace(
        b"<object>", b"<size><depth>3</depth><width>160</width><height>120</height></size><object>", 1
    ),
    "extra children": voc([labelled(extra="<occluded>0</occluded><part><name>hub</name></part>")]),
    "part with its own box first": voc(
        [labelled(extra="<part><name>hub</name><bndbox><xmin>1</xmin></bndbox></part>")]
    ),
    "float coordinates": voc([labelled(box=("10.0", "20.0", "60.0", "80.0"))]),
    "blanks and a byte order mark around": voc([labelled(" tire\n", ("\ufeff10", " 20", "60\n", "80"))]),
    "filename with blanks": voc(filename="my image 1.jpg"),
    "filename without extension": voc(filename="image"),
}

BAD = {
    "empty file": (b"", "AnnotationEmpty"),
    "blank file": (b" \n", "AnnotationEmpty"),
    "HTML page": (b"<html><body>404</body></html>", "AnnotationFormat"),
    "HTML page with DOCTYPE": (b"<!DOCTYPE html><html></html>", "AnnotationDoctype"),
    "cut off": (voc()[:-20], "AnnotationMalformed"),
    "raw ampersand": (voc(filename="a.jpg").replace(b"a.jpg", b"a&b.jpg"), "AnnotationMalformed"),
    "Latin-1 undeclared": (voc(filename="e.jpg").replace(b"e.jpg", b"\xe9.jpg"), "AnnotationMalformed"),
    "unknown encoding": (voc(head=DECLARED.format("klingon")), "AnnotationMalformed"),
    "entity never declared": (voc().replace(b"<folder>f", b"<folder>&boom;"), "AnnotationMalformed"),
    "billion laughs": (BOMB, "AnnotationDoctype"),
    "billion laughs in UTF-16": (BOMB.decode().encode("utf-16"), "AnnotationDoctype"),
    "billion laughs in UTF-7": (
        DECLARED.format("utf-7").encode() + BOMB[21:].replace(b"<!", b"+ADwAIQ-"),
        "AnnotationDoctype",
    ),
    "external entity": (EXTERNAL, "AnnotationDoctype"),
    "nested deep": (b"<annotation>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</annotation>", "AnnotationMalformed"),
    "far too large": (b"<annotation>" + b" " * MAX_BYTES + b"</annotation>", "AnnotationTooLarge"),
    "binary": (bytes(range(256)), "AnnotationMalformed"),
    "polygon": (voc(["<object><name>tire</name><polygon/></object>"]), "BoxMissing"),
    "corner absent": (voc([box(xmin=1, ymin=1, xmax=9)]), "BoxNotANumber"),
    "corner a word": (voc([box(xmin="left", ymin=1, xmax=9, ymax=9)]), "BoxNotANumber"),
    "byte order mark inside a number": (voc([box(xmin="1\ufeff0", ymin=1, xmax=9, ymax=9)]), "BoxNotANumber"),
    "NaN": (voc([box(xmin="nan", ymin=1, xmax=9, ymax=9)]), "BoxNotFinite"),
    "infinite": (voc([box(xmin=1, ymin=1, xmax="inf", ymax=9)]), "BoxNotFinite"),
    "no name": (voc([labelled("")]), "ClassMissing"),
}
