"""Inputs that would take far more memory or time than their size; `python -m trfuzz.bombs` reads them all.

Invariant: an input is refused, or read, without more memory than preparation may use.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping

import archive_bombs
import image_bombs
import zoo
from trfuzz import targets
from trfuzz.memory import limit_memory

SECONDS = 16
"""For one input, on a machine whose pace is `USUAL_PACE`; the longest takes 6; without bounds, many take minutes."""
USUAL_PACE = 0.05
DEEP = 200_000
BOXES = b"ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n"
Make = Callable[[], bytes]


def _entries(count: int) -> bytes:
    """A page of a listing with something in it that has no end."""
    return b"<ListBucketResult>" + b"<Contents>" * count


def _categories(count: int) -> bytes:
    return json.dumps({"categories": [{"id": number, "name": "a" * 900} for number in range(count)]}).encode()


def _mask(counts: str, *, size: str = "[99999, 99999]") -> bytes:
    """A COCO file with one mask."""
    segmentation = f'{{"size": {size}, "counts": {counts}}}'
    annotation = f'{{"image_id": 1, "category_id": 1, "segmentation": {segmentation}}}'
    return f'{{"images": [{{"id": 1, "file_name": "a"}}], "annotations": [{annotation}]}}'.encode()


IMAGES: Mapping[str, Make] = {
    **{name: make for name, (make, _) in image_bombs.REFUSED.items()},
    **image_bombs.READ,
}
BOMBS: Mapping[str, Mapping[str, Make]] = {
    "images": {name: lambda make=make: b"\0" + make() for name, make in IMAGES.items()},  # type: ignore[misc]
    "archives": {name: make for name, (make, _) in archive_bombs.BOMBS.items()},
    "checkpoints": {
        "entries of many small fields": lambda: zoo.table([(b"a", b"\x08\x01" * (4 << 20))]),
        "names that share their beginnings": lambda: zoo.table_of_one_block(
            b"\0\xa0\x1f\0" + b"a" * 4000 + b"".join(b"\xa0\x1f\5\0%05d" % number for number in range(400_000))
        ),
    },
    "documents": {
        "lists without end": lambda: b"[" * DEEP,
        "objects without end": lambda: b'{"a":' * DEEP,
        "a number of many digits": lambda: b'{"epoch": ' + b"9" * DEEP + b"}",
        "lists in a field": lambda: b'{"numbers": ' + b"[" * 900 + b"]" * 900 + b"}",
        "lists of nothing": lambda: b'{"numbers": [' + b"[]," * (1 << 18) + b"1]}",
    },
    "rows": {
        "a line without end": lambda: b"[" * (20 << 20),
        "lists of nothing": lambda: b"[" + b"[]," * (20 << 20),
    },
    "listings": {"elements without end": lambda: _entries(DEEP)},
    "yolo": {
        "boxes": lambda: b"0 .5 .5 .1 .1\n" * (4 * 1024 * 1024 // 14),
        "a polygon": lambda: b"0" + b" .5 .5" * (4 * 1024 * 1024 // 6),
    },
    "classLists": {
        "sequences": lambda: b"[" * (1 << 18),
        "aliases": lambda: (
            b"a: &a [x,x,x,x,x,x,x,x,x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (98 + at, 98 + at, b",".join([b"*%c" % (97 + at)] * 9)) for at in range(20))
        ),
    },
    "pascalVOC": {
        "objects": lambda: b"<annotation>" + b"<object/>" * (4 * 1024 * 1024 // 10) + b"</annotation>",
        "elements": lambda: b"<annotation>" + b"<a>" * DEEP,
        "attributes": lambda: (
            b"<annotation " + b" ".join(b"a%d=''" % number for number in range(300_000)) + b"></annotation>"
        ),
    },
    "cvat": {
        "a name": lambda: b"<annotations><image name='" + b"a" * (30 << 20) + b"'/></annotations>",
        "elements": lambda: b"<annotations>" + b"<a>" * DEEP,
        "a text": lambda: b"<annotations>" + b"a" * (60 << 20) + b"</annotations>",
        "a video without end": lambda: (
            b"<annotations><meta><stop_frame>499999</stop_frame></meta>" + b"<track><box frame='0'/></track>" * 20_000
        ),
        "shapes of a track": lambda: b"<annotations><track>" + b"<box frame='1'/>" * 300_000,
        "entities": lambda: b"<annotations>" + b"&amp;" * (8 << 20) + b"</annotations>",
    },
    "labelImg": {
        "objects": lambda: b"<annotation>" + b"<object><name>a</name></object>" * (4 * 1024 * 1024 // 31),
        "blanks": lambda: b"<annotation>\n" + b"\t\n" * (2 << 20),
    },
    "labelMe": {"shapes": lambda: b'{"shapes":[' + b"{}," * 500_000 + b"{}]}"},
    "via": {
        "regions": lambda: b'{"a": {"filename": "a.jpg", "regions": [' + b"{}," * 250_000 + b"{}]}}",
        "a value": lambda: b'{"a": ' + b"[" * (8 << 20),
        "a name": lambda: b'{"a": {"filename": "' + b"a" * (30 << 20),
        "blanks": lambda: b'{"a": ' + b" " * (60 << 20),
    },
    "labelStudio": {
        "results": lambda: b'[{"image": "a.jpg", "label": [' + b"{}," * 250_000 + b"{}]}]",
        "a value": lambda: b'[{"image": ' + b"[" * (8 << 20),
        "a name": lambda: b'[{"image": "' + b"a" * (30 << 20),
    },
    "coco": {
        "a value": lambda: b'{"images": [' + b"[" * (8 << 20),
        "an image of many lists": lambda: b'{"images": [[' + b"[]," * (1 << 20),
        "a name": lambda: b'{"images": [{"file_name": "' + b"a" * (30 << 20),
        "blanks": lambda: b" " * (60 << 20),
        "categories": lambda: _categories(55_000),
        "runs of a mask": lambda: _mask(json.dumps([1] * 600_000)),
        "a mask that is packed": lambda: _mask(json.dumps("1" * 1_900_000)),
        "a mask of many pixels": lambda: _mask("[0, 999998000001]", size="[999999, 999999]"),
    },
    "openImages": {
        "a line": lambda: BOXES + b"a" * (60 << 20),
        "a quote": lambda: BOXES + b'"' + b"a\n" * (10 << 20),
        "classes": lambda: (
            BOXES + targets.SEPARATOR + b"".join(b"/m/0%d,%s\n" % (at, b"a" * 900) for at in range(55_000))
        ),
    },
    "createML": {
        "annotations": lambda: b'[{"image": "a.jpg", "annotations": [' + b"{}," * 250_000 + b"{}]}]",
        "a value": lambda: b'[{"image": ' + b"[" * (8 << 20),
    },
    "csv": {
        "a line": lambda: b"image,x1,y1,x2,y2,label\n" + b"a" * (60 << 20),
        "columns": lambda: b"image,x1,y1,x2,y2,label" + b",a" * 400_000 + b"\n",
        "no header": lambda: b"a.jpg,1,2,3,4,tire\n" + b"a" * (60 << 20),
        "delimiters": lambda: b"a,;\t" * (1 << 18),
    },
    "tutorialCSV": {
        "a line": lambda: b"filename,width,height,class,xmin,ymin,xmax,ymax\n" + b"a" * (60 << 20),
        "columns": lambda: b"filename,width,height,class,xmin,ymin,xmax,ymax" + b",a" * 400_000 + b"\n",
        "a quote": lambda: b'filename,width,height,class,xmin,ymin,xmax,ymax\n"' + b"a\n" * (10 << 20),
    },
}
"""By target and name. Each label format is here, so that a new one gets its own."""


def pace() -> float:
    """Seconds of the CPU for a fixed piece of work: other processes, and other machines, change it."""
    begun = time.process_time()
    json.dumps([str(number) for number in range(300_000)])
    return time.process_time() - begun


def main() -> int:
    """Read every input, or those of the named targets; an exception is a bomb that went off."""
    limit_memory()
    for target in sys.argv[1:] or BOMBS:
        for name, make in BOMBS[target].items():
            slow = max(1.0, pace() / USUAL_PACE)
            begun = time.process_time()
            targets.run(target, make())
            took = time.process_time() - begun
            slow = max(slow, pace() / USUAL_PACE)
            print(f"{target}: {name}: {took:.1f} s, {slow:.1f} times slower than usual", flush=True)
            assert took < SECONDS * slow, f"{target}: {name} takes {took:.0f} s"
    return 0


if __name__ == "__main__":
    sys.exit(main())
