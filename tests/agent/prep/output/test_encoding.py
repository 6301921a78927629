"""Records, framing and label map, compared with bytes that TensorFlow 1.14 wrote."""

from __future__ import annotations

import pytest

from trainingrun_agent.prep.model.class_names import nearest
from trainingrun_agent.prep.output.example import Feature, bytes_feature, encode, float_feature, int_feature
from trainingrun_agent.prep.output.label_map import display_names, label_map
from trainingrun_agent.prep.output.tfrecord import frame
from trainingrun_agent.prep.split.shards import shard_count

FRAMES = {
    "text": (b"tire", "04000000000000004245520474697265488e8c0a"),
    "empty": (b"", "000000000000000029039807d8ea82a2"),
}


@pytest.mark.parametrize(("data", "expected"), FRAMES.values(), ids=FRAMES)
def test_frames_equal_those_of_tensorflow(data: bytes, expected: str) -> None:
    assert frame(data).hex() == expected


FEATURES = {
    "floats": (float_feature([0.5, 0.25]), "120a0a080000003f0000803e"),
    "ints": (int_feature([0, 1, 300, 2**40]), "1a0c0a0a0001ac02808080808020"),
    "long bytes": (bytes_feature([b"x", b"", b"yz" * 100]), "0ad0010a01780a000ac801" + "797a" * 100),
    "no ints": (int_feature([]), "1a00"),
    "no bytes": (bytes_feature([]), "0a00"),
    "no floats": (float_feature([]), "1200"),
}


@pytest.mark.parametrize(("made", "expected"), FEATURES.values(), ids=FEATURES)
def test_features_equal_those_of_tensorflow(made: Feature, expected: str) -> None:
    entry = "0a00" + field("12", expected)
    assert encode({"": made}).hex() == field("0a", field("0a", entry))


def field(tag: str, payload: str) -> str:
    """A length-delimited protocol buffer field of less than 16 KiB, in hex."""
    size = len(payload) // 2
    return tag + (f"{size:02x}" if size < 0x80 else f"{size & 0x7F | 0x80:02x}{size >> 7:02x}") + payload


def test_examples_do_not_depend_on_the_order_of_features() -> None:
    one, two = int_feature([1]), bytes_feature([b"x"])
    assert encode({"a": one, "b": two}) == encode({"b": two, "a": one})


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        int_feature([-1])


def test_label_map_escapes_and_numbers_from_one() -> None:
    text = label_map(['a "b"\\', "Größe"]).decode("ascii")
    assert 'name: "a \\042b\\042\\134"\n  id: 1\n' in text
    assert 'name: "Gr\\303\\266\\303\\237e"\n  id: 2\n  display_name: "Groe"' in text


def test_display_names_are_ascii_and_unique() -> None:
    assert display_names(["cafe", "café", "輪胎", "tire"]) == ["cafe", "cafe 2", "class 3", "tire"]


NEAREST = {
    "case": ("tire", ["wheel", "Tire"], "Tire"),
    "blank inside": ("winter tire", ["wintertire", "car"], "wintertire"),
    "typing error": ("tire", ["tyre", "door"], "tyre"),
    "nothing near": ("tire", ["zebra", "qq"], None),
}


@pytest.mark.parametrize(("name", "candidates", "expected"), NEAREST.values(), ids=NEAREST)
def test_nearest_name(name: str, candidates: list[str], expected: str | None) -> None:
    assert nearest(name, candidates) == expected


@pytest.mark.parametrize(("size", "count"), [(0, 1), (8 << 20, 1), ((8 << 20) + 1, 2), (25 << 20, 4), (1 << 50, 256)])
def test_shard_count_is_a_power_of_two(size: int, count: int) -> None:
    assert shard_count(size) == count
