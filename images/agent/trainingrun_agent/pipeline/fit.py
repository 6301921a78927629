"""Whether pretrained weights fit a network, decided by the names and shapes of their variables.

Invariant: weights are never refused if training could use a single variable of their feature extractor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trainingrun_agent.pipeline.networks import NETWORKS, Network

Shapes = Mapping[str, tuple[int, ...]]

# Scope of the feature extractor by family; training restores its variables and initializes all others.
_SCOPES: Final = {"ssd": "FeatureExtractor/", "faster_rcnn": "FirstStageFeatureExtractor/"}
# The first convolution shows the depth multiplier: it has 32 times as many filters.
_FIRST: Final = {"MobilenetV1": ("FeatureExtractor/MobilenetV1/Conv2d_0/weights", 32)}
# Parts of names that only networks with a property have: of variables, and whether a network has the property.
_PYRAMID, _QUANTIZED, _DEPTHWISE = "/fpn/", "act_quant/", "BoxEncodingPredictor_depthwise/"
_POSITION_SENSITIVE: Final = "SecondStageBoxPredictor/refined_locations/"
_MAX_NAMED: Final = 3


def misfit(network: str, variables: Shapes) -> str:
    """Why training cannot start from these variables, as the end of a sentence; empty if it can."""
    why = _why_not(NETWORKS[network], network, variables)
    if not why:
        return ""
    return f"{why}; {_found(recognised(variables) or networks_of(variables), variables)}"


def networks_of(variables: Shapes) -> list[str]:
    """The networks that the variables may be a start for; the ones that they are of come first."""
    fitting = [name for name, network in NETWORKS.items() if not _why_not(network, name, variables)]
    own = recognised(variables)
    return [*own, *(name for name in fitting if name not in own)]


def recognised(variables: Shapes) -> list[str]:
    """The networks that the variables are of: no other network has variables with these names."""
    found = tuple(
        any(mark in variable for variable in variables)
        for mark in (_PYRAMID, _QUANTIZED, _DEPTHWISE, _POSITION_SENSITIVE)
    )
    return [
        name
        for name, network in NETWORKS.items()
        if not _why_not(network, name, variables) and found == _properties(network)
    ]


def _properties(network: Network) -> tuple[bool, ...]:
    return network.pyramid is not None, network.quantized, network.depthwise, network.position_sensitive


def _why_not(network: Network, name: str, variables: Shapes) -> str:
    scope = f"{_SCOPES[network.family]}{network.backbone}/"
    if not any(variable.startswith(scope) for variable in variables):
        return f"have no variable below {scope}, where {name} has its own"
    first, width = _FIRST.get(network.backbone, ("", 0))
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
