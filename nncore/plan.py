"""A network run in blocks: neighbouring layers for which there is a common kernel are computed as one.

    Conv2D + ReLU
    Conv2D + ReLU + MaxPool2D 2x2
    Conv2D + ReLU + MaxPool2D 2x2 + Dropout
    BatchNorm
    BatchNorm + ReLU

Layer by layer, the output of a convolution goes out to memory and comes back for the bias, for ReLU, for pooling and
for dropout. In a block, all of that happens to it while it is still in the cache. The numbers are the same up to
rounding, dropout's masks to the bit. What has no common kernel runs as it is: a new layer need not know of this.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from nncore import kernels
from nncore.kernels import convolution
from nncore.layers import BatchNorm, Conv2D, Dropout, Layer, MaxPool2D, ReLU
from nncore.layers.base import positive
from nncore.types import Array, Shape


class Step(Protocol):
    """What a plan consists of: a layer, or a block that behaves like one."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""

    def backward(self, dy: Array) -> Array:
        """As `Layer.backward`: fills the gradients of every layer concerned, and returns dx."""


class ConvReLU:
    """y = ReLU(x * w + b), in one go."""

    def __init__(self, conv: Conv2D, relu: ReLU) -> None:
        self.layers: Sequence[Layer] = (conv, relu)
        self.conv = conv
        self._memory: Any = None

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""
        conv, padding = self.conv, self.conv.pixels(x.shape[1:3])
        kernel, bias = conv.parameters.values()
        algorithm = conv.algorithm_for(x)
        by_winograd = algorithm is convolution.ALGORITHMS.get("winograd")
        y: Array
        if by_winograd:
            y = convolution.winograd.forward_relu(x, kernel, bias, padding)
        else:
            y = kernels.bias_relu(algorithm.forward(x, kernel, conv.stride, padding), bias)
        if training:
            self._memory = x, y, algorithm, by_winograd
        return y

    def backward(self, dy: Array) -> Array:
        """As `Layer.backward`."""
        (x, y, algorithm, by_winograd), self._memory = recall(self), None
        conv, padding = self.conv, self.conv.pixels(x.shape[1:3])
        kernel = conv.parameters["kernel"]
        dx: Array
        if by_winograd:
            dx, dw, db = convolution.winograd.backward_relu(x, kernel, y, dy, padding)
        else:
            dy, db = kernels.bias_relu_backward(dy, y)
            dx, dw = algorithm.backward(x, kernel, dy, conv.stride, padding)
        conv.gradients.update(kernel=dw, bias=db)
        return dx


class ConvReLUPool:
    """y = dropout(max-pool(ReLU(x * w + b))), in one go, by Winograd's algorithm; the dropout may be missing."""

    def __init__(self, conv: Conv2D, relu: ReLU, pool: MaxPool2D, dropout: Dropout | None = None) -> None:
        self.layers: Sequence[Layer] = (conv, relu, pool) if dropout is None else (conv, relu, pool, dropout)
        self.conv, self.pool, self.dropout = conv, pool, dropout
        self._memory: Any = None

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""
        padding, (kernel, bias) = self.conv.pixels(x.shape[1:3]), self.conv.parameters.values()
        kept, scale = None, 1.0
        if training and self.dropout is not None:
            kept, scale = self.dropout.draw((len(x), *self.pool.output_shape(self.conv.output_shape(x.shape[1:]))))
        y: Array
        y, winners = convolution.winograd.forward_pool(x, kernel, bias, padding, kept, scale)
        if training:
            self._memory = x, winners, scale
        return y

    def backward(self, dy: Array) -> Array:
        """As `Layer.backward`."""
        (x, winners, scale), self._memory = recall(self), None
        padding, kernel = self.conv.pixels(x.shape[1:3]), self.conv.parameters["kernel"]
        dx: Array
        dx, dw, db = convolution.winograd.backward_pool(x, kernel, winners, dy, padding, scale)
        self.conv.gradients.update(kernel=dw, bias=db)
        return dx


