"""Neighbouring layers computed as one block: what a plan consists of where it can.

Layer by layer, the output of a convolution goes out to memory and comes back for the bias, for ReLU, for pooling and
for dropout. In a block, all of that happens to it while it is still in the cache. The numbers are the same up to
rounding, dropout's masks to the bit. Parameters, gradients and state remain the layers' own.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from nncore import kernels
from nncore.kernels.conv import choose as convolution
from nncore.layers import BatchNorm, Conv2D, Dropout, Layer, MaxPool2D, ReLU
from nncore.types import Array, Padding, Shape


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
        return convolution.first_layer.convolved(x, kernel, bias, conv.padding_for(x.shape[1:3]), following)

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
        kernel, padding = conv.parameters["kernel"], conv.padding_for(x.shape[1:3])
        conv.gradients["kernel"] = convolution.direct.kernel_gradient(x, kernel, dy, conv.stride, padding)
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
        algorithm, padding = conv.algorithm_for(shape), conv.padding_for(shape[1:3])
        by_winograd = self._weights is not None or algorithm is convolution.ALGORITHMS.get("winograd")
        y: Array
        if by_winograd:
            x = self.opening.source(x, padding) if self.opening else x
            y = convolution.winograd.forward_relu(x, weights(self, x.shape[0]), bias, padding)
        else:
            x = self.opening.forward(x, training) if self.opening else x
            y = kernels.bias_relu(algorithm.forward(x, kernel, conv.stride, padding), bias)
        if training:
            self._memory = x, y, algorithm, by_winograd
        return y

    def backward(self, dy: Array) -> Any:
        """As `Layer.backward`."""
        (x, y, algorithm, by_winograd), self._memory = recall(self), None
        conv, padding = self.conv, self.conv.padding_for(x.shape[1:3])
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
        if by_winograd(conv, shape):
            self._weights = prepared(conv, conv.output_shape(shape)[:2])


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
        padding, bias = self.conv.padding_for(shape[:2]), self.conv.parameters["bias"]
        kept, scale = None, 1.0
        if training and self.dropout is not None:
            kept, scale = self.dropout.draw((len(x), *self.pool.output_shape(self.conv.output_shape(shape))))
        x = self.opening.source(x, padding) if self.opening else x
        y: Array
        y, winners = convolution.winograd.forward_pool(x, weights(self, x.shape[0]), bias, padding, kept, scale)
        if training:
            self._memory = x, winners, scale
        return y

    def backward(self, dy: Array) -> Any:
        """As `Layer.backward`."""
        (x, winners, scale), self._memory = recall(self), None
        padding, kernel = self.conv.padding_for(x.shape[1:3]), self.conv.parameters["kernel"]
        dx, dw, db = convolution.winograd.backward_pool(x, kernel, winners, dy, padding, scale)
        self.conv.gradients.update(kernel=dw, bias=db)
        return self.opening.note(*dx) if self.opening else dx

    def freeze(self, shape: Shape) -> None:
        """As `ConvReLU.freeze`."""
        shape = self.opening.conv.output_shape(shape) if self.opening else shape
        height, width, _ = self.pool.output_shape(self.conv.output_shape(shape))
        self._weights = prepared(self.conv, (2 * height, 2 * width))


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


def prepared(conv: Conv2D, size: Shape) -> list[Any]:
    """The kernel as Winograd's algorithm takes it for an output of this size, for many images and for one alone."""
    kernel, (height, width), winograd = conv.parameters["kernel"], size, convolution.winograd
    tiles = [winograd.best_tile((height, width), kernel.shape, alone) for alone in (False, True)]
    weights = {tile: winograd.prepare(kernel, tile, kernel.dtype) for tile in tiles}
    return [weights[tile] for tile in tiles]


def weights(block: ConvReLU | ConvReLUPool, images: int) -> Any:
    """The kernel, or what `freeze` has made of it."""
    return block._weights[images == 1] if block._weights else block.conv.parameters["kernel"]


def by_winograd(conv: Conv2D, shape: Shape) -> bool:
    """Whether Winograd's algorithm is asked for, or chosen for many images."""
    return conv.algorithm_for((64, *shape)) is convolution.ALGORITHMS.get("winograd")
