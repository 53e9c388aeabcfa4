"""Convolution with 3x3 kernels and stride 1 by Winograd's minimal filtering, F(m, 3) in both directions.

With the matrices of `cook_toom`, over tiles of n x n pixels, n = m + 2, that overlap by two,

    V = B^T x B        U = G w G^T        M = sum over channels of U * V        y = A^T M A

where * multiplies element by element: n^2 products for m^2 outputs in the place of 9 m^2. Summed over channels, each
element of U * V is a product of matrices, tiles by channels by filters. That is where the work is.

The backward pass is the transpose of each step, with no second set of tiles:

    dM = A dy A^T      dV = U dM,  dx = sum of tiles B dV B^T      dU = V dM,  dw = G^T dU G

and since the second row of A is all ones, dM holds the sum of each tile of dy, of which the bias's gradient is made.

Source: Lavin & Gray 2015, arXiv 1509.09308, sections 4 and 5.
"""

import functools
import math
from typing import Any

import numpy as np
from numba import get_num_threads
from numpy.typing import DTypeLike

from nncore.kernels.cook_toom import POINTS, cook_toom, transpose
from nncore.kernels.reference import output_size
from nncore.kernels.simd import ROWS, VECTOR_BYTES, VECTORS, Constant, conform
from nncore.kernels.tiles import Activated, Pooled, Rectified, Transform, Unpooled
from nncore.kernels.winograd_passes import backward_pass, forward_pass, transform_kernel, transform_sums
from nncore.types import Array, Integers, Mask, Padding, Pair

LINE = VECTORS * VECTOR_BYTES
FORWARD_BYTES, BACKWARD_BYTES = 2**19, 3 * 2**19
"""What the planes of a chunk may take in either pass, measured on cores with 2 MiB of second-level cache: in the
backward pass, longer chunks load and store the sums dU less often."""


@functools.cache
def _transforms(m: int) -> dict[str, Constant]:
    """The six transforms of F(m, 3)."""
    a, g, b = cook_toom(m)
    return {
        "read x": Constant(Transform(transpose(b), m)),
        "read dy": Constant(Transform(a, m)),
        "read w": Constant(Transform(g, 0)),
        "write y": Constant(Transform(transpose(a), m)),
        "write dx": Constant(Transform(b, m, accumulate=True)),
        "write dw": Constant(Transform(transpose(g), 0, accumulate=True)),
    }


