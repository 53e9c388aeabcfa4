"""Convolution with square kernels and stride 1 by Winograd's minimal filtering, F(m, r) in both directions.

The output is cut into tiles of m x m pixels. For a kernel of r x r, a tile needs n x n pixels of the input, with
n = m + r - 1; neighbouring tiles of the input overlap by r - 1. With the constant matrices A, B and G of `cook_toom`,

    V = B^T x B        U = G w G^T        M = sum over channels of U * V        y = A^T M A

computes the tile exactly, where * multiplies element by element: n^2 products in the place of m^2 r^2. For F(6, 3) that
is 64 in the place of 324. Fix one element (a, b) of the n^2, and write t for a tile, c for a channel, f for a filter:

    M[t, f] = sum over c of V[t, c] U[c, f]

is a product of two matrices, tiles by channels and channels by filters. All the work is in these n^2 products
(`passes`).

Each step is linear in x and linear in w. So the backward pass takes the transpose of each step, in the opposite order
and on the same tiles:

    dM = A dy A^T      dV[t, c] = sum over f of dM[t, f] U[c, f]      dx = sum over tiles of B dV B^T
                       dU[c, f] = sum over t of V[t, c] dM[t, f]      dw = G^T dU G

V is computed again from x rather than kept from the forward pass. Row 1 of A (counted from 0) is all ones, because it
belongs to the point 1. So element (1, 1) of dM is the sum of a tile of dy, and the sum of these is the gradient of the
bias.

Source: Lavin & Gray 2015, arXiv 1509.09308, sections 4 and 5.
"""

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import get_num_threads
from numpy.typing import DTypeLike

from nncore.kernels.conv.cook_toom import POINTS
from nncore.kernels.conv.epilogues import BiasReLU, BiasReLUPool
from nncore.kernels.conv.first_conv import FirstConv, FirstConvGradient, add_up, write
from nncore.kernels.conv.passes import (
    STAGGER,
    Moves,
    Tiling,
    backward_pass,
    forward_pass,
    transform_kernel,
    transform_sums,
)
from nncore.kernels.conv.prologues import PoolBackward, ReLUBackward, describe
from nncore.kernels.conv.tiles import Transform, gather, scatter
from nncore.kernels.simd.vector import ROWS, VECTOR_BYTES, VECTORS, as_contiguous, empty
from nncore.layers.windows import output_size
from nncore.types import Array, Integers, Mask, Padding, Pair, Shape

BLOCK_WIDTH = VECTORS * VECTOR_BYTES  # of a block of `product`, in bytes
Images: TypeAlias = Any  # Array | FirstConv
"""x may be a `FirstConv`, with as many filters as x has channels, C. A backward pass then returns the gradients of its
kernel (taps, C) and of its bias (C,) in the place of dx."""

CHUNK_BYTES = 5 * 2**18
"""What the planes of one chunk of tiles may take, measured on cores with 2 MiB of second-level cache. With shorter
chunks the weights, and in the backward pass the sums dU, are loaded more often; longer chunks leave the cache."""


class Tile(NamedTuple):
    """F(m, r)."""

    m: int
    r: int

    @property
    def n(self) -> int:
        return self.m + self.r - 1


class Weights(NamedTuple):
    """A kernel (r, r, C, F) as the forward pass multiplies it: see `prepare`."""

    tile: Tile
    shape: Shape
    matrices: Array


def serves(kernel_size: Pair, stride: Pair) -> bool:
    """Whether there are tiles for such a kernel: it is square, from 2x2 to 7x7, and goes from pixel to pixel."""
    return kernel_size[0] == kernel_size[1] and 2 <= kernel_size[0] <= max(POINTS) - 1 and tuple(stride) == (1, 1)


def arithmetic(tile: Tile, size: Pair, channels: int, filters: int) -> int:
    """The work for one image with an output of this size, in multiplications.

    Each element of a tile takes one for every pair of channel and filter. Transforms, memory included, were measured to
    take as long as some 16 for every element and every channel or filter. Tiles that overhang the output count in full.
    """
    return math.prod(_grid(size, tile)) * tile.n**2 * (channels * filters + 16 * (channels + filters))


