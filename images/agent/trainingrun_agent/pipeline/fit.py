"""Whether pretrained weights fit a network, decided by the names and shapes of their variables.

Invariant: weights are never refused if training could use a single variable of their feature extractor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trainingrun_agent.pipeline.networks import NETWORKS, Network

Shapes = Mapping[str, tuple[int, ...]]

# Scope of the variables of a feature extractor; training restores these and initializes all others.
_SCOPES: Final = {
    "ssd_inception_v2": "FeatureExtractor/InceptionV2/",
    "ssd_mobilenet_v1": "FeatureExtractor/MobilenetV1/",
    "ssd_mobilenet_v2": "FeatureExtractor/MobilenetV2/",
    "faster_rcnn_inception_v2": "FirstStageFeatureExtractor/InceptionV2/",
    "faster_rcnn_resnet50": "FirstStageFeatureExtractor/resnet_v1_50/",
}
# The first convolution shows the depth multiplier: it has 32 times as many filters.
_FIRST: Final = {"ssd_mobilenet_v1": ("FeatureExtractor/MobilenetV1/Conv2d_0/weights", 32)}
_MAX_NAMED: Final = 3


def misfit(network: str, variables: Shapes) -> str:
    """Why training cannot start from these variables, as the end of a sentence; empty if it can."""
    why = _why_not(NETWORKS[network], network, variables)
    if not why:
        return ""
    return f"{why}; {_found(networks_of(variables), variables)}"


def networks_of(variables: Shapes) -> list[str]:
    """The networks that the variables may be a start for."""
    return [name for name, network in NETWORKS.items() if not _why_not(network, name, variables)]


def _why_not(network: Network, name: str, variables: Shapes) -> str:
    scope = _SCOPES[network.extractor]
    if not any(variable.startswith(scope) for variable in variables):
        return f"have no variable below {scope}, where {name} has its own"
    first, width = _FIRST.get(network.extractor, ("", 0))
    wanted = round(width * network.depth_multiplier)
    if first in variables and variables[first][-1:] != (wanted,):
        return f"have {first} with the shape {list(variables[first])}, of which {name} has {wanted} filters"
    return ""


def _found(others: list[str], variables: Shapes) -> str:
    if others:
        return f"they are of {' or '.join(others)}"
    if not variables:
        return "there are none at all"
    first = ", ".join(sorted(variables)[:_MAX_NAMED])
    return f"they are of none of the networks, and begin with {first}"
