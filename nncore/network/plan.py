"""A network run in blocks: neighbouring layers for which there is a common kernel are computed as one.

    Conv2D + ReLU
    Conv2D + ReLU + MaxPool2D 2x2
    Conv2D + ReLU + MaxPool2D 2x2 + Dropout
    MaxPool2D + Dropout
    BatchNorm
    BatchNorm + ReLU
    Conv2D, where the network begins: alone, with one of the above, or in front of one

What has no common kernel runs as it is: a new layer need not know of this.

Where a network only predicts (`Sequential.freeze`), its BatchNorms disappear in the weights of the layers before them.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from nncore import kernels
from nncore.kernels.conv import choose as convolution
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Layer, MaxPool2D, ReLU
from nncore.layers.base import positive
from nncore.network.blocks import (
    BatchNormReLU,
    ConvReLU,
    ConvReLUPool,
    FirstConv,
    Opening,
    PoolDropout,
    Step,
    by_winograd,
)
from nncore.types import Array, Shape

MOST_TAPS = 32  # products for a pixel of a first layer, up to which it is computed faster than fetched from memory

TWO_BY_TWO = {"pool_size": (2, 2), "stride": (2, 2)}


class Network(Protocol):
    """What a plan is made for: `Sequential`, which predicts by a plan and so stands above this file."""

    layers: list[Layer]
    shapes: list[Shape]

    def batch(self, x: Array) -> Array:
        """As `Sequential.batch`."""


class Plan:
    """A network's forward and backward pass, in blocks where there are any.

        plan = Plan(network)
        logits = plan.forward(x, training=True)
        plan.backward(dlogits)              # fills the gradients of the network's layers

    Layers, parameters, gradients and state remain the network's own: whatever else holds the network sees the same
    numbers. Not so with `frozen`, which makes a plan for predictions only, from the weights as they are now.
    """

    def __init__(self, network: Network, frozen: bool = False) -> None:
        self.network = network
        layers, shapes = folded(network.layers, network.shapes) if frozen else (network.layers, network.shapes)
        self.steps = blocks(layers, shapes)
        if frozen:
            shape = shapes[0]
            for step in self.steps:
                if isinstance(step, ConvReLU | ConvReLUPool):
                    step.freeze(shape)
                for layer in getattr(step, "layers", [step]):
                    shape = layer.output_shape(shape)

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Sequential.forward`."""
        x = self.network.batch(x)
        with kernels.turn():
            for step in self.steps:
                x = step.forward(x, training)
        return x

    def backward(self, dy: Array) -> None:
        """As `Sequential.backward`, but for the gradient of the network's input, which no training needs."""
        with kernels.turn():
            for step in reversed(self.steps):
                dy = step.backward(dy)

    def predict(self, x: Array, batch_size: int = 128) -> Array:
        """As `Sequential.predict`."""
        positive("predict", "batch_size", batch_size)
        parts = [self.forward(x[start : start + batch_size]) for start in range(0, max(len(x), 1), batch_size)]
        return np.concatenate(parts)


def folded(layers: Sequence[Layer], shapes: Sequence[Shape]) -> tuple[list[Layer], list[Shape]]:
    """What predicts the same with a `BatchNorm` less after each convolution or dense layer: its weights do both.

    Returns layers and what each takes in. Those given stay as they are.
    """
    result: list[Layer] = []
    takes: list[Shape] = []
    for layer, shape in zip(layers, shapes, strict=False):
        if result and type(layer) is BatchNorm and type(result[-1]) in (Conv2D, Dense):
            result[-1] = _fold(result[-1], layer)
        else:
            result.append(layer)
            takes.append(shape)
    return result, takes


def _fold(layer: Any, norm: BatchNorm) -> Layer:
    """The layer x (w * scale) + (b - mean) * scale + beta, in double precision until it is done."""
    (gamma, beta), kernel = norm.parameters.values(), layer.parameters["kernel"]
    mean, variance = (norm.state[name].astype(np.float64) for name in ("running_mean", "running_variance"))
    scale = gamma / np.sqrt(variance + norm.epsilon)
    both: Layer = type(layer)(**{**layer.config(), "use_bias": True})
    bias = (layer.parameters.get("bias", 0) - mean) * scale + beta
    both.parameters = {"kernel": (kernel * scale).astype(kernel.dtype), "bias": bias.astype(kernel.dtype)}
    return both


def blocks(layers: Sequence[Layer], shapes: Sequence[Shape]) -> list[Step]:
    """The layers in order, those that can be computed together as one block; shapes[i] is what layer i takes in."""
    steps: list[Step] = []
    at = 0
    while at < len(layers):
        kinds = [type(layer) for layer in layers[at : at + 4]]
        step: Step = layers[at]
        group: Any = layers[at : at + 1]
        if at == 0 and kinds[0] is Conv2D and _begins(layers[0], kinds):
            group, step = _opening(layers[:4], kinds)
        elif kinds[:2] == [Conv2D, ReLU] and "bias" in layers[at].parameters:
            group = layers[at : at + 2]
            winograd = by_winograd(group[0], shapes[at])
            if kinds[2:3] == [MaxPool2D] and layers[at + 2].config() == TWO_BY_TWO and winograd:
                group = layers[at : at + (4 if kinds[3:] == [Dropout] else 3)]
            before: Any = steps[0] if at == 2 else None
            opening = before if isinstance(before, Opening) and winograd else None
            steps = steps if opening is None else []
            if len(group) == 2:
                step = ConvReLU(group[0], group[1], opening)
            else:
                step = ConvReLUPool(group[:3], group[3] if len(group) == 4 else None, opening)
        elif kinds[:2] == [MaxPool2D, Dropout]:
            group = layers[at : at + 2]
            step = PoolDropout(*group)
        elif kinds[0] is BatchNorm:
            group = layers[at : at + (2 if kinds[1:2] == [ReLU] else 1)]
            step = BatchNormReLU(*group)
        steps.append(step)
        at += len(group)
    return steps


def _begins(conv: Any, kinds: Sequence[type[Layer]]) -> bool:
    """Whether a first convolution is better treated as such: it has few taps, or is no part of another block."""
    few = math.prod(conv.parameters["kernel"].shape[:3]) <= MOST_TAPS
    alone = kinds[1:2] != [ReLU] or not conv.use_bias
    return (few or alone) and (conv.algorithm, conv.stride) == ("auto", (1, 1)) and "direct" in convolution.ALGORITHMS


def _opening(layers: Sequence[Any], kinds: Sequence[type[Layer]]) -> tuple[Sequence[Layer], Step]:
    """The block that a network begins with, and its layers."""
    if kinds[1:2] != [ReLU] or not layers[0].use_bias:
        return layers[:1], FirstConv(layers[0])
    if kinds[2:3] != [MaxPool2D] or layers[2].config() != TWO_BY_TWO:
        return layers[:2], Opening(*layers[:2])
    group = layers[: 4 if kinds[3:] == [Dropout] else 3]
    return group, Opening(*group)
