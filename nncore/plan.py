"""A network run in blocks: neighbouring layers for which there is a common kernel are computed as one.

    Conv2D + ReLU
    Conv2D + ReLU + MaxPool2D 2x2
    Conv2D + ReLU + MaxPool2D 2x2 + Dropout
    MaxPool2D + Dropout
    BatchNorm
    BatchNorm + ReLU
    Conv2D, where the network begins: alone, with one of the above, or in front of one

Layer by layer, the output of a convolution goes out to memory and comes back for the bias, for ReLU, for pooling and
for dropout. In a block, all of that happens to it while it is still in the cache. The numbers are the same up to
rounding, dropout's masks to the bit. What has no common kernel runs as it is: a new layer need not know of this.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from nncore import kernels
from nncore.kernels import convolution
from nncore.layers import BatchNorm, Conv2D, Dropout, Layer, MaxPool2D, ReLU
from nncore.layers.base import positive
from nncore.types import Array, Padding, Shape

MOST_TAPS = 32  # products for a pixel of a first layer, up to which it is computed faster than fetched from memory

TWO_BY_TWO = {"pool_size": (2, 2), "stride": (2, 2)}


class Step(Protocol):
    """What a plan consists of: a layer, or a block that behaves like one."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""

    def backward(self, dy: Array) -> Any:
        """As `Layer.backward`: fills the gradients of every layer concerned, and returns dx."""


class Opening:
    """y = dropout(max-pool(ReLU(x * w + b))), in one go, where the network begins; pooling and dropout may be missing.

    Nobody asks for the gradient of the pictures, so there is no dx.
    """

    def __init__(self, conv: Conv2D, relu: ReLU, pool: MaxPool2D | None = None, dropout: Dropout | None = None) -> None:
        self.layers: list[Layer] = [layer for layer in (conv, relu, pool, dropout) if layer is not None]
        self.conv, self.pool, self.dropout = conv, pool, dropout
        self._memory: Any = None

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""
        first_layer, filters = convolution.first_layer, self.conv.filters
        source, winners, kept, scale = self.source(x, ((0, 0), (0, 0))), None, None, 1.0
        y: Array
        if self.pool is None:
            y = first_layer.forward(source, filters)
        else:
            if training and self.dropout is not None:
                shape = self.pool.output_shape(self.conv.output_shape(x.shape[1:]))
                kept, scale = self.dropout.draw((len(x), *shape))
            y, winners = first_layer.forward_pool(source, filters, kept, scale)
        if training:
            self._memory = source, winners, scale
        return y

    def backward(self, dy: Array) -> None:
        """As `Layer.backward`."""
        (source, winners, scale), self._memory = recall(self), None
        if winners is None:
            self.note(*convolution.first_layer.backward(source, dy))
        else:
            self.note(*convolution.first_layer.backward_pool(source, winners, dy, scale))

    def source(self, x: Array, following: Padding) -> Any:
        """The convolution and its ReLU, not yet computed, in front of one with that padding."""
        conv = self.conv
        kernel, bias = conv.parameters.values()
        return convolution.first_layer.convolved(x, kernel, bias, conv.pixels(x.shape[1:3]), following)

    def note(self, dkernel: Array, dbias: Array) -> None:
        """Keep the gradients, dkernel (taps, F)."""
        self.conv.gradients.update(kernel=dkernel.reshape(self.conv.parameters["kernel"].shape), bias=dbias)


class FirstConv:
    """A convolution that the network begins with, alone: without dx."""

    def __init__(self, conv: Conv2D) -> None:
        self.layers: Sequence[Layer] = (conv,)
        self.conv = conv

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""
        return self.conv.forward(x, training)

    def backward(self, dy: Array) -> None:
        """As `Layer.backward`."""
        conv = self.conv
        (x,) = conv.recall()
        gradient = convolution.direct.kernel_gradient
        conv.gradients["kernel"] = gradient(x, conv.parameters["kernel"], dy, conv.stride, conv.pixels(x.shape[1:3]))
        if conv.use_bias:
            conv.gradients["bias"] = dy.sum(axis=(0, 1, 2))


