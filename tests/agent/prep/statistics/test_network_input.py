"""The input of a network: its anchors, boxes too small for it, and the distributions that the report shows."""

from __future__ import annotations

from typing import Any

import pytest

from prep_in_memory import Preparation, seen
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.prep.model.annotation import LabelledObject
from trainingrun_agent.prep.statistics.distributions import Distributions, bin_sides
from trainingrun_agent.prep.statistics.network_input import MATCHED, NetworkInput, best_iou, feature_maps, fit
from voc_data import encoded, labelled, picture, voc

# Computed with the Object Detection API from the pipeline.config of these networks.
ANCHORS: dict[str, list[list[tuple[float, float]]]] = {
    "ssd_inception_v2": [
        [(0.1, 0.1), (0.2828, 0.1414), (0.1414, 0.2828)],
        [(0.35, 0.35), (0.495, 0.2475), (0.2475, 0.495), (0.6062, 0.2021), (0.2021, 0.6062), (0.4183, 0.4183)],
        [(0.5, 0.5), (0.7071, 0.3536), (0.3536, 0.7071), (0.866, 0.2887), (0.2887, 0.8661), (0.5701, 0.5701)],
        [(0.65, 0.65), (0.9192, 0.4596), (0.4596, 0.9192), (1.1258, 0.3753), (0.3753, 1.1259), (0.7211, 0.7211)],
        [(0.8, 0.8), (1.1314, 0.5657), (0.5657, 1.1314), (1.3856, 0.4619), (0.4619, 1.3857), (0.8718, 0.8718)],
        [(0.95, 0.95), (1.3435, 0.6718), (0.6718, 1.3435), (1.6454, 0.5485), (0.5485, 1.6455), (0.9747, 0.9747)],
    ],
    "ssd_mobilenet_v1_0.25_128": [[(0.2, 0.2), (0.2828, 0.2828)], [(0.4, 0.4), (0.6325, 0.6325)]],
    "ssd_resnet50_fpn": [
        [
            (side / 640 * wide, side / 640 * high)
            for side in (32 * 2**level, 32 * 2 ** (level + 0.5))
            for wide, high in ((1, 1), (1.41421, 0.70711), (0.70711, 1.41421))
        ]
        for level in range(5)
    ],
    "faster_rcnn_resnet50": [
        [
            (side * wide / 600, side * high / 600)
            for side in (64, 128, 256, 512)
            for wide, high in ((0.70711, 1.41421), (1, 1), (1.41421, 0.70711))
        ]
    ],
}
CELLS = {
    "ssd_inception_v2": [19, 10, 5, 3, 2, 1],
    "ssd_mobilenet_v1_0.25_128": [8, 4],
    "ssd_resnet50_fpn": [80, 40, 20, 10, 5],
    "faster_rcnn_resnet50": [38],
}


@pytest.mark.parametrize("network", ANCHORS)
def test_anchors_equal_those_of_the_api(network: str) -> None:
    maps = feature_maps(NETWORKS[network])
    assert [one.cells for one in maps] == CELLS[network]
    for one, expected in zip(maps, ANCHORS[network], strict=True):
        for found, wanted in zip(one.anchors, expected, strict=True):
            assert found == pytest.approx(wanted, abs=1e-4)


def box(xmin: float, ymin: float, xmax: float, ymax: float, *, index: int = 0) -> LabelledObject:
    return LabelledObject(index, "tire", xmin, ymin, xmax, ymax)


SEEN: dict[str, tuple[str, tuple[int, int], LabelledObject, bool]] = {
    "SSD, wide enough": ("ssd_inception_v2", (600, 300), box(0, 0, 16, 8), False),
    "SSD, too narrow": ("ssd_inception_v2", (600, 300), box(0, 0, 15, 100), True),
    "SSD, too low": ("ssd_inception_v2", (600, 300), box(0, 0, 100, 7), True),
    "a pyramid sees smaller boxes": ("ssd_mobilenet_v1_fpn", (640, 640), box(0, 0, 4, 4), False),
    "too small for a pyramid": ("ssd_mobilenet_v1_fpn", (640, 640), box(0, 0, 3, 4), True),
    "Faster R-CNN keeps the ratio of sides": ("faster_rcnn_resnet50", (1200, 600), box(0, 0, 9.4, 100), False),
    "Faster R-CNN, long side limits": ("faster_rcnn_resnet50", (2400, 600), box(0, 0, 18, 100), True),
}


@pytest.mark.parametrize(("network", "size", "labelled_box", "small"), SEEN.values(), ids=SEEN)
def test_boxes_too_small_for_the_network_are_found(
    network: str, size: tuple[int, int], labelled_box: LabelledObject, small: bool
) -> None:
    assert bool(NetworkInput.for_network(network).too_small([labelled_box], size)) is small


def test_statistics_of_parts_add_up() -> None:
    network_input = NetworkInput.for_network("ssd_inception_v2")
    images = [
        ([box(0, 0, 100, 50), box(10, 10, 30, 90)], (200, 100)),
        ([], (640, 480)),
        ([box(5, 5, 635, 475)], (640, 480)),
    ]
    whole, parts = Distributions(), [Distributions(), Distributions()]
    for number, (boxes, size) in enumerate(images):
        for one in (whole, parts[number % 2]):
            one.add(boxes, size, network_input.scales(*size))
    parts[0].merge(parts[1])
    assert parts[0] == whole
    document = whole.to_json()
    assert sum(count for *_, count in document["sizes"]) == sum(document["centres"]) == 3
    assert document["boxesPerImage"] == [[0, 1], [1, 1], [2, 1]]
    assert [2, 2, 1] in document["sizes"]  # 100 of 200 and 50 of 100 pixels


