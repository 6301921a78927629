"""Records of preparation, compared with those of the Object Detection API's converter; its decoder reads both."""

from __future__ import annotations

import base64
import io
import json
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from PIL import Image
from trainer_runs import PATIENCE

from image_samples import CONVERTED, KEPT
from prep_in_memory import Preparation
from trcluster.command import run
from voc_data import HEIGHT, WIDTH, jpeg, labelled, voc

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
PROGRAM = Path(__file__).with_name("api_records.py")
CLASSES = ("tire", "winter hub", "Größe")


def flags(*, difficult: int = 0, truncated: int = 0, pose: str = "Unspecified") -> str:
    """XML that LabelImg writes for every object, and that the API's converter requires."""
    return f"<pose>{pose}</pose><truncated>{truncated}</truncated><difficult>{difficult}</difficult>"


ONE = labelled(box=(11, 7, 53, 113), extra=flags())
CLEAN: dict[str, tuple[bytes, list[str]]] = {
    "one.jpg": (jpeg(seed=1), [ONE]),
    "several.jpg": (
        jpeg(seed=2),
        [
            labelled(box=(0, 0, WIDTH, HEIGHT), extra=flags(pose="Left")),
            labelled("winter hub", (33.5, 7.25, 44.75, 30), extra=flags(difficult=1)),
            labelled("Größe", (1, 2, 3, 5), extra=flags(truncated=1)),
        ],
    ),
    "nothing.jpg": (jpeg(seed=3), []),
    "größe 1.JPG": (jpeg(seed=4), [ONE, labelled(box=(30, 40, 90, 110), extra=flags())]),
    "7.1.jpg": (jpeg(seed=5), [labelled("winter hub", (1, 2, 159, 119), extra=flags())]),
    **{f"{name}.jpg": (data, [ONE]) for name, data in KEPT.items()},
}
RE_ENCODED = {f"{name}.jpg": data for name, data in CONVERTED.items()}
TOTAL = len(CLEAN) + len(RE_ENCODED)


def lay_out(root: Path, scratch: Path) -> None:
    """Write the clean images as a VOC tree, and the records that preparation makes of all images."""
    (root / "voc" / "JPEGImages").mkdir(parents=True)
    (root / "voc" / "Annotations").mkdir()
    prep = Preparation(scratch, classes=CLASSES)
    prep.train, prep.eval = replace(prep.train, key="tree/"), replace(prep.eval, key="tree/")
    for name, (data, objects) in CLEAN.items():
        xml = voc(objects, filename=name)
        for path, content in ((f"JPEGImages/{name}", data), (f"Annotations/{Path(name).stem}.xml", xml)):
            prep.memory.objects[f"tree/{path}"] = content
            (root / "voc" / path).write_bytes(content)
    for name, data in RE_ENCODED.items():
        prep.memory.objects[f"tree/JPEGImages/{name}"] = data
        prep.memory.objects[f"tree/Annotations/{Path(name).stem}.xml"] = voc([ONE], filename=name)
    made = prep.run()
    assert made.train_images == TOTAL
    manifest = prep.document("MANIFEST.json")
    (root / "ours").mkdir()
    for entry in manifest["objects"]:
        if entry["role"] == "trainRecords":
            name = PurePosixPath(entry["key"]).name
            (root / "ours" / name).write_bytes(prep.memory.objects[f"ml/{entry['key']}"])
    (root / "label_map.pbtxt").write_bytes(prep.memory.objects[f"ml/datasets/{made.digest}/label_map.pbtxt"])


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Contents of both sets of records, as TensorFlow decodes them."""
    root = tmp_path_factory.mktemp("records")
    (root / "scratch").mkdir()
    lay_out(root, root / "scratch")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONWARNINGS": "ignore"}
    run([PYTHON, PROGRAM, root], env=environment, timeout=PATIENCE)
    document: dict[str, Any] = json.loads((root / "decoded.json").read_text())
    return document


NAMES = ("filename", "source_id")
"""Features that differ: preparation writes paths, because names may repeat in folders; the API writes bare names."""


@pytest.mark.parametrize("name", CLEAN)
def test_tensors_are_those_of_the_apis_own_converter(decoded: dict[str, Any], name: str) -> None:
    ours = decoded["ours"][f"JPEGImages/{name}"]["tensors"]
    theirs = decoded["theirs"][name]["tensors"]
    assert ours.keys() == theirs.keys()
    assert {"image", "groundtruth_boxes", "groundtruth_classes", "groundtruth_difficult", "key"} < ours.keys()
    same = [tensor for tensor in ours if tensor not in NAMES]
    assert {tensor: ours[tensor] for tensor in same} == {tensor: theirs[tensor] for tensor in same}
    for tensor in NAMES:
        assert (theirs[tensor]["data"], ours[tensor]["data"]) == ([name], [f"JPEGImages/{name}"])
    assert ours["groundtruth_boxes"]["shape"] == [len(CLEAN[name][1]), 4]


@pytest.mark.parametrize("name", CLEAN)
def test_features_are_those_of_the_apis_own_converter(decoded: dict[str, Any], name: str) -> None:
    """Also features that become no tensor: the encoded bytes, truncated, view, labels and their texts."""
    ours = decoded["ours"][f"JPEGImages/{name}"]["features"]
    theirs = decoded["theirs"][name]["features"]
    assert ours.keys() == theirs.keys()
    different = {feature for feature in ours if ours[feature] != theirs[feature]}
    assert different == {f"image/{feature}" for feature in NAMES}


@pytest.mark.parametrize("name", RE_ENCODED)
def test_re_encoded_images_look_like_their_originals(decoded: dict[str, Any], name: str) -> None:
    tensor = decoded["ours"][f"JPEGImages/{name}"]["tensors"]["image"]
    assert (tensor["type"], tensor["shape"]) == ("uint8", [HEIGHT, WIDTH, 3])
    pixels = np.frombuffer(base64.b64decode(tensor["data"]), np.uint8).reshape(HEIGHT, WIDTH, 3)
    off = np.abs(blocks(pixels) - blocks(np.broadcast_to(seen(RE_ENCODED[name]), pixels.shape)))
    assert off.max() < 16  # of 255
    assert off.mean() < 2


def blocks(pixels: Any) -> Any:
    """Means of 8 x 8 pixels, because JPEG blurs the dithering of palette images."""
    return pixels.reshape(HEIGHT // 8, 8, WIDTH // 8, 8, 3).mean(axis=(1, 3))


def seen(data: bytes) -> Any:
    """The pixels of an image as a viewer shows them: on white, 16 bits as 8."""
    with Image.open(io.BytesIO(data)) as image:
        if image.mode.startswith("I"):
            return np.asarray(image)[..., None] // 257
        flat = Image.new("RGBA", image.size, "white")
        flat.alpha_composite(image.convert("RGBA"))
        return np.asarray(flat.convert("RGB"))


def test_every_record_is_read_and_none_that_was_damaged(decoded: dict[str, Any]) -> None:
    """TensorFlow finds inverted bytes in the data, and in the checksums of length and data."""
    assert len(decoded["ours"]) == TOTAL
    assert list(decoded["refused"].values()) == [True] * 6