class ConvReLU:
    """y = ReLU(x * w + b), in one go.

    In front of it may stand the `Opening`. As far as Winograd's algorithm is used, that is computed in its tiles only.
    """

    def __init__(self, conv: Conv2D, relu: ReLU, opening: Opening | None = None) -> None:
        self.layers: Sequence[Layer] = (*(opening.layers if opening else ()), conv, relu)
        self.conv, self.opening = conv, opening
        self._memory: Any = None
        self._weights: Any = None

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""
        conv = self.conv
        kernel, bias = conv.parameters.values()
        shape = (len(x), *self.opening.conv.output_shape(x.shape[1:])) if self.opening else x.shape
        algorithm, padding = conv.algorithm_for(shape), conv.pixels(shape[1:3])
        by_winograd = self._weights is not None or algorithm is convolution.ALGORITHMS.get("winograd")
        y: Array
        if by_winograd:
            x = self.opening.source(x, padding) if self.opening else x
            y = convolution.winograd.forward_relu(x, self._weights or kernel, bias, padding)
        else:
            x = self.opening.forward(x, training) if self.opening else x
            y = kernels.bias_relu(algorithm.forward(x, kernel, conv.stride, padding), bias)
        if training:
            self._memory = x, y, algorithm, by_winograd
        return y

    def backward(self, dy: Array) -> Any:
        """As `Layer.backward`."""
        (x, y, algorithm, by_winograd), self._memory = recall(self), None
        conv, padding = self.conv, self.conv.pixels(x.shape[1:3])
        kernel = conv.parameters["kernel"]
        dx: Any
        if by_winograd:
            dx, dw, db = convolution.winograd.backward_relu(x, kernel, y, dy, padding)
        else:
            dy, db = kernels.bias_relu_backward(dy, y)
            dx, dw = algorithm.backward(x, kernel, dy, conv.stride, padding)
        conv.gradients.update(kernel=dw, bias=db)
        if self.opening is None:
            return dx
        return self.opening.note(*dx) if by_winograd else self.opening.backward(dx)

    def freeze(self, shape: Shape) -> None:
        """Prepare the weights for predictions from inputs of this shape, for as long as they do not change."""
        conv = self.conv
        shape = self.opening.conv.output_shape(shape) if self.opening else shape
        if _by_winograd(conv, shape):
            kernel, (height, width, _) = conv.parameters["kernel"], conv.output_shape(shape)
            self._weights = convolution.winograd.prepare(kernel, (height, width), kernel.dtype)


class ConvReLUPool:
    """y = dropout(max-pool(ReLU(x * w + b))), in one go, by Winograd's algorithm; the dropout may be missing.

    `opening` is as in `ConvReLU`.
    """

    def __init__(
        self, layers: tuple[Conv2D, ReLU, MaxPool2D], dropout: Dropout | None, opening: Opening | None
    ) -> None:
        self.layers: list[Layer] = [*(opening.layers if opening else ()), *layers, *([dropout] if dropout else [])]
        (self.conv, _, self.pool), self.dropout, self.opening = layers, dropout, opening
        self._memory: Any = None
        self._weights: Any = None

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""
        shape = self.opening.conv.output_shape(x.shape[1:]) if self.opening else x.shape[1:]
        padding, (kernel, bias) = self.conv.pixels(shape[:2]), self.conv.parameters.values()
        kept, scale = None, 1.0
        if training and self.dropout is not None:
            kept, scale = self.dropout.draw((len(x), *self.pool.output_shape(self.conv.output_shape(shape))))
        x = self.opening.source(x, padding) if self.opening else x
        y: Array
        y, winners = convolution.winograd.forward_pool(x, self._weights or kernel, bias, padding, kept, scale)
        if training:
            self._memory = x, winners, scale
        return y

    def backward(self, dy: Array) -> Any:
        """As `Layer.backward`."""
        (x, winners, scale), self._memory = recall(self), None
        padding, kernel = self.conv.pixels(x.shape[1:3]), self.conv.parameters["kernel"]
        dx, dw, db = convolution.winograd.backward_pool(x, kernel, winners, dy, padding, scale)
        self.conv.gradients.update(kernel=dw, bias=db)
        return self.opening.note(*dx) if self.opening else dx

    def freeze(self, shape: Shape) -> None:
        """As `ConvReLU.freeze`."""
        shape = self.opening.conv.output_shape(shape) if self.opening else shape
        kernel = self.conv.parameters["kernel"]
        height, width, _ = self.pool.output_shape(self.conv.output_shape(shape))
        self._weights = convolution.winograd.prepare(kernel, (2 * height, 2 * width), kernel.dtype, even=True)


