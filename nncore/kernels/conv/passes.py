"""The two passes of Winograd convolution over a batch, in parallel.

Each worker has a share of the batch's tiles, and goes through it in chunks of tiles whose planes fit its cache:

    forward     gather:  tiles of x -> planes            (transform B^T x B; see `winograd`)
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

from nncore.kernels.conv.first_conv import FirstConvGradient
from nncore.kernels.conv.tiles import transform
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


class ForwardTransforms(NamedTuple):
    """Of a forward pass; each is a `Constant` of a `Transform`."""

    to_planes: Any
    from_planes: Any


class BackwardTransforms(NamedTuple):
    """Of a backward pass."""

    x_to_planes: Any
    dy_to_planes: Any
    planes_to_dx: Any


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
def place(tile: int, grid: Pair, step: int) -> tuple[int, int, int]:
    """The image, top row and left column of a tile, counted over the batch."""
    image, within = divmod(tile, grid[0] * grid[1])
    row, column = divmod(within, grid[1])
    return image, row * step, column * step


@kernel(cached=False)
def gather(to_planes: Any, images: Any, origin: Pair, grid: Pair, tiles: Pair, channels: int, planes: Array) -> None:
    """Transform the tiles of images, from tiles[0] up to tiles[1], into planes; the first tile begins at -origin."""
    for t in range(tiles[0], tiles[1]):
        image, i, j = place(t, grid, to_planes.step)
        for c in range(0, channels, VECTOR_BYTES // planes.itemsize):
            transform(to_planes, images, (image, i - origin[0], j - origin[1], c), planes, (t - tiles[0], 0, 0, c))


@kernel(cached=False)
def scatter(
    from_planes: Any, planes: Array, images: Any, origin: Pair, grid: Pair, tiles: Pair, channels: int, start: int
) -> None:
    """Transform planes into tiles of the images' channels from `start` on, of which there are `channels` in all."""
    for t in range(tiles[0], tiles[1]):
        image, i, j = place(t, grid, from_planes.step)
        for c in range(start, min(channels, start + planes.shape[3]), VECTOR_BYTES // planes.itemsize):
            at = image, i - origin[0], j - origin[1], c
            transform(from_planes, planes, (t - tiles[0], 0, 0, c - start), images, at)


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
def forward_pass(transforms: Any, x: Any, weights: Array, y: Any, tiling: Any) -> None:
    """Convolve x (N, H, W, C), images or a prologue, into y (N, OH, OW, F), images or an epilogue.

    transforms: ForwardTransforms. weights: (blocks of filters, n, n, C, filters of a block), from `transform_kernel`.
    tiling: Tiling.
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
            gather(transforms.to_planes, x, origin, grid, these, depth, planes)
            for block in range(blocks * part // parts, blocks * (part + 1) // parts):
                for a in range(size):
                    for b in range(size):
                        matrix = weights[block : block + 1, a, b]
                        multiply_plane(planes[:, a, b], rows, depth, matrix, products[:, a, b])
                scatter(transforms.from_planes, products, y, (0, 0), grid, these, tiling.filters, block * columns)


@kernel(cached=False)
def backward_share(
    transforms: Any, images: tuple[Any, Any, Any], weights: Array, sums: Array, dbias: Array, tiling: Any, mine: Pair
) -> None:
    """One worker's part of a backward pass: the images mine[0] up to mine[1] of (x, dy, dx)."""
    x, dy, dx = images
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
        gather(transforms.x_to_planes, x, origin, grid, these, depth, x_planes)
        gather(transforms.dy_to_planes, dy, (0, 0), grid, these, dy_width, dy_planes)
        for t in range(count):
            for k in range(dy_width):
                dbias[k] += dy_planes[t, 1, 1, k]  # the sum of the tile: see `winograd`
        rows = rows_of(count, dy_width)
        for a in range(size):
            for b in range(size):
                x_plane, dy_plane = x_planes[:, a, b], dy_planes[:, a, b]
                correlate_plane(x_plane, x_columns, count, dy_plane, sums[a, b])
                multiply_plane(dy_plane, rows, weights.shape[3], weights[a, b], x_plane)  # dx's planes replace x's
        scatter(transforms.planes_to_dx, x_planes, dx, origin, grid, these, depth, 0)


@kernel
def backward_pass(
    transforms: Any, x: Array, dy: Any, weights: Array, dx: Array, sums: Array, dbias: Array, tiling: Any
) -> None:
    """From x and dy, images or a prologue: dx, and for each worker its part of dkernel and of dbias.

    transforms: BackwardTransforms. weights: (n, n, blocks of channels, F, channels of a block), from the kernel with
    channels and filters swapped. sums: (workers, n, n, blocks of filters, C rounded up to ROWS, filters of a block), to
    be filled with V^T dM. dbias: zeros (workers, filters of all blocks). tiling: Tiling.
    """
    for each in prange(len(sums)):
        w: Any = int64(each)
        mine = len(x) * w // len(sums), len(x) * (w + 1) // len(sums)  # whole images, as the tiles of dx overlap
        dx[mine[0] : mine[1]] = 0
        backward_share(transforms, (x, dy, dx), weights, sums[w], dbias[w], tiling, mine)


@kernel
def backward_pass_to_first(
    transforms: Any, first: Any, dy: Any, weights: Array, dfirst: Any, sums: Array, dbias: Array, tiling: Any
) -> None:
    """`backward_pass` for a `FirstConv` in the place of x: no dx, but its gradients, a worker's part each.

    dfirst: (dkernel (workers, taps, F), dbias (workers, F)).
    """
    for each in prange(len(sums)):
        w: Any = int64(each)
        mine = len(first.x) * w // len(sums), len(first.x) * (w + 1) // len(sums)
        # Sums of its own: two workers that add to the same line of the cache would wait for each other all the time.
        own_dkernel, own_dbias = np.zeros_like(dfirst[0][w]), np.zeros_like(dfirst[1][w])
        dx = FirstConvGradient(first, own_dkernel, own_dbias)
        backward_share(transforms, (first, dy, dx), weights, sums[w], dbias[w], tiling, mine)
        dfirst[0][w], dfirst[1][w] = own_dkernel, own_dbias


@kernel
def transform_kernel(to_weights: Any, kernel: Array, weights: Array) -> None:
    """weights[block, c] = G w G^T for w = kernel[c, :, :, block]. kernel: (C, r, r, F), weights: (blocks, C, n, n, B).

    B filters make a block. Callers transpose: compiled code that did so would take seconds more to compile.
    """
    columns = weights.shape[4]
    for each in prange(len(kernel)):
        c = int64(each)
        for f in range(0, len(weights) * columns, VECTOR_BYTES // kernel.itemsize):
            transform(to_weights, kernel, (c, 0, 0, f), weights[f // columns], (c, 0, 0, f % columns))


@kernel
def transform_sums(to_dkernel: Any, sums: Array, dkernel: Array) -> None:
    """dkernel[c, :, :, block] = the sum over workers of G^T sums[worker, block, c] G.

    sums: (workers, blocks, C, n, n, B), dkernel: (C, r, r, F).
    """
    dkernel[:] = 0
    columns = sums.shape[5]
    for each in prange(len(dkernel)):
        c = int64(each)
        for f in range(0, dkernel.shape[3], VECTOR_BYTES // dkernel.itemsize):
            for worker in range(len(sums)):
                source = sums[worker, f // columns]
                transform(to_dkernel, source, (c, 0, 0, f % columns), dkernel, (c, 0, 0, f))