def best_tile(size: Pair, kernel_shape: Shape, alone: bool = False) -> Tile:
    """The tile of least arithmetic. With each of them, the root mean square of the error is below 5e-6 of y's.

    alone: for an image that comes by itself, its kernel transformed before. To fetch the transformed kernel was
    measured to take as long as the products of 16 tiles; and a block of the product has ROWS tiles, even if some are
    missing.
    """
    r, _, channels, filters = kernel_shape

    def work(tile: Tile) -> int:
        more = -math.prod(_grid(size, tile)) % ROWS + 16 if alone else 0
        return arithmetic(tile, size, channels, filters) + more * tile.n**2 * channels * filters

    return min((Tile(n - r + 1, r) for n in POINTS if n > r), key=work)


def prepare(kernel: Array, tile: Tile, dtype: DTypeLike) -> Weights:
    """U = G w G^T, computed once: forward passes take it in the place of the kernel."""
    matrices = _matrices(_blocks(kernel.shape[3], dtype), tile.n, 1, kernel.shape[2], dtype)[:, :, :, 0]
    _transform_kernel(kernel, tile, matrices.transpose(0, 3, 1, 2, 4))
    return Weights(tile, kernel.shape, matrices)


def forward(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """The convolution of x (N, H, W, C) with a kernel (r, r, C, F), stride (1, 1): y (N, OH, OW, F)."""
    x = _source(x, kernel.shape[2])
    y: Array = empty((len(x), *_output_size(x, kernel, padding), kernel.shape[3]), x.dtype)
    _forward(x, prepare(kernel, best_tile(_size(y), kernel.shape), x.dtype), padding, y, _size(y))
    return y


def backward(x: Array, kernel: Array, dy: Array, stride: Pair, padding: Padding) -> tuple[Array, Array]:
    """The gradients (dx, dkernel) of `forward`, from dy (N, OH, OW, F)."""
    dy = as_contiguous("dy", dy, (len(x), *_output_size(x, kernel, padding), kernel.shape[3]), x.dtype)
    dx, dw, _ = _backward(x, kernel, padding, dy, _size(dy))
    return dx, dw


def forward_relu(x: Images, kernel: Array | Weights, bias: Array, padding: Padding) -> Array:
    """The convolution, its bias (F,) and ReLU in one: y (N, OH, OW, F)."""
    x = _source(x, kernel.shape[2])
    y: Array = empty((x.shape[0], *_output_size(x, kernel, padding), kernel.shape[3]), x.dtype)
    weights = kernel if isinstance(kernel, Weights) else prepare(kernel, best_tile(_size(y), kernel.shape), x.dtype)
    _forward(x, weights, padding, BiasReLU(y, as_contiguous("bias", bias, kernel.shape[3:], x.dtype)), _size(y))
    return y


def backward_relu(x: Images, kernel: Array, y: Array, dy: Array, padding: Padding) -> tuple[Any, Array, Array]:
    """The gradients (dx, dw, dbias) of `forward_relu`, which gave y."""
    shape = (x.shape[0], *_output_size(x, kernel, padding), kernel.shape[3])
    source = ReLUBackward(as_contiguous("dy", dy, shape, x.dtype), as_contiguous("y", y, shape, x.dtype))
    return _backward(x, kernel, padding, source, _size(y))


def forward_pool(
    x: Images, kernel: Array | Weights, bias: Array, padding: Padding, kept: Mask | None = None, scale: float = 1.0
) -> tuple[Array, Integers]:
    """As `forward_relu`, then 2x2 max-pooling and dropout: y is multiplied by `scale` where `kept` and zero elsewhere.

    Returns y (N, OH // 2, OW // 2, F), the shape of `kept` too, and its winners (int8: `epilogues.BiasReLUPool`).
    """
    x, (oh, ow) = _source(x, kernel.shape[2]), _output_size(x, kernel, padding)
    y: Array = empty((x.shape[0], oh // 2, ow // 2, kernel.shape[3]), x.dtype)
    winners = np.empty(y.shape, np.int8)
    kept = as_contiguous("kept", kept, y.shape, np.bool_) if kept is not None else None
    target = BiasReLUPool(y, winners, as_contiguous("bias", bias, kernel.shape[3:], x.dtype), kept, x.dtype.type(scale))
    weights = kernel if isinstance(kernel, Weights) else prepare(kernel, best_tile(_pooled(y), kernel.shape), x.dtype)
    if weights.tile.m % 2:  # windows lie across the borders of tiles
        whole: Array = empty((x.shape[0], *_pooled(y), kernel.shape[3]), x.dtype)
        _forward(x, weights, padding, whole, _pooled(y))
        write(whole, target, whole.shape)
    else:
        _forward(x, weights, padding, target, _pooled(y))
    return y, winners


def backward_pool(
    x: Images, kernel: Array, winners: Integers, dy: Array, padding: Padding, scale: float = 1.0
) -> tuple[Any, Array, Array]:
    """The gradients (dx, dw, dbias) of `forward_pool`, which gave the winners."""
    oh, ow = _output_size(x, kernel, padding)
    shape = x.shape[0], oh // 2, ow // 2, kernel.shape[3]
    dy, winners = as_contiguous("dy", dy, shape, x.dtype), as_contiguous("winners", winners, shape, np.int8)
    source = PoolBackward(dy, winners, x.dtype.type(scale))
    return _backward(x, kernel, padding, source, _pooled(dy))


def _size(y: Array) -> Pair:
    return y.shape[1], y.shape[2]


def _pooled(y: Array) -> Pair:
    """The size of what was pooled to y."""
    return 2 * y.shape[1], 2 * y.shape[2]


def _output_size(x: Images, kernel: Array | Weights, padding: Padding) -> Pair:
    return output_size(x.shape[1:3], (kernel.shape[0], kernel.shape[1]), (1, 1), padding)


def _forward(x: Images, weights: Weights, padding: Padding, y: Any, size: Pair) -> None:
    (tile, (*_, channels, filters), matrices), ((top, _), (left, _)) = weights, padding
    grid, workers, images = _grid(size, tile), get_num_threads(), x.shape[0]
    tiles = images * math.prod(grid)
    # With few tiles, most of the time goes into loading U from memory. Then each worker takes all tiles and a part of
    # the filters, so that no part of U is loaded twice; else each takes a part of the tiles and all filters.
    shares = (workers, 1) if tiles > 2 * ROWS * workers else (1, workers)
    chunk = _chunk(-(-tiles // shares[0]), tile, channels + matrices.shape[4], x.dtype)
    tiling = Tiling(images, channels, filters, top, left, *grid, *shares, chunk)
    to_planes = gather(Transform("B^T", *tile, step=tile.m), x, x.dtype)
    from_planes = scatter(Transform("A^T", *tile, step=tile.m), y, x.dtype)
    forward_pass(*to_planes, *from_planes, matrices, tiling)


def _backward(x: Images, kernel: Array, padding: Padding, dy: Any, size: Pair) -> tuple[Any, Array, Array]:
    tile, (channels, filters), ((top, _), (left, _)) = best_tile(size, kernel.shape), kernel.shape[2:], padding
    weights = _matrices(1, tile.n, _blocks(channels, x.dtype), filters, x.dtype)[0]
    _transform_kernel(kernel.swapaxes(2, 3), tile, weights.transpose(2, 3, 0, 1, 4))
    grid, workers, blocks = _grid(size, tile), get_num_threads(), _blocks(filters, x.dtype)
    sums = _matrices(workers, tile.n, blocks, -(-channels // ROWS) * ROWS, x.dtype)
    dbias = np.zeros((workers, blocks * sums.shape[5]), x.dtype)
    chunk = _chunk(-(-x.shape[0] // workers) * math.prod(grid), tile, channels + filters, x.dtype)
    tiling = Tiling(x.shape[0], channels, filters, top, left, *grid, workers, 1, chunk)
    x = _source(x, channels)
    x_to_planes = gather(Transform("B^T", *tile, step=tile.m), x, x.dtype)
    dy_to_planes = gather(Transform("A", *tile, step=tile.m), dy, x.dtype)
    planes_to_dx = Transform("B", *tile, step=tile.m, accumulate=True)
    dx: Any
    if isinstance(x, FirstConv):
        own, cleared = [FirstConvGradient.of(x) for _ in range(workers)], np.empty((x.shape[0], 0), x.dtype)
        code, descriptor = scatter(planes_to_dx, own[0], x.dtype)
        descriptors = [descriptor, *(describe(each)[1] for each in own[1:])]
    else:
        dx = empty(x.shape, x.dtype)
        cleared = dx.reshape(len(dx), math.prod(dx.shape[1:]))
        code, descriptor = scatter(planes_to_dx, dx, x.dtype)
        descriptors = [descriptor] * workers
    moves = Moves(*x_to_planes, *dy_to_planes, code, np.array(descriptors))
    backward_pass(moves, cleared, weights, sums, dbias, tiling)
    if isinstance(x, FirstConv):
        dx = add_up(own, channels)
    dw = np.zeros(kernel.shape, x.dtype)
    code, descriptor = scatter(Transform("G^T", *tile, step=0, accumulate=True), dw.transpose(2, 0, 1, 3), x.dtype)
    transform_sums(code, sums.transpose(0, 3, 4, 1, 2, 5)[:, :, :channels], descriptor, filters)
    return dx, dw, dbias.sum(axis=0)[:filters]


def _source(x: Images, channels: int) -> Images:
    return x if isinstance(x, FirstConv) else as_contiguous("x", x, (*x.shape[:3], channels), x.dtype)


def _grid(size: Pair, tile: Tile) -> Pair:
    """How many rows and columns of tiles cover the output."""
    return -(-size[0] // tile.m), -(-size[1] // tile.m)


def _chunk(share: int, tile: Tile, depth: int, dtype: DTypeLike) -> int:
    """How many of its share of tiles a worker takes at a time, in whole blocks: as many as fit the cache.

    depth: the numbers that every element of a tile has in all planes together.
    """
    fitting: int = CHUNK_BYTES // (tile.n**2 * depth * np.dtype(dtype).itemsize)
    return max(1, min(fitting // ROWS, -(-share // ROWS))) * ROWS


def _blocks(filters: int, dtype: DTypeLike) -> int:
    """How many blocks of columns the filters take."""
    return -(-filters * np.dtype(dtype).itemsize // BLOCK_WIDTH)


def _matrices(count: int, n: int, blocks: int, rows: int, dtype: DTypeLike) -> Array:
    """An empty array (count, n, n, blocks, rows, columns): `count` times a matrix for each element of a tile.

    A matrix (rows, blocks * columns) lies in blocks of as many columns as `product` takes at a time.
    """
    dtype = np.dtype(dtype)
    columns, gap = BLOCK_WIDTH // dtype.itemsize, STAGGER // dtype.itemsize
    flat: Array = empty((count, n, n, blocks * rows * columns + gap), dtype)
    return flat[..., : blocks * rows * columns].reshape(count, n, n, blocks, rows, columns)


def _transform_kernel(kernel: Array, tile: Tile, weights: Array) -> None:
    """kernel: (r, r, C, F), weights: (blocks, C, n, n, filters of a block)."""
    kernel = as_contiguous("kernel", kernel, (tile.r, tile.r, *kernel.shape[2:]), weights.dtype)
    transform_kernel(*gather(Transform("G", *tile, step=0), kernel.transpose(2, 0, 1, 3), weights.dtype), weights)
