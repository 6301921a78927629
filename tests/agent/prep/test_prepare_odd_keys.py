"""Unusual buckets: keys of any characters and length, no keys at all, or keys of one kind only."""

from __future__ import annotations

import json
import unicodedata

import pytest

from label_sets import Files
from prep_in_memory import Preparation
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import UserError
from trainingrun_agent.storage.s3 import S3Store
from voc_data import jpeg, voc

NAMES = {
    "blanks": " a  b ",
    "Unicode": "größe 輪胎 🛞",
    "Unicode in two parts": unicodedata.normalize("NFD", "größe"),
    "from right to left": "صمغ\u202e",
    "a dot": "./dot",
    "dots": "../dots",
    "dots in the middle": "x/../../y",
    "slashes": "x//slashes",
    "a slash in front": "/slash",
    "backslash": "x\\a",
    "percent": "100%2F.%00",
    "characters of a URL query": "a?b=c&d#e+f",
    "quotes": "\"a\" 'b' `c`",
    "a formula": "=1+1,2;3",
    "XML markup": "<a>&amp;",
    "line ends": "a\r\nb\tc",
    "control characters": "a\x01\x7fb",
    "1,000 characters": "x" * 1000,
    "1,000 bytes, two per character": "é" * 500,
    "a thousand folders": "a/" * 490 + "a",
    "several dots": "a.b..c.",
    "the suffix twice": "twice.jpg",
    "a device name": "CON",
    "the name of a shard": "train-00000",
    "the name of a class list": "classes",
}


def fill(prep: Preparation, names: dict[str, str]) -> None:
    prep.memory.objects.clear()
    for name in names.values():
        file = name.rpartition("/")[2]
        prep.add(name, jpeg(seed=name), voc(filename="".join(filter(str.isprintable, f"{file}.jpg"))))
    prep.add("e0", split="eval")


def test_any_key_is_accepted_as_a_file_name(prep: Preparation) -> None:
    fill(prep, NAMES)
    made = prep.run()
    assert prep.codes() == {}
    assert made.train_images == len(NAMES)


def test_odd_keys_work_with_an_s3_server(prep: Preparation, s3_config: AgentConfig, s3_store: S3Store) -> None:
    names = {what: name for what, name in NAMES.items() if what != "line ends"}  # the test server cannot store them
    fill(prep, names)
    for key, data in prep.memory.objects.items():
        s3_store.put(key, data)
    prep.store = s3_store
    made = prep.run()
    report = json.loads(s3_store.get(f"ml/datasets/{made.digest}/report.json", max_bytes=4 << 20))
    assert report["findings"] == []
    assert made.train_images == len(names)


FEW: dict[str, tuple[Files, str]] = {
    "none": ({}, "EmptyTrainSet: spec.dataset.train: no image file in it"),
    "the folder itself": ({"": b""}, "EmptyTrainSet: spec.dataset.train: no image file in it"),
    "an image": (
        {"a.jpg": jpeg()},
        "FormatNotRecognised: spec.dataset.train.format: auto found no labels; images: 1",
    ),
    "an image of 1 byte": ({"a.jpg": b"x"}, "FormatNotRecognised: spec.dataset.train.format: auto found no labels"),
    "labels": ({"a.xml": voc()}, "EmptyTrainSet: spec.dataset.train: no image file in it"),
    "a file of another kind": ({"a.mp4": b"x"}, "EmptyTrainSet: spec.dataset.train: no image file in it"),
}


@pytest.mark.parametrize(("files", "message"), FEW.values(), ids=FEW)
def test_too_few_keys_are_refused(prep: Preparation, files: Files, message: str) -> None:
    prep.memory.objects = {f"train/{name}": data for name, data in files.items()}
    prep.add("e0", split="eval")
    with pytest.raises(UserError) as caught:
        prep.run()
    assert f"{caught.value.reason}: {caught.value.message}".startswith(message)
