"""A network run in blocks: neighbouring layers for which there is a common kernel are computed as one.

    Conv2D + ReLU
    Conv2D + ReLU + MaxPool2D 2x2
    Conv2D + ReLU + MaxPool2D 2x2 + Dropout

Layer by layer, the output of a convolution goes out to memory and comes back for the bias, for ReLU, for pooling and
for dropout. In a block, all of that happens to it while it is still in the cache. The numbers are the same up to
rounding, dropout's masks to the bit. What has no common kernel runs as it is: a new layer need not know of this.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from nncore.kernels import convolution
from nncore.layers import Conv2D, Dropout, Layer, MaxPool2D, ReLU
from nncore.layers.base import positive
from nncore.sequential import Sequential
from nncore.types import Array


class Step(Protocol):
    """What a plan consists of: a layer, or a block that behaves like one."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""

    def backward(self, dy: Array) -> Array:
        """As `Layer.backward`: fills the gradients of every layer concerned, and returns dx."""


class Block:
    """A convolution with ReLU, and max-pooling and dropout if they follow, computed by the convolution's own kernels.

    The layers remain what they are: the block reads their parameters, counts on with dropout's counter, and fills their
    gradients. Inputs whose convolution is better computed in another way go through them one after the other.
    """

    def __init__(self, conv: Conv2D, relu: ReLU, pool: MaxPool2D | None = None, dropout: Dropout | None = None) -> None:
        self.layers: list[Layer] = [layer for layer in (conv, relu, pool, dropout) if layer is not None]
        self.conv, self.pool, self.dropout = conv, pool, dropout
        self._memory: Any = None

    def forward(self, x: Array, training: bool = False) -> Array:
        """The output of the last layer."""
        if self.conv.algorithm_for(x) is not convolution.ALGORITHMS.get("winograd"):
            for layer in self.layers:
                x = layer.forward(x, training)
            return x
        kernel, bias, padding = *self.conv.parameters.values(), self.conv.pixels(x.shape[1:3])
        y: Array
        if self.pool is None:
            y = convolution.winograd.forward_relu(x, kernel, bias, padding)
            memory: tuple[Any, ...] = x, kernel, y
        else:
            kept, scale = None, 1.0
            if training and self.dropout is not None:
                kept, scale = self.dropout.draw((len(x), *self.pool.output_shape(self.conv.output_shape(x.shape[1:]))))
            y, winners = convolution.winograd.forward_pool(x, kernel, bias, padding, kept, scale)
            memory = x, kernel, winners, scale
        if training:
            self._memory = memory, padding
        return y

    def backward(self, dy: Array) -> Array:
        """dx; fills the gradients of the convolution."""
        if self._memory is None:
            for layer in reversed(self.layers):
                dy = layer.backward(dy)
            return dy
        (memory, padding), self._memory = self._memory, None
        dx: Array
        if self.pool is None:
            x, kernel, y = memory
            dx, dw, db = convolution.winograd.backward_relu(x, kernel, y, dy, padding)
        else:
            x, kernel, winners, scale = memory
            dx, dw, db = convolution.winograd.backward_pool(x, kernel, winners, dy, padding, scale)
        self.conv.gradients.update(kernel=dw, bias=db)
        return dx


class Plan:
    """A network's forward and backward pass, in blocks where there are any.

        plan = Plan(network)
        logits = plan.forward(x, training=True)
        plan.backward(dlogits)              # fills the gradients of the network's layers

    Layers, parameters, gradients and state remain the network's own: whatever else holds the network sees the same
    numbers.
    """

    def __init__(self, network: Sequential) -> None:
        self.network = network
        self.steps = blocks(network.layers)

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Sequential.forward`."""
        x = self.network.batch(x)
        for step in self.steps:
            x = step.forward(x, training)
        return x

    def backward(self, dy: Array) -> Array:
        """As `Sequential.backward`."""
        for step in reversed(self.steps):
            dy = step.backward(dy)
        return dy

    def predict(self, x: Array, batch_size: int = 128) -> Array:
        """As `Sequential.predict`."""
        positive("predict", "batch_size", batch_size)
        parts = [self.forward(x[start : start + batch_size]) for start in range(0, max(len(x), 1), batch_size)]
        return np.concatenate(parts)


def blocks(layers: Sequence[Layer]) -> list[Step]:
    """The layers in order, those that can be computed together as one block."""
    steps: list[Step] = []
    rest = list(layers)
    while rest:
        length = _block_length(rest)
        steps.append(Block(*rest[:length]) if length > 1 else rest[0])  # type: ignore[arg-type]
        del rest[:length]
    return steps


def _block_length(layers: Sequence[Layer]) -> int:
    """How many of the layers, from the first on, make a block: 1 is a layer by itself."""
    kinds = [type(layer) for layer in layers[:4]]
    if kinds[:2] != [Conv2D, ReLU] or not layers[0].config()["use_bias"]:
        return 1
    if kinds[2:3] != [MaxPool2D] or layers[2].config() != {"pool_size": (2, 2), "stride": (2, 2)}:
        return 2
    return 4 if kinds[3:] == [Dropout] else 3