def arithmetic(m: int, size: Pair, channels: int, filters: int) -> int:
    """The work for one image with an output of this size, in products of a channel and a filter.

    Each element of a tile takes one for every pair of channel and filter. A transform, memory included, was measured to
    take as long as some 16 of them for every element and channel; tiles that overhang the output count in full.
    """
    n, tiles = m + 2, math.prod(-(-length // m) for length in size)
    return tiles * n * n * (channels * filters + 16 * (channels + filters))


def tile_size(size: Pair, channels: int, filters: int, even: bool = False) -> int:
    """The m of least arithmetic; pooling on the way needs an even one. All of them keep errors below 5e-6 (RMS)."""
    return min((m for m in POINTS if not (even and m % 2)), key=lambda m: arithmetic(m, size, channels, filters))


def forward(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """`reference.conv2d` for kernels (3, 3, C, F) and stride (1, 1)."""
    y = np.empty((len(x), *_output_size(x, padding), kernel.shape[3]), x.dtype)
    return _forward(x, kernel, padding, y, y, tile_size(y.shape[1:3], *kernel.shape[2:]))


def backward(x: Array, kernel: Array, dy: Array, stride: Pair, padding: Padding) -> tuple[Array, Array]:
    """`reference.conv2d_backward` for kernels (3, 3, C, F) and stride (1, 1)."""
    size = _output_size(x, padding)
    dy = conform("dy", dy, (len(x), *size, kernel.shape[3]), x.dtype)
    dx, dw, _ = _backward(x, kernel, padding, dy, tile_size(size, *kernel.shape[2:]))
    return dx, dw


def forward_relu(x: Array, kernel: Array, bias: Array, padding: Padding) -> Array:
    """The convolution, its bias (F,) and ReLU in one: y (N, OH, OW, F)."""
    y = np.empty((len(x), *_output_size(x, padding), kernel.shape[3]), x.dtype)
    bias = conform("bias", bias, kernel.shape[3:], x.dtype)
    return _forward(x, kernel, padding, y, Activated(y, bias), tile_size(y.shape[1:3], *kernel.shape[2:]))


def backward_relu(x: Array, kernel: Array, y: Array, dy: Array, padding: Padding) -> tuple[Array, Array, Array]:
    """The gradients (dx, dw, dbias) of `forward_relu`, which gave y."""
    shape = (len(x), *_output_size(x, padding), kernel.shape[3])
    source = Rectified(conform("dy", dy, shape, x.dtype), conform("y", y, shape, x.dtype))
    return _backward(x, kernel, padding, source, tile_size(shape[1:3], *kernel.shape[2:]))


def forward_pool(
    x: Array, kernel: Array, bias: Array, padding: Padding, kept: Mask | None = None, scale: float = 1.0
) -> tuple[Array, Integers]:
    """As `forward_relu`, and 2x2 max-pooling, and dropout: y is multiplied by `scale` where `kept` and zero elsewhere.

    Returns y (N, OH // 2, OW // 2, F), which is the shape of `kept` too, and its winners (int8; see `tiles.Pooled`).
    """
    oh, ow = _output_size(x, padding)
    y = np.empty((len(x), oh // 2, ow // 2, kernel.shape[3]), x.dtype)
    winners = np.empty(y.shape, np.int8)
    kept = conform("kept", kept, y.shape, np.bool_) if kept is not None else None
    target = Pooled(y, winners, conform("bias", bias, kernel.shape[3:], x.dtype), kept, x.dtype.type(scale))
    return _forward(x, kernel, padding, y, target, _pooled_tile_size(y, kernel)), winners


def backward_pool(
    x: Array, kernel: Array, winners: Integers, dy: Array, padding: Padding, scale: float = 1.0
) -> tuple[Array, Array, Array]:
    """The gradients (dx, dw, dbias) of `forward_pool`, which gave the winners."""
    oh, ow = _output_size(x, padding)
    shape = len(x), oh // 2, ow // 2, kernel.shape[3]
    dy, winners = conform("dy", dy, shape, x.dtype), conform("winners", winners, shape, np.int8)
    source = Unpooled(dy, winners, x.dtype.type(scale))
    return _backward(x, kernel, padding, source, _pooled_tile_size(dy, kernel))


def _pooled_tile_size(y: Array, kernel: Array) -> int:
    return tile_size((2 * y.shape[1], 2 * y.shape[2]), kernel.shape[2], kernel.shape[3], even=True)


def _output_size(x: Array, padding: Padding) -> Pair:
    return output_size(x.shape[1:3], (3, 3), (1, 1), padding)


def _forward(x: Array, kernel: Array, padding: Padding, y: Array, target: Any, m: int) -> Array:
    transforms, ((top, _), (left, _)), (channels, filters) = _transforms(m), padding, kernel.shape[2:]
    grid, workers = _grid(x, padding, m), get_num_threads()
    tiles, depth = -(-len(x) * math.prod(grid) // workers), channels + LINE // x.itemsize
    chunk = _chunk(tiles, FORWARD_BYTES // ((m + 2) ** 2 * depth * x.itemsize))
    kinds, x = (transforms["read x"], transforms["write y"]), conform("x", x, (*x.shape[:3], channels), x.dtype)
    forward_pass(*kinds, x, _weights(kernel, m, x.dtype), target, filters, (top, left), grid, workers, chunk)
    return y


def _backward(x: Array, kernel: Array, padding: Padding, dy: Any, m: int) -> tuple[Array, Array, Array]:
    transforms, ((top, _), (left, _)), (channels, filters) = _transforms(m), padding, kernel.shape[2:]
    grid, workers, n, line = _grid(x, padding, m), get_num_threads(), m + 2, LINE // x.itemsize
    tiles, depth = -(-len(x) // workers) * math.prod(grid), channels + filters + line
    chunk = _chunk(tiles, BACKWARD_BYTES // (n * n * depth * x.itemsize))
    x = conform("x", x, (*x.shape[:3], channels), x.dtype)
    dx, blocks = np.empty(x.shape, x.dtype), -(-filters // line)
    sums = np.zeros((workers, blocks, n, n, -(-channels // ROWS) * ROWS, line), x.dtype)
    dbias = np.zeros((workers, blocks * line), x.dtype)
    kinds, weights = (transforms["read x"], transforms["read dy"], transforms["write dx"]), kernel.swapaxes(2, 3)
    backward_pass(*kinds, x, dy, _weights(weights, m, x.dtype), dx, sums, dbias, (top, left), grid, chunk)
    dw = np.empty((3, 3, channels, filters), x.dtype)
    transform_sums(transforms["write dw"], sums, dw)
    return dx, dw, dbias.sum(axis=0)[:filters]


def _grid(x: Array, padding: Padding, m: int) -> Pair:
    """How many rows and columns of tiles cover the output."""
    oh, ow = _output_size(x, padding)
    return -(-oh // m), -(-ow // m)


def _chunk(share: int, fitting: int) -> int:
    """How many of its share of tiles a worker takes at a time: as many as fit the cache, in whole blocks."""
    return max(1, min(fitting // ROWS, -(-share // ROWS))) * ROWS


def _weights(kernel: Array, m: int, dtype: DTypeLike) -> Array:
    """U = G w G^T (blocks, n, n, C, line), for `forward_pass`."""
    line = LINE // np.dtype(dtype).itemsize
    weights = np.empty((-(-kernel.shape[3] // line), m + 2, m + 2, kernel.shape[2], line), dtype)
    transform_kernel(_transforms(m)["read w"], conform("kernel", kernel, (3, 3, *kernel.shape[2:]), dtype), weights)
    return weights
