"""Seeds of fuzzing: small generated files of every kind, and dictionaries of the words of their formats."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable

from PIL import Image

import label_samples
import zoo
from image_samples import png_header
from label_sets import PHOTOS, SETS, coco_document
from trainingrun_agent.prep.model.codes.boxes import BOX_CLIPPED
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.output.label_map import label_map
from trfuzz.targets import SEPARATOR
from voc_data import encoded, labelled, picture, voc
from voc_samples import GOOD

FEW = PHOTOS[1:2]
"""One picture with two objects: small, so that most mutations hit something relevant."""
_LITERALS = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"1e308",
    b"0.5",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"[[",
    b"]]",
)
_TEXT = (b"\x00", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\r\n", b"9" * 40, b'\\ud800"', b"\\u0000")
_XML = (
    *(b"&x;", b"&lt;", b"<!DOCTYPE a>", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?x ?>", b"<object>", b"</object>"),
    *(b"<bndbox>", b"<size>", b"<xmin>", b"</image>", b"<image name='a'>", b"<box label='a' ", b"points='1,2;3,4'"),
    *(b" rotation='45'", b"<?xml version='1.0' encoding='utf-16'?>", b"<track/>", b"<tag/>", b" xmlns:a='b'"),
)
_TABLE = (b",", b";", b"\t", b'"', b'""', b",,,,", b"filename", b"/m/01,", b"{}", b"/m/0x")
WORDS: dict[str, tuple[bytes, ...]] = {
    "pascalVOC": _XML + _TEXT + _LITERALS[:6],
    "labelImg": _XML + _TEXT + _LITERALS[:6],
    "cvat": _XML + _TEXT + _LITERALS[:6],
    "tutorialCSV": _TABLE + _TEXT + _LITERALS[:6],
    "csv": _TABLE + _TEXT + _LITERALS[:6],
    "openImages": _TABLE + _TEXT + _LITERALS[:6] + (SEPARATOR,),
    "yolo": _TEXT + _LITERALS[:6] + (b"\n", b" "),
    "classLists": (
        b"names:",
        b"names = ",
        b"item {",
        b"id: 1",
        b"name: 'a'",
        b"- ",
        b"&a ",
        b"*a",
        b"!!int ",
        b"? ",
        b"{",
        b"}",
        b"<<: *a",
        b"|\n",
        *_TEXT,
    ),
    "images": (
        b"\xff\xd9",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xe1",
        b"Exif\0\0",
        b"IHDR",
        b"IDAT",
        b"acTL",
        b"RIFF",
        b"VP8L",
    ),
}
_JSON = (
    _LITERALS + _TEXT + (b'"iscrowd":1', b'"rotation":45', b'"points":[[1,2]]', b'"type":"ellipse"', b'"regions":{}')
)


def words(target: str) -> tuple[bytes, ...]:
    """Words of a target's dictionary."""
    return WORDS.get(target, _JSON)


def seeds(target: str) -> list[bytes]:
    """Seeds of a target; at least one of them contains a value that it reads."""
    return _SEEDS[target]() if target in _SEEDS else _labels(target) or [b"?"]


def _labels(format_: str) -> list[bytes]:
    """The files of each label set in a format, separately and joined."""
    made = []
    for name, write in SETS.values():
        if name == format_:
            files = [data for path, data in write(FEW).items() if path != "classes.txt"]
            made += [*files, SEPARATOR.join(files)]
    return made + _CRAFTS.get(format_, [])


def _dumped(*documents: object) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


