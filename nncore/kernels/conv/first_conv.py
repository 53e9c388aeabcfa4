"""A network's first convolution, with its ReLU, computed a tile at a time wherever a tile of it is needed.

The images that a network starts with have one channel or three. To convolve them takes less time than to write the
result to memory and to fetch it again. So the convolution is a prologue, `FirstConv`: the second convolution reads its
tiles (`winograd`), or they are pooled and written (`forward_pool`), and in the backward pass they are computed once
more. Nobody needs the gradient of the pictures. Those of kernel and bias are sums over all pixels; `FirstConvGradient`
is the epilogue to which each tile of dy adds its part while it is in registers.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import get_num_threads, int64, prange

from nncore.kernels.conv.direct import pad
from nncore.kernels.conv.epilogues import BiasReLUPool, relu
from nncore.kernels.conv.prologues import Corner, Fixed, PoolBackward, describe, relu_backward
from nncore.kernels.conv.tiles import Transform, copy, move
from nncore.kernels.runtime import kernel
from nncore.kernels.simd.vector import (
    INDEX,
    VECTOR_BYTES,
    Vector,
    as_contiguous,
    empty,
    splat,
)
from nncore.layers.windows import output_size
from nncore.types import Array, Integers, Mask, Padding, Pair, Shape

TILE_SIZE = 4
TILE = Transform("I", TILE_SIZE, 1, TILE_SIZE)  # a tile on its way from a prologue to an epilogue
GAP_BYTES = 256  # the processor fetches lines of 64 bytes in pairs, and the next ones ahead
OVERHANG = 8
"""Zeros after the last row and column: by so many pixels the largest tile, of 8 x 8, may reach beyond an image."""


class FirstConv(NamedTuple):
    """Reads y = ReLU(x * kernel + bias), images (N, height, width, F).

    x: (N, H, W, C) with zeros around, kernel: (taps, F), bias: (F,), with F a multiple of the vectors' length.
    kernel_height, row_taps: how many rows a window has, and how many numbers each has (`Fixed`).
    height, width: of y.
    above, left: in x, the row and column where the window of the pixel y[0, 0] begins. Once opened, they are in y, the
    row and column where the tile begins.
    """

    x: Any
    kernel: Any
    bias: Any
    kernel_height: Any
    row_taps: Any
    height: Any
    width: Any
    above: Any
    left: Any

    @property
    def shape(self) -> Shape:
        return len(self.x), self.height, self.width, self.kernel.shape[1]

    @property
    def dtype(self) -> Any:
        return self.x.dtype

    def open(self, at: Corner) -> "FirstConv":
        (n, i, j, c), b = at, self.x.builder
        x = self.x.window([n, b.add(i, self.above), b.add(j, self.left), 0], (1, 2))
        kernel, bias = self.kernel.window([0, c], (0,)), self.bias.window([c], ())
        return FirstConv(x, kernel, bias, *self[3:7], i, j)

    def contains(self, size: int, lanes: int) -> ir.Value:
        b, inside = self.x.builder, ir.IntType(1)(1)
        for start, length in ((self.above, self.height), (self.left, self.width)):
            inside = b.and_(inside, b.icmp_signed(">=", start, INDEX(0)))
            inside = b.and_(inside, b.icmp_signed("<=", b.add(start, INDEX(size)), length))
        return inside

    def load(self, pixels: Sequence[Any], lanes: int, masked: bool) -> list[Vector]:
        pixels = [[INDEX(step) if isinstance(step, int) else step for step in pixel] for pixel in pixels]
        sums = [self.bias.load((), lanes)] * len(pixels)
        for tap, numbers in self.taps(pixels, lanes):
            weights = self.kernel.load((tap,), lanes)
            sums = [total + number * weights for total, number in zip(sums, numbers, strict=True)]
        vectors = [relu(total) for total in sums]
        return [self._inside(v, pixel) for v, pixel in zip(vectors, pixels, strict=True)] if masked else vectors

    def _inside(self, vector: Vector, pixel: Any) -> Vector:
        """Zero outside of y."""
        b, zero = self.x.builder, vector.full(0)
        for start, step, length in zip((self.above, self.left), pixel, (self.height, self.width), strict=True):
            vector = vector.where(b.icmp_unsigned("<", b.add(start, step), length), zero)
        return vector

    def taps(self, pixels: Sequence[Any], lanes: int) -> Iterator[tuple[int, list[Vector]]]:
        """Each tap, and for each pixel the number of x that it meets, in all lanes. The code is a straight line."""
        b, x = self.x.builder, self.x
        for ky in range(self.kernel_height):
            starts = [b.ptrtoint(x.pointer((b.add(row, INDEX(ky)), column), x.scalar), INDEX) for row, column in pixels]
            for k in range(self.row_taps):
                pointers = [b.inttoptr(b.add(start, INDEX(k * x.bytes)), x.scalar.as_pointer()) for start in starts]
                numbers = [b.load(pointer, align=x.bytes, typ=x.scalar) for pointer in pointers]
                yield ky * self.row_taps + k, [splat(b, number, lanes) for number in numbers]


class FirstConvGradient(NamedTuple):
    """Takes tiles of dy, the gradient of a `FirstConv`, and adds to the gradients of its kernel and its bias."""

    conv: Any
    dkernel: Any
    dbias: Any

    @classmethod
    def of(cls, conv: FirstConv) -> "FirstConvGradient":
        """Zeros, with a gap before and after: workers that wrote to neighbouring lines would wait for each other."""
        taps, filters = conv.kernel.shape
        gap = -(-GAP_BYTES // (filters * conv.dtype.itemsize))
        sums = empty((gap + taps + 1 + gap, filters), conv.dtype)
        sums[...] = 0
        return cls(conv, sums[gap : gap + taps], sums[gap + taps])

    def open(self, at: Corner) -> "FirstConvGradient":
        dkernel, dbias = self.dkernel.window([0, at[3]], (0,)), self.dbias.window(at[3:], ())
        return FirstConvGradient(self.conv.open(at), dkernel, dbias)

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.conv.contains(size, lanes)

    def store(self, row: ir.Value, rows: Sequence[Sequence[Vector]], masked: bool, accumulate: bool) -> None:
        lanes = rows[0][0].lanes
        pixels = [(row, INDEX(column)) for column in range(len(rows[0]))]
        y = self.conv.load(pixels, lanes, masked)
        dy = [relu_backward(gradient, value) for gradient, value in zip(rows[0], y, strict=True)]
        self.dbias.store((), sum(dy, start=self.dbias.load((), lanes)))
        for tap, numbers in self.conv.taps(pixels, lanes):
            first, *others = (gradient * number for gradient, number in zip(dy, numbers, strict=True))
            total = self.dkernel.load((tap,), lanes) + sum(others, start=first)  # no product waits for what is loaded
            self.dkernel.store((tap,), total)


def first_conv(x: Array, kernel: Array, bias: Array, padding: Padding, following: Padding) -> FirstConv:
    """The prologue `ReLU(x * kernel + bias)`, of stride 1, in front of a convolution with the padding `following`.

    x: (N, H, W, C), kernel: (KH, KW, C, F), bias: (F,).
    """
    kh, kw, channels, filters = kernel.shape
    x = as_contiguous("x", x, (*x.shape[:3], channels), x.dtype)
    size = output_size(x.shape[1:3], (kh, kw), (1, 1), padding)
    (above, below), (left, right) = ((before, after + OVERHANG) for before, after in following)
    (top, bottom), (first, last) = padding
    x = pad(x, ((top + above, bottom + below), (first + left, last + right)))
    kernel = as_contiguous("kernel", kernel, kernel.shape, x.dtype).reshape(-1, filters)
    bias, missing = as_contiguous("bias", bias, (filters,), x.dtype), -filters % (VECTOR_BYTES // x.itemsize)
    if missing:
        kernel, bias = np.pad(kernel, ((0, 0), (0, missing))), np.pad(bias, (0, missing))
    return FirstConv(x, kernel, bias, Fixed(kh), Fixed(kw * channels), *size, above, left)


def forward(conv: FirstConv, filters: int) -> Array:
    """The convolution and its ReLU, written to memory after all: y (N, OH, OW, F)."""
    y: Array = empty((*conv.shape[:3], filters), conv.dtype)
    write(conv, y, y.shape)
    return y


def backward(conv: FirstConv, dy: Array) -> tuple[Array, Array]:
    """The gradients of kernel (taps, F) and bias (F,), for dy (N, OH, OW, F)."""
    dy = as_contiguous("dy", dy, (*conv.shape[:3], dy.shape[3]), conv.dtype)
    return _gradients(conv, dy, dy.shape[3])


def forward_pool(conv: FirstConv, filters: int, kept: Mask | None = None, scale: float = 1.0) -> tuple[Array, Integers]:
    """The same, pooled: as `winograd.forward_pool`."""
    shape = (len(conv.x), conv.height // 2, conv.width // 2, filters)
    y: Array = empty(shape, conv.dtype)
    winners = np.empty(shape, np.int8)
    kept = as_contiguous("kept", kept, shape, np.bool_) if kept is not None else None
    target = BiasReLUPool(y, winners, np.zeros(filters, conv.dtype), kept, conv.dtype.type(scale))
    write(conv, target, (len(y), 2 * shape[1], 2 * shape[2], filters))
    return y, winners


def backward_pool(conv: FirstConv, winners: Integers, dy: Array, scale: float = 1.0) -> tuple[Array, Array]:
    """The gradients of kernel and bias, for dy (N, OH // 2, OW // 2, F) and the winners that `forward_pool` gave."""
    shape = (len(conv.x), conv.height // 2, conv.width // 2, dy.shape[3])
    dy, winners = as_contiguous("dy", dy, shape, conv.dtype), as_contiguous("winners", winners, shape, np.int8)
    return _gradients(conv, PoolBackward(dy, winners, conv.dtype.type(scale)), dy.shape[3])


def _gradients(conv: FirstConv, dy: Any, filters: int) -> tuple[Array, Array]:
    own = [FirstConvGradient.of(conv) for _ in range(get_num_threads())]
    code, source, first = copy(TILE, dy, own[0])
    targets = np.array([first, *(describe(gradient)[1] for gradient in own[1:])])
    copy_tiles(code, source, targets, len(conv.x), _grid(conv.height, conv.width), filters)
    return add_up(own, filters)


def add_up(own: Sequence[FirstConvGradient], filters: int) -> tuple[Array, Array]:
    """The gradients of kernel (taps, F) and bias (F,), of which each worker has a part."""
    dkernel, dbias = sum(each.dkernel for each in own), sum(each.dbias for each in own)
    return dkernel[:, :filters], dbias[:filters]


def write(source: Any, target: Any, shape: Shape) -> None:
    """Write source, images or a prologue (N, H, W, C) of this shape, into target, images or an epilogue."""
    count, height, width, channels = shape
    code, numbers, target_numbers = copy(TILE, source, target)
    workers = min(get_num_threads(), count) if count > 1 else 1
    targets = target_numbers.reshape(1, -1).repeat(workers, axis=0)
    copy_tiles(code, numbers, targets, count, _grid(height, width), channels)


def _grid(height: int, width: int) -> Pair:
    return -(-height // TILE_SIZE), -(-width // TILE_SIZE)


@kernel
def copy_tiles(code: int, source: Integers, targets: Integers, count: int, grid: Pair, channels: int) -> None:
    """Move all tiles of `count` images. targets: (workers, numbers), of each worker a descriptor of its own."""
    for each in prange(len(targets)):
        w: Any = int64(each)
        tiles = grid[0] * grid[1]
        these = count * w // len(targets) * tiles, count * (w + 1) // len(targets) * tiles
        move(code, source, targets[w], these, grid, (0, 0), (0, channels))