class BatchNormReLU:
    """y = ReLU(BatchNorm(x)), three times through memory forward and four times back; the ReLU may be missing."""

    def __init__(self, norm: BatchNorm, relu: ReLU | None = None) -> None:
        self.layers: Sequence[Layer] = (norm,) if relu is None else (norm, relu)
        self.norm = norm
        self._memory: Any = None

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""
        norm, relu = self.norm, len(self.layers) > 1
        mean, variance = norm.state["running_mean"], norm.state["running_variance"]
        if training:
            mean, variance = kernels.channel_moments(x)
            norm.update_running(mean, variance, count=x.size // x.shape[-1])
            self._memory = x, mean, variance
        gamma, beta = norm.parameters.values()
        return kernels.batch_norm(x, mean, variance, gamma, beta, norm.epsilon, relu)

    def backward(self, dy: Array) -> Array:
        """As `Layer.backward`."""
        (x, mean, variance), self._memory = recall(self), None
        norm, relu = self.norm, len(self.layers) > 1
        gamma, beta = norm.parameters.values()
        dx, dgamma, dbeta = kernels.batch_norm_backward(dy, x, mean, variance, gamma, beta, norm.epsilon, relu)
        norm.gradients.update(gamma=dgamma, beta=dbeta)
        return dx


def recall(block: ConvReLU | ConvReLUPool | BatchNormReLU) -> Any:
    """What the block's last training `forward` kept."""
    if block._memory is None:
        raise RuntimeError(f"{type(block).__name__}.backward needs a forward(x, training=True) before it")
    return block._memory


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
    numbers.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.steps = blocks(network.layers, network.shapes)

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Sequential.forward`."""
        x = self.network.batch(x)
        with kernels.turn():
            for step in self.steps:
                x = step.forward(x, training)
        return x

    def backward(self, dy: Array) -> Array:
        """As `Sequential.backward`."""
        with kernels.turn():
            for step in reversed(self.steps):
                dy = step.backward(dy)
        return dy

    def predict(self, x: Array, batch_size: int = 128) -> Array:
        """As `Sequential.predict`."""
        positive("predict", "batch_size", batch_size)
        parts = [self.forward(x[start : start + batch_size]) for start in range(0, max(len(x), 1), batch_size)]
        return np.concatenate(parts)


def blocks(layers: Sequence[Layer], shapes: Sequence[Shape]) -> list[Step]:
    """The layers in order, those that can be computed together as one block; shapes[i] is what layer i takes in."""
    steps: list[Step] = []
    at = 0
    while at < len(layers):
        kinds = [type(layer) for layer in layers[at : at + 4]]
        group: Any = layers[at : at + 1]
        if kinds[0] is BatchNorm:
            group = layers[at : at + (2 if kinds[1:2] == [ReLU] else 1)]
            steps.append(BatchNormReLU(*group))
            at += len(group)
            continue
        if kinds[:2] == [Conv2D, ReLU] and "bias" in layers[at].parameters:
            group = layers[at : at + 2]
            if kinds[2:3] == [MaxPool2D] and _pools_on_the_way(group[0], layers[at + 2], shapes[at]):
                group = layers[at : at + (4 if kinds[3:] == [Dropout] else 3)]
        steps.append(group[0] if len(group) == 1 else ConvReLU(*group) if len(group) == 2 else ConvReLUPool(*group))
        at += len(group)
    return steps


def _pools_on_the_way(conv: Conv2D, pool: Layer, shape: Shape) -> bool:
    """Whether Winograd's algorithm is asked for, or chosen for many images, and can pool without much more work.

    Tiles that are pooled have an even size, and may overhang the output more than others do.
    """
    many = np.broadcast_to(np.zeros(1, conv.parameters["kernel"].dtype), (64, *shape))
    if pool.config() != {"pool_size": (2, 2), "stride": (2, 2)}:
        return False
    if conv.algorithm_for(many) is not convolution.ALGORITHMS.get("winograd"):
        return False
    (height, width, filters), arithmetic = conv.output_shape(shape), convolution.winograd.arithmetic
    best, even = (convolution.winograd.tile_size((height, width), shape[2], filters, even) for even in (False, True))
    work = [arithmetic(m, (height, width), shape[2], filters) for m in (best, even)]
    return bool(work[1] <= 1.1 * work[0])
