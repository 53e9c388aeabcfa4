"""The convolution that a network begins with, and its ReLU and max-pooling, in one pass over tiles.

A tile of the layer is "transformed" by a matrix that changes nothing on its way to where it is written: see `tiles`. Of
the backward pass, only the gradients of kernel and bias are computed: nobody asks for that of the pictures.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numba import get_num_threads, int64, njit, prange
from numpy.typing import DTypeLike

from nncore.kernels.cache import CACHE
from nncore.kernels.conv.convolved import Convolved, ConvolvedGradient
from nncore.kernels.conv.convolved import convolved as convolved
from nncore.kernels.conv.tiles import Pooled, Transform, Unpooled, transform
from nncore.kernels.simd.vector import VECTOR_BYTES, Constant, conform, empty
from nncore.types import Array, Integers, Mask, Pair, Shape

TILE_SIZE = 4
_UNCHANGED = tuple(tuple(Fraction(int(i == j)) for j in range(TILE_SIZE)) for i in range(TILE_SIZE))
TILE = Constant(Transform(_UNCHANGED, TILE_SIZE))


def forward(layer: Convolved, filters: int) -> Array:
    """The layer written down after all: y (N, OH, OW, F)."""
    y: Array = empty((*layer.shape[:3], filters), layer.dtype)
    copy_tiles(layer, y, y.shape, y.dtype)
    return y


def backward(layer: Convolved, dy: Array) -> tuple[Array, Array]:
    """The gradients of kernel and bias, for dy (N, OH, OW, F)."""
    dy = conform("dy", dy, (*layer.shape[:3], dy.shape[3]), layer.dtype)
    return _gradients(layer, dy, dy.shape[3])


def forward_pool(
    layer: Convolved, filters: int, kept: Mask | None = None, scale: float = 1.0
) -> tuple[Array, Integers]:
    """As `winograd.forward_pool`, for this layer alone."""
    shape = (len(layer.x), layer.height // 2, layer.width // 2, filters)
    y: Array = empty(shape, layer.dtype)
    winners: Integers = empty(shape, np.int8)
    kept = conform("kept", kept, shape, np.bool_) if kept is not None else None
    target = Pooled(y, winners, np.zeros(filters, layer.dtype), kept, layer.dtype.type(scale))
    copy_tiles(layer, target, (len(y), 2 * shape[1], 2 * shape[2], filters), y.dtype)
    return y, winners


def backward_pool(layer: Convolved, winners: Integers, dy: Array, scale: float = 1.0) -> tuple[Array, Array]:
    """The gradients of kernel and bias, for dy (N, OH // 2, OW // 2, F) and the winners that `forward_pool` gave."""
    shape = (len(layer.x), layer.height // 2, layer.width // 2, dy.shape[3])
    dy, winners = conform("dy", dy, shape, layer.dtype), conform("winners", winners, shape, np.int8)
    return _gradients(layer, Unpooled(dy, winners, layer.dtype.type(scale)), dy.shape[3])


def _gradients(layer: Convolved, dy: Any, filters: int) -> tuple[Array, Array]:
    workers = get_num_threads()
    dkernel = np.empty((workers, *layer.kernel.shape), layer.dtype)
    dbias = np.empty((workers, *layer.bias.shape), layer.dtype)
    add_gradients(TILE, dy, layer, dkernel, dbias, filters, _grid(layer.height, layer.width))
    return dkernel.sum(axis=0)[:, :filters], dbias.sum(axis=0)[:filters]


def copy_tiles(source: Any, target: Any, shape: Shape, dtype: DTypeLike) -> None:
    """Write source, images (N, H, W, C) of this shape that `transform` can read, into what it can write."""
    count, height, width, channels = shape
    vector = VECTOR_BYTES // np.dtype(dtype).itemsize
    write_tiles(TILE, source, target, count, channels, _grid(height, width), vector)


def _grid(height: int, width: int) -> Pair:
    return -(-height // TILE_SIZE), -(-width // TILE_SIZE)


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy")
def write_tiles(tile: Any, source: Any, target: Any, count: int, channels: int, grid: Pair, vector: int) -> None:
    """`copy_tiles`, with vectors of so many channels."""
    for each in prange(count):
        image: Any = int64(each)
        for i in range(grid[0]):
            for j in range(grid[1]):
                for c in range(0, channels, vector):
                    at = image, i * tile.step, j * tile.step, c
                    transform(tile, source, at, target, at)


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy")
def add_gradients(tile: Any, dy: Any, layer: Any, dkernel: Array, dbias: Array, filters: int, grid: Pair) -> None:
    """Add up each worker's gradients, dkernel (workers, taps, F) and dbias (workers, F), from dy."""
    for each in prange(len(dkernel)):
        w: Any = int64(each)
        # Sums of its own: two workers that add to the same line of the cache would wait for each other all the time.
        own_dkernel, own_dbias = np.zeros_like(dkernel[w]), np.zeros_like(dbias[w])
        sums = ConvolvedGradient(layer, own_dkernel, own_dbias)
        for image in range(len(layer.x) * w // len(dkernel), len(layer.x) * (w + 1) // len(dkernel)):
            for i in range(grid[0]):
                for j in range(grid[1]):
                    for c in range(0, filters, VECTOR_BYTES // dbias.itemsize):
                        at = image, i * tile.step, j * tile.step, c
                        transform(tile, dy, at, sums, at)
        dkernel[w], dbias[w] = own_dkernel, own_dbias
