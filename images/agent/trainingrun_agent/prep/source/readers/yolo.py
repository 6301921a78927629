"""Reader of YOLO text: a line `class cx cy width height` per box, as parts of the image's size.

Invariant: class ids count from 0 in the order of spec.dataset.classes, because the lists that label tools write
beside change under the user's hands; such a list has to agree. An empty file is an image without objects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import yaml

from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_COLUMNS
from trainingrun_agent.prep.model.codes.classes import CLASS_ID_INVALID, UNKNOWN_CLASS
from trainingrun_agent.prep.model.codes.label_files import ANNOTATION_MALFORMED
from trainingrun_agent.prep.source.readers.base import Context, FileFormat
from trainingrun_agent.prep.source.readers.values import boxed, check_count, clean, encoding_of, hull, number, text_of
from trainingrun_agent.prep.source.split_names import is_split_list

MAX_BYTES = 4 << 20
CLASS_FILES = ("classes.txt", "data.yaml", "data.yml")
# A number is matched in one way only: with two, a line of thirty numbers and a letter would take hours.
_LINE = re.compile(r"\d+(\s+-?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?){4,}")


def read(data: bytes, context: Context) -> Annotation:
    """Parse one file. Raises UnusableError with the index of the object."""
    try:
        text = data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        raise UnusableError(
            ANNOTATION_MALFORMED, case="encoding", encoding=error.encoding, problem=error.reason
        ) from error
    lines = [line for line in text.splitlines() if line.strip()]
    check_count(lines)
    objects = tuple(_object(line.split(), index, context.ids) for index, line in enumerate(lines))
    return Annotation("", 0, 0, objects, relative=True, sized=False)


def _object(words: list[str], index: int, ids: Sequence[str]) -> LabelledObject:
    try:
        name = _name(words[0], ids)
        values = [number(word, f"number {at}") for at, word in enumerate(words[1:], start=1)]
        if len(values) == 4:
            x, y, width, height = values
            return boxed(name, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), index=index)
        if len(values) >= 6 and len(values) % 2 == 0:
            corners = list(zip(values[::2], values[1::2], strict=True))
            return boxed(name, hull(corners, "polygon"), index=index, shape="polygon")
    except UnusableError as problem:
        problem.index = index
        raise
    raise UnusableError(BOX_COLUMNS, count=len(values), index=index)


def _name(word: str, ids: Sequence[str]) -> str:
    if not re.fullmatch(r"\d{1,6}", word, re.ASCII):
        raise UnusableError(CLASS_ID_INVALID, found=word[:60])
    if int(word) >= len(ids):
        raise UnusableError(UNKNOWN_CLASS, case="id", id=word, count=len(ids), last=len(ids) - 1)
    return ids[int(word)]


def recognises(head: bytes) -> bool:
    """Whether the first line is a box; an empty file is not recognised."""
    first = next((line for line in text_of(head).splitlines() if line.strip()), "")
    return bool(_LINE.fullmatch(first.strip()))


def class_list(path: str, data: bytes) -> list[str] | None:
    """The names that classes.txt or data.yaml lists, None for any other file or one without names."""
    name = PurePosixPath(path).name.casefold()
    if name not in CLASS_FILES:
        return None
    if name.endswith(".txt"):
        return [clean(line) for line in text_of(data).splitlines() if line.strip()]
    try:
        root = yaml.compose(text_of(data), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return _yaml_names(root)


def _yaml_names(root: object) -> list[str] | None:
    """The value of `names`. Reads nodes instead of building values, because aliases could expand without end."""
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode) or key.value != "names":
            continue
        if isinstance(value, yaml.SequenceNode):
            return [clean(item.value) for item in value.value]
        if isinstance(value, yaml.MappingNode):
            pairs = [(clean(ident.value), clean(item.value)) for ident, item in value.value]
            return [name for _, name in sorted(pairs, key=lambda pair: (len(pair[0]), pair[0]))]
    return None


FORMAT = FileFormat(
    "yolo",
    ".txt",
    MAX_BYTES,
    read,
    recognises,
    aside=lambda name: name in CLASS_FILES or is_split_list(name) or name.startswith("readme"),
    class_list=class_list,
    list_suffixes=(".yaml", ".yml"),
    empty_is_negative=True,
    folders=("images", "labels"),
)
