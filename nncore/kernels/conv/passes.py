"""The two passes of Winograd convolution over a batch, in parallel.

Each worker has a share of the batch's tiles, and goes through it in chunks of tiles whose planes fit its cache:

    forward     gather:  tiles of x -> planes            (transform B^T x B: see `winograd`, and `tiles` for moves)
                         planes @ weights -> products    (one product of matrices for each element of a tile)
                scatter: products -> tiles of y          (transform A^T M A)

    backward    gather tiles of x and of dy into planes; from these two,
                         sums += planes of x ^T @ planes of dy      (of which dkernel is made)
                         planes of dy @ weights -> planes of dx
                scatter: planes of dx -> tiles of dx, which overlap and are added up

planes[t, a, b, c] is element (a, b) of the transform of tile t. It lies in memory in the order a, b, t, c, so that
planes[:, a, b] is a matrix of tiles by channels, ready to be multiplied. In the letters of `winograd`, V is the planes
of x, U the weights, M the products; dM is the planes of dy, dV the planes of dx, dU the sums.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import int64, prange

from nncore.kernels.conv.tiles import move
from nncore.kernels.runtime import kernel
from nncore.kernels.simd.product import multiply, multiply_add
from nncore.kernels.simd.vector import ROWS, VECTOR_BYTES
from nncore.types import Array, Integers, Pair

STAGGER = 192
"""Bytes of gap after each plane. Planes at a distance of a multiple of 4096 bytes would compete for the same lines of
the cache."""


class Tiling(NamedTuple):
    """How a batch is cut into tiles, and the tiles into work: flat, as Numba hands its workers no tuples of tuples."""

    images: int
    depth: int  # channels of x
    filters: int  # channels of y
    top: int  # by how many pixels the first tile of x overhangs the image: the padding
    left: int
    rows: int  # of tiles, in an image
    columns: int
    shares: int  # in how many shares the tiles are divided among workers
    parts: int  # in how many parts the filters are
    chunk: int  # how many tiles a worker takes at a time


class Moves(NamedTuple):
    """Of a backward pass: the code of the moves (`tiles`), and the descriptors of what they read and write."""

    gather_x: int
    x: Integers
    gather_dy: int
    dy: Integers
    scatter_dx: int
    dx: Integers  # (workers, numbers): of each worker its own


@kernel(cached=False)
def round_up(number: int, multiple: int) -> int:
    """The next multiple."""
    return (number + multiple - 1) // multiple * multiple


@kernel(cached=False)
def empty_planes(tiles: int, size: int, channels: int, like: Array) -> Array:
    """Planes (tiles, size, size, channels) of the type of `like`, aligned to the cache's lines."""
    plane = tiles * channels + STAGGER // like.itemsize
    flat = np.empty(size * size * plane + 64, like.dtype)
    flat = flat[(-flat.ctypes.data % 64) // like.itemsize :]
    strides = channels * like.itemsize, size * plane * like.itemsize, plane * like.itemsize, like.itemsize
    return np.lib.stride_tricks.as_strided(flat, (tiles, size, size, channels), strides)


@kernel(cached=False)
def rows_of(count: int, step: int) -> Integers:
    """Where the rows of a matrix begin, for `product`; those that fill up the last block repeat the last row."""
    offsets = np.empty(round_up(count, ROWS), np.int64)
    for row in range(len(offsets)):
        offsets[row] = min(row, count - 1) * step
    return offsets


@kernel(cached=False)
def multiply_plane(left: Array, rows: Integers, depth: int, weights: Array, product: Array) -> None:
    """Product (tiles, columns) = left (tiles, depth) @ weights (blocks, depth, columns of a block)."""
    for block in range(len(weights)):
        for t in range(0, len(rows), ROWS):
            multiply(left, rows, (1, 0, depth, 1), weights[block], (0, 0), product, (t, block * weights.shape[2]))


@kernel(cached=False)
def correlate_plane(left: Array, columns: Integers, count: int, right: Array, sums: Array) -> None:
    """Sums (blocks, C, columns of a block) += left[:count]^T @ right[:count]."""
    walk = 1, 0, count, left.strides[0] // left.itemsize
    for block in range(len(sums)):
        for c in range(0, len(columns), ROWS):
            multiply_add(left, columns, walk, right, (0, block * sums.shape[2]), sums[block], (c, 0))


@kernel
def forward_pass(gather: int, x: Integers, scatter: int, y: Integers, weights: Array, tiling: Any) -> None:
    """Convolve x (N, H, W, C) into y (N, OH, OW, F).

    gather, x, scatter, y: the code of two moves and the images' descriptors, from `tiles`. weights: (blocks of filters,
    n, n, C, filters of a block), from `transform_kernel`. tiling: Tiling.
    """
    blocks, size, _, depth, columns = weights.shape
    shares, parts, chunk = tiling.shares, tiling.parts, tiling.chunk
    padded_depth = round_up(depth, VECTOR_BYTES // weights.itemsize)
    tiles = tiling.images * tiling.rows * tiling.columns
    for each in prange(shares * parts):
        task: Any = int64(each)  # as it comes, it is unsigned and would make floats of all that follows
        share, part = divmod(task, parts)
        grid, origin = (tiling.rows, tiling.columns), (tiling.top, tiling.left)
        planes = empty_planes(chunk, size, padded_depth, weights)
        products = empty_planes(chunk, size, columns, weights)
        stop: int = tiles * (share + 1) // shares
        for first in range(tiles * share // shares, stop, chunk):
            these = first, min(first + chunk, stop)
            rows = rows_of(these[1] - first, padded_depth)
            move(gather, x, planes, these, grid, origin, (0, depth))
            for block in range(blocks * part // parts, blocks * (part + 1) // parts):
                for a in range(size):
                    for b in range(size):
                        matrix = weights[block : block + 1, a, b]
                        multiply_plane(planes[:, a, b], rows, depth, matrix, products[:, a, b])
                channels = block * columns, min(tiling.filters, (block + 1) * columns)
                move(scatter, products, y, these, grid, (0, 0), channels)


@kernel
def backward_pass(moves: Any, cleared: Array, weights: Array, sums: Array, dbias: Array, tiling: Any) -> None:
    """From x and dy: dx, and for each worker its part of dkernel and of dbias.

    moves: Moves. cleared: (N, numbers of an image), dx itself, to be filled with zeros before it is added to; no
    numbers where something else is. weights: (n, n, blocks of channels, F, channels of a block), from the kernel with
    channels and filters swapped. sums: (workers, n, n, blocks of filters, C rounded up to ROWS, filters of a block),
    to be filled with V^T dM. dbias: zeros (workers, filters of all blocks). tiling: Tiling.
    """
    for each in prange(len(sums)):
        w: Any = int64(each)
        mine = tiling.images * w // len(sums), tiling.images * (w + 1) // len(sums)  # whole images: tiles of dx overlap
        cleared[mine[0] : mine[1]] = 0
        backward_share(moves, moves.dx[w], weights, sums[w], dbias[w], tiling, mine)


@kernel(cached=False)
def backward_share(
    moves: Any, dx: Integers, weights: Array, sums: Array, dbias: Array, tiling: Any, mine: Pair
) -> None:
    """One worker's part of a backward pass: the images from mine[0] up to mine[1]."""
    size, _, blocks, _, columns = sums.shape
    grid, origin = (tiling.rows, tiling.columns), (tiling.top, tiling.left)
    depth, chunk = tiling.depth, tiling.chunk
    x_width, dy_width = round_up(depth, VECTOR_BYTES // sums.itemsize), blocks * columns
    x_planes, dy_planes = empty_planes(chunk, size, x_width, sums), empty_planes(chunk, size, dy_width, sums)
    x_columns, stop = rows_of(depth, 1), mine[1] * grid[0] * grid[1]
    for a in range(size):
        for b in range(size):
            sums[a, b] = 0
    for first in range(mine[0] * grid[0] * grid[1], stop, chunk):
        these = first, min(first + chunk, stop)
        count = these[1] - first
        move(moves.gather_x, moves.x, x_planes, these, grid, origin, (0, depth))
        move(moves.gather_dy, moves.dy, dy_planes, these, grid, (0, 0), (0, dy_width))
        for t in range(count):
            for k in range(dy_width):
                dbias[k] += dy_planes[t, 1, 1, k]  # the sum of the tile: see `winograd`
        rows = rows_of(count, dy_width)
        for a in range(size):
            for b in range(size):
                x_plane, dy_plane = x_planes[:, a, b], dy_planes[:, a, b]
                correlate_plane(x_plane, x_columns, count, dy_plane, sums[a, b])
                multiply_plane(dy_plane, rows, weights.shape[3], weights[a, b], x_plane)  # dx's planes replace x's
        move(moves.scatter_dx, x_planes, dx, these, grid, origin, (0, depth))


@kernel
def transform_kernel(gather: int, kernel: Integers, weights: Array) -> None:
    """weights[block, c] = G w G^T for w = kernel[c, :, :, block]. kernel: the descriptor of (C, r, r, F).

    weights: (blocks, C, n, n, filters of a block), zeros where there is no filter any more.
    """
    columns = weights.shape[4]
    for each in prange(weights.shape[1]):
        c = int64(each)
        for block in range(len(weights)):
            channels = block * columns, (block + 1) * columns
            move(gather, kernel, weights[block, c : c + 1], (c, c + 1), (1, 1), (0, 0), channels)


@kernel
def transform_sums(scatter: int, sums: Array, dkernel: Integers, filters: int) -> None:
    """dkernel[c, :, :, block] += the sum over workers of G^T sums[worker, block, c] G.

    sums: (workers, blocks, C, n, n, filters of a block), dkernel: the descriptor of (C, r, r, F).
    """
    columns = sums.shape[5]
    for each in prange(sums.shape[2]):
        c = int64(each)
        for block in range(sums.shape[1]):
            channels = block * columns, min(filters, (block + 1) * columns)
            for worker in range(len(sums)):
                move(scatter, sums[worker, block, c : c + 1], dkernel, (c, c + 1), (1, 1), (0, 0), channels)
