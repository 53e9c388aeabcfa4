"""The fused convolution: with the ReLU, the pooling and the dropout that follow it, and the convolution before it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nncore.kernels import activation
from nncore.kernels.conv import choose, direct, first_conv, winograd
from nncore.layers import Conv2D, MaxPool2D
from nncore.layers.windows import NO_PADDING
from nncore.network.fused_layers import FusedStep, Place, draw_mask, keep_gradients
from nncore.types import Array, Mask, Padding, Shape

MAX_TAPS = 32
"""A first convolution with at most so many numbers in a window (kernel height * width * channels) is computed faster
than its result is fetched from memory. Measured on AVX2 and AVX-512."""

MANY = 64
"""What is fused must not depend on the batch. So it is decided for a batch of so many images."""


class FusedConv(FusedStep):
    """y = dropout(max_pool(ReLU(conv(x)))), with the rest done while a tile of the convolution is in registers.

    ReLU, 2x2 max-pooling and dropout may be missing. Where tiles have an odd size, pooling windows lie across two of
    them; y is then written first, and pooled in a second pass.

    A network's first convolution, if it has few taps, is treated in its own way: computing it takes less time than
    writing it to memory and fetching it again. So it exists in tiles only (`first_conv`). Either this step is that
    convolution (`in_tiles`), or it is the second one, and `first` is the convolution that its tiles are read through.
    """

    def __init__(self, layers: Sequence[Any], place: Place) -> None:
        super().__init__(layers, place)
        self.place = place
        self.first, rest = _split(layers)
        self.conv = rest[0]
        self.relu, self.pool, self.dropout = [*rest[1:], None, None, None][:3]
        self.shape = self.first.output_shape(place.shape) if self.first else place.shape
        self.in_tiles = not self.first and _exists_in_tiles(layers, place)
        self.padding = self.conv.padding_for(self.shape[:2])
        self._prepared: Any = None  # the kernel as winograd takes it, for many images and for one
        choose.check(place.conv, self.conv.kernel_size, self.conv.stride)

    @classmethod
    def serves(cls, layers: Sequence[Any], place: Place) -> bool:
        """Whether there is a kernel for these layers: pooling, and a second convolution, are winograd's alone."""
        first, (conv, *rest) = _split(layers)
        if first and not _exists_in_tiles(layers[:2], place):
            return False
        shape = first.output_shape(place.shape) if first else place.shape
        by_winograd = _algorithm(conv, shape, place.conv, MANY) == "winograd"
        tiled = _exists_in_tiles(layers, place) and not first
        pools = [layer for layer in rest if isinstance(layer, MaxPool2D)]
        two_by_two = all(pool.pool_size == pool.stride == (2, 2) for pool in pools)
        return (by_winograd or not first) and (not pools or (two_by_two and (by_winograd or tiled)))

    def forward(self, x: Array, training: bool = False) -> Array:
        conv, kernel, bias = self.conv, self.conv.parameters["kernel"], _bias(self.conv)
        algorithm, padding = self.algorithm(len(x)), self.padding
        winners, scale, source = None, 1.0, self._source(x)
        y: Array
        if self.pool:
            kept, scale = self._mask(len(x)) if training else (None, 1.0)
            if self.in_tiles:
                y, winners = first_conv.forward_pool(source, conv.filters, kept, scale)
            else:
                y, winners = winograd.forward_pool(source, self._weights(len(x)), bias, padding, kept, scale)
        elif self.in_tiles:
            y = first_conv.forward(source, conv.filters)
        elif self.relu and algorithm == "winograd":
            y = winograd.forward_relu(source, self._weights(len(x)), bias, padding)
        else:
            y = choose.ALGORITHMS[algorithm].forward(x, kernel, conv.stride, padding)
            if self.relu:
                y = activation.bias_relu(y, bias)
            elif conv.use_bias:
                y += bias
        self.remember(training, source, algorithm, winners if self.pool else y, scale)
        return y

    def backward(self, dy: Array) -> Any:
        x, algorithm, result, scale = self.recall()
        conv, kernel, padding = self.conv, self.conv.parameters["kernel"], self.padding
        dx: Any = None
        dbias: Array | None
        if self.in_tiles:
            if self.pool:
                dkernel, dbias = first_conv.backward_pool(x, result, dy, scale)
            else:
                dkernel, dbias = first_conv.backward(x, dy)
        elif self.pool:
            dx, dkernel, dbias = winograd.backward_pool(x, kernel, result, dy, padding, scale)
        elif self.relu and algorithm == "winograd":
            dx, dkernel, dbias = winograd.backward_relu(x, kernel, result, dy, padding)
        else:
            if self.relu:
                dy, dbias = activation.bias_relu_backward(dy, result)
            else:
                dbias = dy.sum(axis=(0, 1, 2)) if conv.use_bias else None
            if self.place.begins and algorithm != "im2col":
                dkernel = direct.kernel_gradient(x, kernel, dy, conv.stride, padding)
            else:
                dx, dkernel = choose.ALGORITHMS[algorithm].backward(x, kernel, dy, conv.stride, padding)
        keep_gradients(conv, dkernel, dbias)
        if self.first:
            keep_gradients(self.first, *dx)
        return None if self.place.begins else dx

    def freeze(self) -> None:
        """Prepare the weights for predictions, for as long as they do not change."""
        if self.relu and not self.in_tiles and self.algorithm(MANY) == "winograd":
            kernel = self.conv.parameters["kernel"]
            tiles = [self._tile(alone) for alone in (False, True)]
            weights = {tile: winograd.prepare(kernel, tile, kernel.dtype) for tile in tiles}
            self._prepared = [weights[tile] for tile in tiles]

    def algorithm(self, images: int) -> str:
        """The name of the algorithm that computes the convolution of so many images."""
        if self.in_tiles:
            return "direct"
        if self.pool or self.first or self._prepared:
            return "winograd"
        return _algorithm(self.conv, self.shape, self.place.conv, images)

    def algorithms(self, images: int) -> dict[Conv2D, str]:
        """The algorithm of each convolution in this step, with the tile that winograd takes: "winograd F(6, 3)"."""
        name = self.algorithm(images)
        if name == "winograd":
            tile = self._tile(alone=self._prepared is not None and images == 1)
            name = f"winograd F({tile.m}, {tile.r})"
        return {**({self.first: "direct"} if self.first else {}), self.conv: name}

    def _source(self, x: Array) -> Any:
        """What is convolved: x, or a prologue that computes the first convolution wherever a tile of it is read."""
        if self.first:
            return _prologue(self.first, x, self.padding)
        return _prologue(self.conv, x, NO_PADDING) if self.in_tiles else x

    def _mask(self, images: int) -> tuple[Mask | None, float]:
        """Dropout's next mask, and what to multiply with what is kept."""
        return draw_mask(self.dropout, (images, *self.pool.output_shape(self.conv.output_shape(self.shape))))

    def _tile(self, alone: bool) -> winograd.Tile:
        """The tile that winograd takes. Of an odd output, pooling leaves out the last row and column: so do tiles."""
        height, width, _ = self.conv.output_shape(self.shape)
        size = (height // 2 * 2, width // 2 * 2) if self.pool else (height, width)
        return winograd.best_tile(size, self.conv.parameters["kernel"].shape, alone)

    def _weights(self, images: int) -> Any:
        """The kernel, or what `freeze` has made of it."""
        return self._prepared[images == 1] if self._prepared else self.conv.parameters["kernel"]


def _split(layers: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """The first convolution, where there are two, and the layers from the other on."""
    return (layers[0], layers[2:]) if Conv2D in map(type, layers[1:]) else (None, layers)


def _exists_in_tiles(layers: Sequence[Any], place: Place) -> bool:
    """Whether a convolution with its ReLU is computed faster than it is fetched, and nobody needs its dx."""
    conv = layers[0]
    few = math.prod(conv.kernel_size) * place.shape[-1] <= MAX_TAPS
    return place.begins and len(layers) > 1 and few and conv.stride == (1, 1) and place.conv == "auto"


def _algorithm(conv: Conv2D, shape: Shape, asked: str, images: int) -> str:
    kernel_shape, padding = conv.parameters["kernel"].shape, conv.padding_for(shape[:2])
    return choose.choose((images, *shape), kernel_shape, conv.stride, padding) if asked == "auto" else asked


def _prologue(conv: Conv2D, x: Array, following: Padding) -> Any:
    """The convolution and its ReLU, not yet computed, in front of a convolution with the padding `following`."""
    return first_conv.first_conv(x, conv.parameters["kernel"], _bias(conv), conv.padding_for(x.shape[1:3]), following)


def _bias(conv: Conv2D) -> Array:
    bias = conv.parameters.get("bias")
    return np.zeros(conv.filters, conv.parameters["kernel"].dtype) if bias is None else bias
