"""Broken bytes of every kind: each reader gives finite boxes with encodable names, or UnusableError, and nothing else.

Seeded, so that a failure comes again; FUZZ_ROUNDS in the environment makes it longer.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterable

import pytest

from label_reading import read_set
from label_sets import CLASSES, SETS
from trainingrun_agent.prep.annotation import Annotation, UnusableError
from trainingrun_agent.prep.readers import FORMATS, FileFormat
from trainingrun_agent.prep.readers.yolo import class_list

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "150"))
TOKENS = (
    *(b"NaN", b"-Infinity", b"1e999", b"-1", b"9" * 400, b"9" * 5000, b"null", b"true", b"[]", b"{}"),
    *(b"[" * 3000, b'{"a":' * 3000, b'"\\ud800"', b"\\u0000", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3"),
    *(b'"', b"'", b'""', b",", b";", b"\r", b"\n\n", b"<", b">", b"&x;", b"<!DOCTYPE a>", b"<![CDATA["),
    *(b"<?xml version='1.0' encoding='utf-16'?>", b"</image>", b"</annotation>", b"<object/>", b"<bndbox/>"),
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to four changes: a bit, a cut, a part doubled or taken out, two parts swapped, a token put in."""
    for _ in range(chance.randint(1, 4)):
        start, end = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
        end = min(end, start + 200)
        kind = chance.randrange(6)
        if kind == 0 and data:
            at = chance.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:start] + data[end:]
        elif kind == 2:
            data = data[:end] + data[start:]
        elif kind == 3:
            data = data[:start] if chance.random() < 0.3 else data
        else:
            data = data[:start] + chance.choice(TOKENS) + data[end if kind == 5 else start :]
    return data


def check(made: Iterable[Annotation | UnusableError]) -> int:
    """What leaves a reader can be written; returns how many objects there are."""
    count = 0
    for one in made:
        if isinstance(one, UnusableError):
            assert one.code
            assert one.hint
            (one.code + one.seen + one.hint).encode()
            continue
        one.filename.encode()
        assert 0 <= one.width < 10**6
        assert 0 <= one.height < 10**6
        for item in one.objects:
            count += 1
            (item.name + item.view + item.shape).encode()
            assert item.name
            assert all(map(math.isfinite, (item.xmin, item.ymin, item.xmax, item.ymax)))
    return count


@pytest.mark.parametrize("name", SETS)
def test_broken_bytes_give_boxes_or_named_defects(name: str) -> None:
    chance = random.Random(name)  # noqa: S311 - repeatable, not secret
    format_name, write = SETS[name]
    format_ = FORMATS[format_name]
    seeds = [data for path, data in write().items() if data and path != "classes.txt"]
    objects = refused = 0
    for _ in range(ROUNDS):
        data = mutated(chance.choice(seeds), chance)
        assert format_.recognises(data[: 64 << 10]) in (True, False)
        try:
            if isinstance(format_, FileFormat):
                objects += check([format_.read(data, CLASSES)])
            else:
                objects += check(read_set(format_name, data).images.values())
        except UnusableError as problem:
            check([problem])
            refused += 1
    assert objects  # some changes leave something to read
    assert refused


def test_every_format_looks_at_any_beginning() -> None:
    chance = random.Random(1)  # noqa: S311
    seeds = [data for _, write in SETS.values() for data in write().values() if data]
    for _ in range(ROUNDS):
        data = mutated(chance.choice(seeds), chance)[: chance.randint(0, 5000)]
        for format_ in FORMATS.values():
            assert format_.recognises(data) in (True, False)


def test_class_lists_of_any_bytes() -> None:
    chance = random.Random(2)  # noqa: S311
    seed = b"train: ../train\nnames:\n  0: tire\n  1: &a winter hub\nx: [*a, {b: !!int '1'}]\n"
    for _ in range(ROUNDS):
        data = mutated(seed, chance)
        for path in ("data.yaml", "classes.txt"):
            for name in class_list(path, data) or []:
                name.encode()
