"""The passes of Winograd convolution over a batch, in parallel.

A worker goes through its tiles in chunks whose planes stay in its cache: planes[t, a, b, c] is element (a, b) of the
transform of tile t, in memory in the order a, b, t, c (`empty_planes`), so that planes[:, a, b] is a matrix ready to be
multiplied. `to_planes`, `planes_to_dx` and the like are Constants, a `Transform` each.
"""

from typing import Any

import numpy as np
from numba import int64, njit, prange

from nncore.kernels.cache import CACHE
from nncore.kernels.conv.convolved import ConvolvedGradient
from nncore.kernels.conv.tiles import transform
from nncore.kernels.simd.product import multiply, multiply_add
from nncore.kernels.simd.vector import ROWS, VECTOR_BYTES
from nncore.types import Array, Integers, Pair

STAGGER = 192
"""Bytes between planes: at distances of a multiple of 4096 bytes, all would compete for the same lines of the cache."""


@njit(nogil=True, error_model="numpy")
def round_up(number: int, multiple: int) -> int:
    """The next multiple."""
    return (number + multiple - 1) // multiple * multiple


@njit(nogil=True, error_model="numpy")
def empty_planes(tiles: int, size: int, channels: int, like: Array) -> Array:
    """Planes (tiles, size, size, channels) of the type of `like`, aligned to the cache's lines."""
    plane = tiles * channels + STAGGER // like.itemsize
    flat = np.empty(size * size * plane + 64, like.dtype)
    flat = flat[(-flat.ctypes.data % 64) // like.itemsize :]
    strides = channels * like.itemsize, size * plane * like.itemsize, plane * like.itemsize, like.itemsize
    return np.lib.stride_tricks.as_strided(flat, (tiles, size, size, channels), strides)


@njit(nogil=True, error_model="numpy")
def rows_of(count: int, step: int) -> Integers:
    """Where the rows of a matrix begin, for `product`; those that fill up the last block repeat the last row."""
    offsets = np.empty(round_up(count, ROWS), np.int64)
    for row in range(len(offsets)):
        offsets[row] = min(row, count - 1) * step
    return offsets


@njit(nogil=True, error_model="numpy")
def place(tile: int, grid: Pair, step: int) -> tuple[int, int, int]:
    """The image, top row and left column of a tile, counted over the batch."""
    image, within = divmod(tile, grid[0] * grid[1])
    row, column = divmod(within, grid[1])
    return image, row * step, column * step


@njit(nogil=True, error_model="numpy")
def gather(to_planes: Any, images: Any, origin: Pair, grid: Pair, tiles: Pair, channels: int, planes: Array) -> None:
    """Transform the tiles of images, from tiles[0] up to tiles[1], into planes; the first tile begins at -origin."""
    for t in range(tiles[0], tiles[1]):
        image, i, j = place(t, grid, to_planes.step)
        for c in range(0, channels, VECTOR_BYTES // planes.itemsize):
            transform(to_planes, images, (image, i - origin[0], j - origin[1], c), planes, (t - tiles[0], 0, 0, c))


@njit(nogil=True, error_model="numpy")
def scatter(
    from_planes: Any, planes: Array, images: Any, origin: Pair, grid: Pair, tiles: Pair, channels: int, start: int
) -> None:
    """Transform planes into tiles of the images' channels from `start` on, of which there are `channels` in all."""
    for t in range(tiles[0], tiles[1]):
        image, i, j = place(t, grid, from_planes.step)
        for c in range(start, min(channels, start + planes.shape[3]), VECTOR_BYTES // planes.itemsize):
            at = image, i - origin[0], j - origin[1], c
            transform(from_planes, planes, (t - tiles[0], 0, 0, c - start), images, at)


@njit(nogil=True, error_model="numpy")
def multiply_plane(left: Array, rows: Integers, depth: int, weights: Array, product: Array) -> None:
    """Product (tiles, columns) = left (tiles, depth) @ weights (blocks, depth, columns of a block)."""
    for block in range(len(weights)):
        for t in range(0, len(rows), ROWS):
            multiply(left, rows, (1, 0, depth, 1), weights[block], (0, 0), product, (t, block * weights.shape[2]))


@njit(nogil=True, error_model="numpy")
def correlate_plane(left: Array, columns: Integers, count: int, right: Array, sums: Array) -> None:
    """Sums (blocks, C, columns of a block) += left[:count]^T @ right[:count]."""
    walk = 1, 0, count, left.strides[0] // left.itemsize
    for block in range(len(sums)):
        for c in range(0, len(columns), ROWS):
            multiply_add(left, columns, walk, right, (0, block * sums.shape[2]), sums[block], (c, 0))


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy")
def forward_pass(
    to_planes: Any,
    from_planes: Any,
    x: Any,
    count: int,
    weights: Array,
    y: Any,
    filters: int,
    origin: Pair,
    grid: Pair,
    shares: Pair,
    chunk: int,
) -> None:
    """Convolve x, which `transform` can read and the first tile overhangs by `origin`, into y, which it can write.

    weights: (blocks, n, n, C, VECTORS * lanes), from `transform_kernel`. grid: the rows and columns of tiles of an
    image. shares: in how many the tiles and in how many the blocks are divided among workers. chunk: how many tiles a
    worker takes at a time.
    """
    blocks, size, _, depth, columns = weights.shape
    padded_depth, tiles = round_up(depth, VECTOR_BYTES // weights.itemsize), count * grid[0] * grid[1]
    for each in prange(shares[0] * shares[1]):
        task: Any = int64(each)  # as it comes, it is unsigned and would make floats of all that follows
        share, part = divmod(task, shares[1])
        planes = empty_planes(chunk, size, padded_depth, weights)
        products = empty_planes(chunk, size, columns, weights)
        stop: int = tiles * (share + 1) // shares[0]
        for first in range(tiles * share // shares[0], stop, chunk):
            these = first, min(first + chunk, stop)
            rows = rows_of(these[1] - first, padded_depth)
            gather(to_planes, x, origin, grid, these, depth, planes)
            for block in range(blocks * part // shares[1], blocks * (part + 1) // shares[1]):
                for a in range(size):
                    for b in range(size):
                        matrix = weights[block : block + 1, a, b]
                        multiply_plane(planes[:, a, b], rows, depth, matrix, products[:, a, b])
                scatter(from_planes, products, y, (0, 0), grid, these, filters, block * columns)


@njit(nogil=True, error_model="numpy")
def backward_share(
    x_to_planes: Any,
    dy_to_planes: Any,
    planes_to_dx: Any,
    x: Any,
    dy: Any,
    weights: Array,
    dx: Any,
    sums: Array,
    dbias: Array,
    origin: Pair,
    grid: Pair,
    image_range: Pair,
    depth: int,
    chunk: int,
) -> None:
    """One worker's part of a backward pass: the images image_range[0] up to image_range[1]."""
    size, _, blocks, _, columns = sums.shape
    left, right = round_up(depth, VECTOR_BYTES // sums.itemsize), blocks * columns
    x_planes, dy_planes = empty_planes(chunk, size, left, sums), empty_planes(chunk, size, right, sums)
    x_columns, stop = rows_of(depth, 1), image_range[1] * grid[0] * grid[1]
    for a in range(size):
        for b in range(size):
            sums[a, b] = 0
    for first in range(image_range[0] * grid[0] * grid[1], stop, chunk):
        these = first, min(first + chunk, stop)
        count = these[1] - first
        gather(x_to_planes, x, origin, grid, these, depth, x_planes)
        gather(dy_to_planes, dy, (0, 0), grid, these, right, dy_planes)
        for t in range(count):
            for k in range(right):
                dbias[k] += dy_planes[t, 1, 1, k]
        rows = rows_of(count, right)
        for a in range(size):
            for b in range(size):
                x_plane, dy_plane = x_planes[:, a, b], dy_planes[:, a, b]
                correlate_plane(x_plane, x_columns, count, dy_plane, sums[a, b])
                multiply_plane(dy_plane, rows, weights.shape[3], weights[a, b], x_plane)  # dV takes the place of V
        scatter(planes_to_dx, x_planes, dx, origin, grid, these, depth, 0)


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy")
def backward_pass(
    x_to_planes: Any,
    dy_to_planes: Any,
    planes_to_dx: Any,
    x: Array,
    dy: Any,
    weights: Array,
    dx: Array,
    sums: Array,
    dbias: Array,
    origin: Pair,
    grid: Pair,
    chunk: int,
) -> None:
    """From x and dy, which `transform` can read: dx, and for each worker the parts of dw and of the bias's gradient.

    weights: (n, n, blocks, F, VECTORS * lanes), from the kernel with channels and filters swapped.
    sums: (workers, n, n, blocks, C rounded up to ROWS, VECTORS * lanes), to be filled with dU.
    dbias: zeros (workers, blocks * VECTORS * lanes).
    """
    for each in prange(len(sums)):
        w: Any = int64(each)
        image_range = len(x) * w // len(sums), len(x) * (w + 1) // len(sums)  # whole ones, as the tiles of dx overlap
        dx[image_range[0] : image_range[1]] = 0
        kinds = x_to_planes, dy_to_planes, planes_to_dx
        backward_share(*kinds, x, dy, weights, dx, sums[w], dbias[w], origin, grid, image_range, x.shape[3], chunk)


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy")
def backward_pass_to_first(
    x_to_planes: Any,
    dy_to_planes: Any,
    planes_to_dx: Any,
    x: Any,
    dy: Any,
    weights: Array,
    channels: int,
    dfirst_kernel: Array,
    dfirst_bias: Array,
    sums: Array,
    dbias: Array,
    origin: Pair,
    grid: Pair,
    chunk: int,
) -> None:
    """`backward_pass` for a `Convolved` x: in the place of dx, for each worker the gradients of its kernel and bias.

    dfirst_kernel: (workers, taps, F), dfirst_bias: (workers, F).
    """
    for each in prange(len(sums)):
        w: Any = int64(each)
        image_range = len(x.x) * w // len(sums), len(x.x) * (w + 1) // len(sums)
        # Sums of its own: two workers that add to the same line of the cache would wait for each other all the time.
        own_dkernel, own_dbias = np.zeros_like(dfirst_kernel[w]), np.zeros_like(dfirst_bias[w])
        dx, kinds = ConvolvedGradient(x, own_dkernel, own_dbias), (x_to_planes, dy_to_planes, planes_to_dx)
        backward_share(*kinds, x, dy, weights, dx, sums[w], dbias[w], origin, grid, image_range, channels, chunk)
        dfirst_kernel[w], dfirst_bias[w] = own_dkernel, own_dbias


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy")
def transform_kernel(to_weights: Any, kernel: Array, weights: Array) -> None:
    """weights[:, :, block, c] = G w G^T for w = kernel[:, :, c, block], kernel (r, r, C, F)."""
    by_channel, columns = kernel.transpose(2, 0, 1, 3), weights.shape[4]
    for each in prange(kernel.shape[2]):
        c = int64(each)
        for f in range(0, weights.shape[2] * columns, VECTOR_BYTES // kernel.itemsize):
            target = weights[:, :, f // columns].transpose(2, 0, 1, 3)
            transform(to_weights, by_channel, (c, 0, 0, f), target, (c, 0, 0, f % columns))


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy")
def transform_sums(to_dkernel: Any, sums: Array, dkernel: Array) -> None:
    """dkernel[:, :, c, f] = the sum over workers of G^T sums[worker, :, :, block of f, c] G."""
    dkernel[:] = 0
    by_channel, columns = dkernel.transpose(2, 0, 1, 3), sums.shape[5]
    for each in prange(dkernel.shape[2]):
        c = int64(each)
        for f in range(0, dkernel.shape[3], VECTOR_BYTES // dkernel.itemsize):
            for worker in range(len(sums)):
                source = sums[worker, :, :, f // columns].transpose(2, 0, 1, 3)
                transform(to_dkernel, source, (c, 0, 0, f % columns), by_channel, (c, 0, 0, f))
