"""Targets of fuzzing. For any bytes, a reader must return valid values or raise UnusableError, and nothing else.

Invariant: a target accepts any bytes and returns the number of objects or values that it read from them; any exception
it raises is a bug of the reader.
"""

from __future__ import annotations

import io
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from PIL import Image

from label_reading import read_set
from label_sets import CLASSES, HEIGHT, WIDTH
from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError
from trainingrun_agent.prep.model.codes.kind import Severity
from trainingrun_agent.prep.source.readers import (
    FORMATS,
    Context,
    FileFormat,
    class_files,
    json_stream,
    labelimg,
    pascal_voc,
)
from trainingrun_agent.prep.source.readers.outline import outline
from trainingrun_agent.prep.source.readers.values import encoding_of
from trainingrun_agent.terms import TRAININGRUN
from trfuzz import exchanged
from voc_data import jpeg

Target = Callable[[bytes], int]
SEPARATOR = b"\x1e\n"
"""Separates the files of a set, which are read one after the other."""
HEAD = 64 << 10
DEEP = 400
"""Number of brackets above which two decoders may differ in how deep they go."""
MAX_SIDES = (32, 100, 1024)
REFUSED = object()

# Pillow warns about what it ignores; preparation reports what matters itself.
warnings.simplefilter("ignore")
warnings.simplefilter("error", Image.DecompressionBombWarning)


def labels(name: str) -> Target:
    """Target: the reader of a label format."""
    format_ = FORMATS[name]

    def read(data: bytes) -> int:
        made: Iterable[Annotation | UnusableError]
        assert format_.recognises(data[:HEAD]) in (True, False)
        try:
            if isinstance(format_, FileFormat):
                made = [format_.read(data, Context(CLASSES, CLASSES))]
            else:
                made = read_set(name, *data.split(SEPARATOR)[:3]).images.values()
        except UnusableError as problem:
            made = [problem]
        return sum(map(_objects, made))

    return read


def _objects(made: Annotation | UnusableError) -> int:
    if isinstance(made, UnusableError):
        _named(made)
        return 0
    made.filename.encode()
    assert 0 <= made.width < 10**6
    assert 0 <= made.height < 10**6
    for item in made.objects:
        (item.name + item.view + item.shape).encode()
        assert item.name
        assert all(map(math.isfinite, (item.xmin, item.ymin, item.xmax, item.ymax)))
    _checked(made)
    return len(made.objects)


def _named(problem: UnusableError) -> None:
    exchanged.expected(problem)
    json.dumps(problem.fields, allow_nan=False)


def _checked(annotation: Annotation) -> None:
    """Check labels with an image: the result has boxes inside it and a record, or an error that names the file."""
    made = _CHECKER("a.jpg", "a.xml", _IMAGE, annotation, format_="")
    for finding in made.findings:
        json.dumps(finding.to_json(), allow_nan=False)
        finding.line(TRAININGRUN).encode()
    assert made.usable == (made.record is not None)
    assert made.usable or made.findings[0].severity is Severity.ERROR
    for box in made.boxes:
        assert 0 <= box.xmin < box.xmax <= WIDTH
        assert 0 <= box.ymin < box.ymax <= HEIGHT


def labelimg_pattern(data: bytes) -> int:
    """Target: the fast pattern for LabelImg's files must agree with the XML parser."""
    found = labelimg.read(data)
    if found is None:
        return 0
    assert found == pascal_voc.parse(data)
    return 1


def listed_classes(data: bytes) -> int:
    """Target: the readers of lists of classes."""
    found = [class_files.read(name, data) for name in ("data.yaml", "a.names", "notes.json", "map.pbtxt", "obj.data")]
    points = [one.keypoints for one in found if one.keypoints is not None]
    assert all(count == 0 or values in (2, 3) for count, values in points)
    return len("".join(text for one in found for text in (*one.names, one.instead, one.problem)).encode())


def beginnings(data: bytes) -> int:
    """Target: all functions that recognise a format by the start of a file."""
    return sum(format_.recognises(data) for format_ in FORMATS.values())


def json_values(data: bytes) -> int:
    """Target: the streaming JSON reader must agree with Python's decoder; two bytes set chunk size and depth."""
    size, depth, text = 4 + data[0] % 64, data[1] % 4, data[2:]
    outline(text)
    json_stream.CHUNK = size
    found = _walked(text, depth)
    if text.count(b"[") + text.count(b"{") + text.count(b"\0[") > DEEP:
        return 0
    expected = _loaded(text)
    assert repr(found) == repr(expected)  # repr, because NaN is not equal to itself
    if expected is not REFUSED:
        stream = json_stream.JSONStream(io.BytesIO(text))
        stream.skip()
        stream.end()
    return int(expected is not REFUSED)


def _walked(text: bytes, depth: int) -> Any:
    stream = json_stream.JSONStream(io.BytesIO(text))
    try:
        made = _walk(stream, depth)
        stream.end()
    except UnusableError as problem:
        _named(problem)
        return REFUSED
    return made


def _walk(stream: json_stream.JSONStream, depth: int) -> Any:
    kind = stream.peek()
    if depth and kind == "{":
        return {key: _walk(stream, depth - 1) for key in stream.members()}
    if depth and kind == "[":
        return [_walk(stream, depth - 1) for _ in stream.items()]
    return list(stream.elements()) if kind == "[" else stream.value()


def _loaded(text: bytes) -> Any:
    try:
        return json.loads(text.decode(encoding_of(text)))
    except ValueError:
        return REFUSED


def picture(data: bytes) -> int:
    """Target: the image reader; the first byte sets the longest side and whether EXIF rotation is applied."""
    rotate, max_side, data = bool(data[0] & 1), MAX_SIDES[data[0] // 2 % len(MAX_SIDES)], data[1:]
    try:
        with images.opened(data) as source:
            assert 0 < source.head.width * source.head.height <= images.MAX_PIXELS
            assert source.head.orientation in range(1, 9)
            made = images.render(source, rotate=rotate, max_side=max_side)
    except UnusableError as problem:
        _named(problem)
        return 0
    assert max(made.width, made.height) <= max_side
    assert len(made.look) in (0, 16)
    with Image.open(io.BytesIO(made.data)) as image:
        image.load()
        assert image.format in ("JPEG", "MPO")
        assert image.mode in ("RGB", "L")
        assert image.size == (made.width, made.height)
    return 1


_CHECKER = Checker((*CLASSES, "Tire"), max_side=100)
_IMAGE = jpeg(WIDTH, HEIGHT)
TARGETS: dict[str, Target] = {
    **{name: labels(name) for name in FORMATS},
    "labelImg": labelimg_pattern,
    "classLists": listed_classes,
    "beginnings": beginnings,
    "json": json_values,
    "images": picture,
    **exchanged.TARGETS,
}
HEADERS = {"json": 2, "images": 1}
"""Number of bytes before the data that configure the target."""


def run(name: str, data: bytes) -> int:
    """Run a target; returns 0 when there are too few bytes to configure it."""
    return (TARGETS | _PLANTED)[name](data) if len(data) >= HEADERS.get(name, 0) else 0


def _planted(harm: Callable[[], object]) -> Target:
    """A target with a planted bug that fuzzing has to find."""
    return lambda data: 1 if b"!" in data and harm() else 0


def _raise() -> None:
    raise ValueError("planted")


_PLANTED = {
    "raises": _planted(_raise),
    "hangs": _planted(lambda: time.sleep(60)),
    "grows": _planted(lambda: sum(bytearray(1 << 30)[:: 1 << 8])),
}
