"""Hyperparameters that layers of several kinds of networks share, as proto text."""

from __future__ import annotations


def convolution(initializer: str, weight_decay: float, *, batch_norm: str) -> str:
    """Text of the hyperparameters of a convolution."""
    return (
        f"activation: RELU_6 regularizer {{ l2_regularizer {{ weight: {weight_decay} }} }} "
        f"initializer {{ {initializer} }} batch_norm {{ {batch_norm} }}"
    )
