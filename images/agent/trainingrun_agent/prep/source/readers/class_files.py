"""Reader of the files in which label tools and training programs list class names: the name of each class id.

Invariant: any bytes give a ClassFile; a name's position is its id, so a position without a name stays, as "".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import yaml

from trainingrun_agent import bounded_json
from trainingrun_agent.prep.source.readers.values import clean, text_of

MAX_BYTES = 256 << 10
"""Of one file: YAML takes ten seconds for each megabyte."""
MAX_ID = 50_000
DEFINITION = ".data"
"""Darknet's description of a data set, such as obj.data, which says where its list of names is."""
_RANKS = {
    "classes.txt": 1,
    "_darknet.labels": 1,
    "obj.names": 1,
    "classes.names": 1,
    "_classes.txt": 2,
    "class_names.txt": 2,
    "labels.txt": 2,
    "data.yaml": 4,
    "data.yml": 4,
    "dataset.yaml": 4,
    "dataset.yml": 4,
    "notes.json": 6,
    "predefined_classes.txt": 8,
}
_SUFFIX_RANKS = {DEFINITION: 0, ".names": 3, ".labels": 3, ".yaml": 5, ".yml": 5, ".pbtxt": 7}
SUFFIXES = frozenset(_SUFFIX_RANKS)
_BOX = re.compile(r"\d+(\s+-?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?){4}")  # a number is matched in one way only
_NAMES = re.compile(r"\s{0,20}names\s{0,20}=(.+)")
_ITEM = re.compile(r"\bitem\s{0,20}\{([^{}]{0,4000})\}")
_FIELD = re.compile(r"\b(id|name|display_name)\s{0,20}:\s{0,20}(\d{1,6}|\"[^\"\n]{0,1024}\"|'[^'\n]{0,1024}')")


class ClassFile(NamedTuple):
    """The names by id, the `kpt_shape` of a data.yaml, and the name of the file that has the names instead.

    `problem` says why nothing in the file can be read.
    """

    names: tuple[str, ...] = ()
    keypoints: tuple[int, int] | None = None
    instead: str = ""
    problem: str = ""


def rank(name: str) -> int | None:
    """The rank of a file that may list classes, by its name in lower case; None for other files.

    Of several in a folder, the one with the lowest rank was written with the labels.
    """
    known = _RANKS.get(name)
    return known if known is not None else _SUFFIX_RANKS.get(name[name.rfind(".") :]) if "." in name else None


def lists_classes(name: str) -> bool:
    """Whether a file with this name in lower case can only be a list of classes."""
    return name in _RANKS


def read(name: str, data: bytes) -> ClassFile:
    """The content of a file for which `rank` is not None, given by its name in lower case."""
    text = text_of(data)
    if name.endswith((".yaml", ".yml")):
        return _yaml(text)
    if name.endswith(DEFINITION):
        found = next((match[1] for line in text.splitlines() if (match := _NAMES.fullmatch(line))), "")
        return ClassFile(instead=clean(found.replace("\\", "/")).rpartition("/")[2])
    if name.endswith(".json"):
        return _json(text)
    return ClassFile(_label_map(text)) if name.endswith(".pbtxt") else _lines(text)


def _lines(text: str) -> ClassFile:
    """One name a line. A blank line between names counts as an id, as label tools and darknet count it."""
    lines = [clean(line) for line in text.strip().splitlines()]
    if len(lines) > MAX_ID:
        return ClassFile(problem=f"it has more than {MAX_ID} lines")
    is_labels = any(_BOX.fullmatch(line) for line in lines[:3])
    return ClassFile() if is_labels or not any(lines) else ClassFile(tuple(lines))


def _by_id(pairs: Iterable[tuple[object, object]], *, first: int = 0) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for ident, name in pairs:
        digits = clean(ident)
        if digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_ID)):
            names.setdefault(int(digits) - first, clean(name))
    names = {ident: name for ident, name in names.items() if 0 <= ident <= MAX_ID}
    return tuple(names.get(ident, "") for ident in range(max(names, default=-1) + 1))


def _json(text: str) -> ClassFile:
    """The categories of Label Studio's notes.json."""
    try:
        document = bounded_json.loads(text)
    except ValueError:
        return ClassFile(problem="it is not JSON")
    listed = document.get("categories") if isinstance(document, dict) else None
    parts = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return ClassFile(_by_id((one.get("id"), one.get("name")) for one in parts))


def _label_map(text: str) -> tuple[str, ...]:
    """A label map of TensorFlow, whose ids begin with 1 as those of labels begin with 0."""
    pairs = []
    for item in _ITEM.finditer(text):
        found = {match[1]: match[2].strip("\"'") for match in _FIELD.finditer(item[1])}
        pairs.append((found.get("id"), found.get("display_name") or found.get("name")))
    return _by_id(pairs, first=0 if any(ident == "0" for ident, _ in pairs) else 1)


def _yaml(text: str) -> ClassFile:
    """`names` and `kpt_shape`. Reads nodes instead of building values, because aliases could expand without end."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        return ClassFile(problem=f"it is not YAML{line}")
    except (yaml.YAMLError, RecursionError, ValueError):
        return ClassFile(problem="it is not YAML")
    if not isinstance(root, yaml.MappingNode):
        return ClassFile()
    parts = {key.value: value for key, value in root.value if isinstance(key, yaml.ScalarNode)}
    return ClassFile(_yaml_names(parts.get("names")), _keypoints(parts.get("kpt_shape")))


def _yaml_names(node: object) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode):
        return tuple(clean(item.value) for item in node.value[:MAX_ID])
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return _by_id((ident.value, name.value) for ident, name in pairs)


def _keypoints(node: object) -> tuple[int, int] | None:
    """The number of keypoints and of values of each, which is 2 or 3; no keypoints at all for polygons."""
    values: Sequence[object] = node.value if isinstance(node, yaml.SequenceNode) else ()
    digits = [clean(value.value) for value in values if isinstance(value, yaml.ScalarNode)]
    if len(digits) != 2 or not all(one.isascii() and one.isdigit() and len(one) <= 4 for one in digits):
        return None
    points, each = map(int, digits)
    return (points, each) if not points or each in (2, 3) else None