_CRAFTS: dict[str, list[bytes]] = {
    "pascalVOC": [
        *GOOD.values(),
        voc([labelled(extra="<difficult>1</difficult><pose>Left</pose>")]),
        voc([labelled(box=(60, 80, "1e3", "-2.5"))], size=None),
        voc(
            [
                "<object><name>tire</name><robndbox><cx>9</cx><cy>9</cy><w>4</w><h>2</h><angle>1</angle></robndbox></object>"
            ]
        ),
        voc(
            ["<object><name>tire</name><polygon><pt><x>1</x><y>2</y></pt><pt><x>3</x><y>4</y></pt></polygon></object>"]
        ),
    ],
    "coco": _dumped(
        label_samples.coco({"bbox": [1, 2, 3, 4], "iscrowd": 1}),
        label_samples.coco({"bbox": [1.5, 2, 1e3, 4]}, {"image_id": 8, "bbox": [1, 2, 3, 4]}),
        label_samples.coco(
            {"segmentation": [[1, 2, 3, 4, 5, 6]]}, {"segmentation": {"size": [5, 6], "counts": [2, 3]}}
        ),
        label_samples.coco({"bbox": [], "segmentation": {"size": [5, 6], "counts": ";230004"}}),
    ),
    "cvat": [
        text.encode()
        for text in (
            label_samples.cvat(label_samples.CVAT_BOX.replace("<box", '<box occluded="1" rotation="30"')),
            label_samples.cvat('<polygon label="tire" points="1,2;3,4;5,6"/><tag label="x"/>'),
            label_samples.cvat('<ellipse label="tire" cx="9" cy="9" rx="3" ry="4"/>'),
            label_samples.CVAT_VIDEO,
            label_samples.cvat('<mask label="tire" left="1" top="2" width="3" height="4" rle="1"/>'),
        )
    ],
    "via": _dumped(
        label_samples.via(label_samples.RECT, {"name": "circle", "cx": 9, "cy": 9, "r": 3}),
        label_samples.via({"name": "polygon", "all_points_x": [1, 5], "all_points_y": [2, 7]}, part={"tire": True}),
    ),
    "labelStudio": _dumped(
        label_samples.task(label_samples.drawn("rectanglelabels", rotation=30, **label_samples.XYWH)),
        label_samples.task(label_samples.drawn("polygonlabels", points=[[1, 2], [3, 4]])),
        label_samples.task(label_samples.drawn("ellipselabels", x=9, y=9, radiusX=3, radiusY=4)),
    ),
    "labelMe": _dumped(label_samples.SUPERVISELY),
    "yolo": [
        b"0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.2 0.1 0.2 0.2\n",
        b"0 0.5 0.5 1.2 -0.2\r\n",
        b"0 0.5 0.5 0.2 0.1 0.45 0.48 2 0.55 0.53 1\n",
        b"0 0.5 0.4 0.6 0.5 0.5 0.6 0.4 0.5 0.9 7\n",
        b"0 0.5 0.5 0.2 0.1 0.9\n1 0.5 0.5 0.2 0.1 3\n",
        b"gsd:1\n10 20 30 20 30 40 10 40 tire 1\n",
    ],
}


def _class_lists() -> list[bytes]:
    return [
        b"train: ../train\nnames:\n  0: tire\n  1: &a winter hub\nx: [*a, {b: !!int '1'}]\n",
        b"nc: 2\nnames: [tire, 'winter hub']\nkpt_shape: [2, 3]\n",
        b'{"categories": [{"id": 0, "name": "tire"}, {"id": 1, "name": "winter hub"}]}',
        b'item {\n  id: 1\n  name: \'tire\'\n}\nitem {\n  name: "/m/0x"\n  id: 2\n  display_name: "winter hub"\n}\n',
        b"classes = 2\nnames = data/obj.names\n",
        b"tire\nwinter hub\n",
    ]


def _beginnings() -> list[bytes]:
    return [data for _, write in SETS.values() for data in write(FEW).values() if data]


def _documents() -> list[bytes]:
    """JSON documents, each to be read to different depths and in chunks of different sizes."""
    documents = _dumped(
        coco_document(FEW),
        [[], {}, [1, -2.5e3, True, None], {"a": {"b": [{"c": "\ud834\udd1e\\"}]}}],
        {"a": [1, 2], "b": "text", "c": {"d": float("nan"), "e": float("-inf")}},
    )
    documents += ['[1, "ü", {"ß": 2}]'.encode("utf-16"), b"\xef\xbb\xbf[1]", b" 12345678901234567890 "]
    return [bytes((size, depth)) + data for data in documents for size, depth in ((0, 3), (20, 1), (63, 0))]


def _export_texts() -> list[bytes]:
    """Texts of exports of the same, of fewer and of oddly named classes."""
    configs = (
        b'model { ssd { num_classes: 2 feature_extractor { type: "a" conv_hyperparams { op: CONV } } box_coder { } } }',
        b"model { faster_rcnn { feature_extractor { type: 'a' } second_stage_box_predictor { } } }",
    )
    classes = (["tire", "wheel"], ["tire"], ["R\u00e4der", 'a "hub"'])
    return [config + b"\0" + label_map(names) for config in configs for names in classes]


