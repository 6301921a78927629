"""Read the index of a checkpoint without TensorFlow, and find its network; real checkpoints are in tests/trainer."""

from __future__ import annotations

import random

import pytest

import zoo
from trainingrun_agent.pipeline.checkpoint import IndexUnreadableError, read_index
from trainingrun_agent.pipeline.fit import misfit

INDEX, DATA = zoo.index_of(zoo.SSD_INCEPTION)
MOBILENET = "FeatureExtractor/MobilenetV1/"


def test_names_shapes_and_the_length_of_the_data() -> None:
    index = read_index(INDEX)
    assert index.variables == zoo.SSD_INCEPTION
    assert index.data_bytes == len(DATA)


def test_a_long_table_has_many_blocks() -> None:
    many = {f"scope/layer_{number:04d}/weights": (number, 3) for number in range(1, 2000)}
    assert read_index(zoo.index_of(many)[0]).variables == many


BROKEN = {
    "empty": (b"", "it does not end like one"),
    "a web page": (b"<html>" * 100, "it does not end like one"),
    "cut in front": (INDEX[50:], "it ends too early"),
    "one bit off": (INDEX[:20] + bytes([INDEX[20] ^ 1]) + INDEX[21:], "a checksum is wrong"),
    "compressed": (zoo.table([(b"x", b"")]).replace(b"\0\0\0\0\1\0\0\0\0", b"\0\0\0\0\1\0\0\0\1"), "compressed"),
    "handles to nowhere": (b"\xff\xff\xff\xff\x0f" * 8 + INDEX[-8:], "it ends too early"),
    "a block named over and over": (zoo.table([(b"a" * 99, b"")], named=1000), "its blocks overlap"),
    "numbers without end": (b"\xff" * 40 + INDEX[-8:], "a number is too long"),
    "an endless name": (zoo.table([(b"a" * 5000, b"")]), "a name too long"),
    "an endless entry": (zoo.table([(b"a", b"\x08\x01" * 4096)]), "is or has a name too long"),
    "very many variables": (
        zoo.table([(b"a" * 99 + b"%05d" % number, b"") for number in range(20_001)]),
        "it names more than 20000 variables",
    ),
    "no protocol buffer": (zoo.table([(b"a", b"\x07\x01")]), "an entry is no protocol buffer"),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_index_is_refused_with_its_cause(data: bytes, message: str) -> None:
    with pytest.raises(IndexUnreadableError) as caught:
        read_index(data)
    assert message in str(caught.value)


def test_random_damage_raises_only_index_unreadable() -> None:
    chance = random.Random(7)  # noqa: S311 - the same bytes each time
    for _ in range(2000):
        data = bytearray(INDEX)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read_index(bytes(data))
        except IndexUnreadableError:
            continue


@pytest.mark.parametrize(
    ("network", "variables", "message"),
    [
        ("ssd_inception_v2", zoo.SSD_INCEPTION, ""),
        ("ssd_mobilenet_v1", zoo.MOBILENET_WIDE, ""),
        ("ssd_mobilenet_v1_0.25_128", zoo.MOBILENET_NARROW, ""),
        (
            "ssd_mobilenet_v1",
            zoo.SSD_INCEPTION,
            f"have no variable below {MOBILENET}, where ssd_mobilenet_v1 has its own; they are of ssd_inception_v2",
        ),
        (
            "ssd_mobilenet_v1",
            zoo.MOBILENET_NARROW,
            (
                f"have {MOBILENET}Conv2d_0/weights with the shape [3, 3, 3, 8], of which ssd_mobilenet_v1 has "
                f"32 filters; "
                "they are of ssd_mobilenet_v1_0.25_128"
            ),
        ),
        (
            "ssd_inception_v2",
            {f"InceptionV2/Conv{number}/weights": (1,) for number in range(9)},
            (
                "have no variable below FeatureExtractor/InceptionV2/, where ssd_inception_v2 has its own; they "
                "are of none "
                "of the networks, and begin with InceptionV2/Conv0/weights, InceptionV2/Conv1/weights, "
                "InceptionV2/Conv2/weights"
            ),
        ),
        (
            "ssd_inception_v2",
            {},
            (
                "have no variable below FeatureExtractor/InceptionV2/, where ssd_inception_v2 has its own; "
                "there are none "
                "at all"
            ),
        ),
    ],
    ids=["inception", "mobilenet", "narrow mobilenet", "another network", "another width", "classification", "empty"],
)
def test_whether_weights_fit(network: str, variables: zoo.Shapes, message: str) -> None:
    assert misfit(network, variables) == message