def counted(network: str, size: tuple[int, int], *boxes: LabelledObject) -> Distributions:
    found = Distributions()
    found.add(boxes, size, NetworkInput.for_network(network).scales(*size))
    return found


BINS: dict[str, tuple[str, tuple[int, int], tuple[float, float], list[int]]] = {
    "the whole image": ("ssd_inception_v2", (640, 480), (640, 480), [0, 0]),
    "half of it": ("ssd_inception_v2", (640, 480), (320, 240), [2, 2]),
    "less than half of it": ("ssd_inception_v2", (640, 480), (319, 239), [2, 2]),
    "more than half of it": ("ssd_inception_v2", (640, 480), (321, 241), [1, 1]),
    "smaller than the bins": ("ssd_inception_v2", (32768, 32768), (1, 16384), [20, 2]),
    "larger than the shorter side": ("faster_rcnn_resnet50", (900, 600), (900, 300), [0, 2]),
}


@pytest.mark.parametrize(("network", "size", "sized", "bins"), BINS.values(), ids=BINS)
def test_sizes_are_reported_by_half_octaves(
    network: str, size: tuple[int, int], sized: tuple[float, float], bins: list[int]
) -> None:
    found = counted(network, size, box(0, 0, *sized))
    assert found.to_json()["sizes"] == [[*bins, 1]]


@pytest.mark.parametrize("sized", [(600, 600), (301, 150), (90, 47), (7, 500), (1024, 600)])
def test_size_bins_are_close_to_the_size(sized: tuple[float, float]) -> None:
    [bin_] = counted("faster_rcnn_resnet50", (1024, 600), box(0, 0, *sized)).sizes
    assert bin_sides(bin_) == pytest.approx([side / 600 for side in sized], rel=0.025)


def test_fit_reports_which_feature_map_serves_which_boxes() -> None:
    sizes = counted(
        "ssd_inception_v2", (100, 100), *[box(0, 0, 99, 99)] * 3, *[box(0, 0, 10, 10)] * 5, box(0, 0, 1, 99)
    )
    found = fit(NetworkInput.for_network("ssd_inception_v2"), sizes.sizes, too_small=1)
    assert (found["inputSize"], found["leastSide"], found["tooSmall"]) == (300, 8, 1)
    assert [one["boxes"] for one in found["featureMaps"]] == [6, 0, 0, 0, 0, 3]
    assert found["reached"] == pytest.approx(8 / 9, abs=1e-3)


@pytest.mark.parametrize(
    ("network", "size", "cells"), [("ssd_inception_v2", 600, 38), ("faster_rcnn_resnet50", 300, 19)]
)
def test_fit_follows_another_size_of_the_input(network: str, size: int, cells: int) -> None:
    network_input = NetworkInput.for_network(network, size)
    found = fit(network_input, {}, too_small=0)
    assert (found["inputSize"], found["featureMaps"][0]["cells"]) == (size, cells)
    small = [box(0, 0, 6, 6)]
    assert bool(network_input.too_small(small, (400, 400))) is (size == 300)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("side", [20, 35, 48, 51, 64, 75, 92, 105, 130, 300])
def test_boxes_of_one_size_are_reached_or_not(network: str, side: int) -> None:
    """Objects of one kind often have one size: a bin that is too coarse would count all of them wrongly."""
    best = max(best_iou(side / 600, side / 600, one.anchors) for one in feature_maps(NETWORKS[network]))
    found = counted(network, (600, 600), *[box(0, 0, side, side)] * 7)
    assert fit(NetworkInput.for_network(network), found.sizes, too_small=0)["reached"] == (1 if best >= MATCHED else 0)


def test_boxes_that_the_network_cannot_see_are_reported(prep: Preparation) -> None:
    prep.add("t0", xml=voc([labelled(), labelled(box=(5, 5, 8, 60)), labelled(box=(5, 5, 8, 70))]))
    prep.run()
    report: dict[str, Any] = prep.document("report.json")
    assert report["counts"] == {"BoxTooSmall": 1, "BoxesTooSmall": 1}
    one, many = sorted(report["findings"], key=lambda item: item["code"])
    assert (one["severity"], one["file"], one["object"]) == ("info", "t0.xml", 1)
    assert seen(one) == "2 boxes are shorter than 8 pixels once ssd_inception_v2 scales the image to 300 pixels"
    assert (many["severity"], many["split"]) == ("warning", "train")
    assert seen(many) == "shorter than 8 pixels once ssd_inception_v2 scales images to 300 pixels: 2 of 5 boxes"


def test_images_much_larger_than_the_input_are_reported(prep: Preparation) -> None:
    size = (1280, 960)
    prep.add("t0", encoded(picture(*size, seed="large")), voc([labelled(box=(100, 100, 900, 900))], size=size))
    prep.run()
    [finding] = prep.document("report.json")["findings"]
    assert (finding["code"], finding["severity"]) == ("ImagesMuchLarger", "info")
    assert seen(finding) == "more than 4 times as large as the 300 pixels that ssd_inception_v2 uses: 1 of 3 images"