class PoolDropout:
    """y = dropout(max-pool(x)): what dropout leaves out counts as won by nobody."""

    def __init__(self, pool: MaxPool2D, dropout: Dropout) -> None:
        self.layers: Sequence[Layer] = (pool, dropout)
        self.pool, self.dropout = pool, dropout
        self._memory: Any = None

    def forward(self, x: Array, training: bool = False) -> Array:
        """As `Layer.forward`."""
        if not training:
            return self.pool.forward(x)
        kept, scale = self.dropout.draw((len(x), *self.pool.output_shape(x.shape[1:])))
        y, winners = kernels.max_pool(x, self.pool.pool_size, self.pool.stride, kept, scale)
        self._memory = winners, x.shape, scale
        return y

    def backward(self, dy: Array) -> Array:
        """As `Layer.backward`."""
        (winners, x_shape, scale), self._memory = recall(self), None
        return kernels.max_pool_backward(dy, winners, x_shape, self.pool.pool_size, self.pool.stride, scale)


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


def recall(block: Opening | ConvReLU | ConvReLUPool | PoolDropout | BatchNormReLU) -> Any:
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

    def backward(self, dy: Array) -> None:
        """As `Sequential.backward`, but for the gradient of the network's input, which no training needs."""
        with kernels.turn():
            for step in reversed(self.steps):
                dy = step.backward(dy)

    def freeze(self) -> None:
        """As `Sequential.freeze`."""
        shape = self.network.shapes[0]
        for step in self.steps:
            if isinstance(step, ConvReLU | ConvReLUPool):
                step.freeze(shape)
            for layer in getattr(step, "layers", [step]):
                shape = layer.output_shape(shape)

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
        step: Step = layers[at]
        group: Any = layers[at : at + 1]
        if at == 0 and kinds[0] is Conv2D and _begins(layers[0]):
            group, step = _opening(layers[:4], kinds)
        elif kinds[:2] == [Conv2D, ReLU] and "bias" in layers[at].parameters:
            group = layers[at : at + 2]
            if kinds[2:3] == [MaxPool2D] and _pools_on_the_way(group[0], layers[at + 2], shapes[at]):
                group = layers[at : at + (4 if kinds[3:] == [Dropout] else 3)]
            before: Any = steps[0] if at == 2 else None
            opening = before if isinstance(before, Opening) and _by_winograd(group[0], shapes[at]) else None
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


def _begins(conv: Any) -> bool:
    """Whether `kernels.first_layer` computes such a first convolution faster than others do."""
    return (conv.algorithm, conv.stride) == ("auto", (1, 1)) and "direct" in convolution.ALGORITHMS


def _opening(layers: Sequence[Any], kinds: Sequence[type[Layer]]) -> tuple[Sequence[Layer], Step]:
    """The block that a network begins with, and its layers. What has many taps, or no ReLU, is left to others."""
    conv = layers[0]
    if math.prod(conv.parameters["kernel"].shape[:3]) > MOST_TAPS or kinds[1:2] != [ReLU] or not conv.use_bias:
        return layers[:1], FirstConv(conv)
    if kinds[2:3] != [MaxPool2D] or layers[2].config() != TWO_BY_TWO:
        return layers[:2], Opening(*layers[:2])
    group = layers[: 4 if kinds[3:] == [Dropout] else 3]
    return group, Opening(*group)


def _by_winograd(conv: Conv2D, shape: Shape) -> bool:
    """Whether Winograd's algorithm is asked for, or chosen for many images."""
    return conv.algorithm_for((64, *shape)) is convolution.ALGORITHMS.get("winograd")


def _pools_on_the_way(conv: Conv2D, pool: Layer, shape: Shape) -> bool:
    """Whether Winograd's algorithm is used, and can pool without much more work.

    Tiles that are pooled have an even size, and may overhang the output more than others do.
    """
    if pool.config() != TWO_BY_TWO or not _by_winograd(conv, shape):
        return False
    (height, width, filters), kernel = conv.output_shape(shape), conv.parameters["kernel"]
    tiles = [convolution.winograd.best_tile((height, width), kernel.shape, even) for even in (False, True)]
    work = [convolution.winograd.arithmetic(tile, (height, width), shape[2], filters) for tile in tiles]
    return bool(work[1] <= 1.1 * work[0])