def _pictures() -> list[bytes]:
    """Images of every kind, small enough for mutations to hit headers."""
    exif = Image.Exif()
    exif[0x0112] = 6
    small = (24, 18)
    made = [
        encoded(picture(*small)),
        encoded(picture(*small), progressive=True),
        encoded(picture(*small, mode="CMYK")),
        encoded(picture(*small, mode="L"), exif=exif),
        *(encoded(picture(*small, mode=mode), "PNG") for mode in ("RGB", "RGBA", "LA", "P", "1", "I;16")),
        *(encoded(picture(*small, mode=mode), "TIFF") for mode in ("RGB", "F", "CMYK")),
        encoded(picture(*small), "TIFF", compression="tiff_lzw"),
        encoded(picture(*small), "TIFF", compression="jpeg"),
        encoded(picture(*small), "BMP"),
        encoded(picture(*small, mode="P"), "GIF", save_all=True, append_images=[picture(*small, mode="P", seed=1)]),
        encoded(picture(*small), "WEBP"),
        encoded(picture(*small, mode="RGBA"), "WEBP", lossless=True),
        png_header(4000, 3000),
    ]
    return [bytes([number % 6]) + data for number, data in enumerate(made)]


def _archives() -> list[bytes]:
    """Archives that are not packed, so that a change hits a header, in the formats of three programs."""
    index, data = (zoo.index_of({"a/weights": (2, 3)})[at] for at in (0, 1))
    made = []
    for layout in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=layout) as archive:
            for name, content in ((f"{'ü' * 60}/model.ckpt.index", index), ("model.ckpt.data-00000-of-00001", data)):
                member = tarfile.TarInfo(name if layout != tarfile.USTAR_FORMAT else name[-30:])
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        made.append(out.getvalue())
    return [*made, zoo.zoo_archive({"a": (1,)})]


def _exchanged() -> list[bytes]:
    """A document of each kind; what is not needed to read it is left out."""
    numbers = {"step": 1, "loss": 0.5, "classes": ["tire"]}
    progress = {"contractVersion": 1, "podUID": "pod", "phase": "training", "updated": 1.5, "lastAdvance": 1, **numbers}
    shard = {"key": "datasets/blobs/a.tfrecord", "size": 5, "sha256": "a" * 64, "role": "trainRecords", "images": 3}
    producer = {"podUID": "pod", "epoch": 1, "agentVersion": "1"}
    return _dumped(
        progress,
        {"contractVersion": 1, "stage": "prep", "outcome": "crash", "reason": "R", "message": "m", "numbers": numbers},
        {"formatVersion": 1, "kind": "dataset", "producer": producer, "created": "now", "objects": [shard]},
        {"formatVersion": 1, "shards": {"train": [[shard, shard], None], "eval": [[None, shard]]}},
        {
            "contractVersion": 1,
            "stage": "prep",
            "epoch": 1,
            "podUID": "pod",
            "created": "now",
            "manifestKey": "k",
            "numbers": numbers,
        },
    )


def _rows() -> list[bytes]:
    """A row, behind something in place of a summary."""
    box = [0, "tire", 1.0, 2.0, 3.0, 4.0, 5, "Left"]
    finding = Finding(BOX_CLIPPED, "a.xml", {"name": "tire", "corners": [1, 2, 3, 4], "image": [5, 6]}, 0)
    row = {
        "path": "a.jpg",
        "versions": ["1", "2"],
        "record": [0, 9],
        "size": [24, 18],
        "fingerprints": ["00", "ff"],
        "boxes": [box],
        "findings": [finding.to_json()],
        "seen": ["tire"],
    }
    summary = {"versions": "v", "network": "n", "totals": {}, "findings": {}, "fingerprints": "", "csv": ""}
    return [b"\n".join(_dumped(summary, row, row))]


def _listings() -> list[bytes]:
    entry = (
        "<Contents><Key>a &amp; ü</Key><Size>7</Size><ETag>&quot;0a&quot;</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
    )
    return [f"<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>{entry * 2}</ListBucketResult>".encode()]


_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "labelImg": lambda: [voc(), voc([]), voc([labelled(" tire", (1, "2.5", 60, 80)), labelled()])],
    "classLists": _class_lists,
    "beginnings": _beginnings,
    "json": _documents,
    "images": _pictures,
    "archives": _archives,
    "checkpoints": lambda: list(zoo.index_of({"a/weights": (2, 3), "a/biases": (1,)})[:1]),
    "exportTexts": _export_texts,
    "documents": _exchanged,
    "rows": _rows,
    "listings": _listings,
}
