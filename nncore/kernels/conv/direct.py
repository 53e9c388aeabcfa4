"""Convolution of any kernel size, stride and padding as a product of matrices that are never written down.

In the columns of im2col, the entry for an output pixel p and a tap d of the kernel is one number of the padded image:

    columns[p, d] = image[pixels[p] + taps[d]]        y = columns @ w        dw = columns^T @ dy

with `pixels` and `taps` two short tables of offsets. `product` takes one of them as a table. The other it walks in two
nested loops: the walk (kh, row, kw * channels, 1) goes over kh rows of the image, which lie `row` numbers apart, and in
each over kw * channels neighbours. So nothing is copied but the image, and that only where there is padding.

The gradient dx is a convolution, too: of dy with the kernel rotated by 180 degrees, its channels and filters swapped.
With a stride of s, a pixel meets only every s-th tap of the kernel. Which taps these are depends on the remainders of
its row and column when divided by s; the pixels of equal remainders form a class, and each class is a convolution of
stride 1. Where the channels of x are too few to fill a vector, dx is made from columns after all.
"""

import itertools
from typing import Any

import numpy as np
from numba import get_num_threads, int64, prange
from numpy.typing import DTypeLike

from nncore.kernels.conv.columns import col2im
from nncore.kernels.runtime import kernel
from nncore.kernels.simd.product import multiply, multiply_add
from nncore.kernels.simd.vector import ROWS, VECTOR_BYTES, VECTORS, as_contiguous
from nncore.layers.windows import output_size
from nncore.types import Array, Integers, Padding, Pair, Shape

Walk = tuple[int, int, int, int]  # outer count, outer step, inner count, inner step: see `product`


def forward(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """The convolution of x (N, H, W, C) with a kernel (KH, KW, C, F): y (N, OH, OW, F)."""
    kh, kw, channels, filters = kernel.shape
    x = as_contiguous("x", x, (*x.shape[:3], channels), x.dtype)
    oh, ow = output_size(x.shape[1:3], (kh, kw), stride, padding)
    padded, columns = pad(x, padding), block_columns(filters, x.dtype)
    row = padded.shape[2] * channels
    pixels = _whole_blocks(np.add.outer(np.arange(oh) * stride[0] * row, np.arange(ow) * stride[1] * channels))
    walk = kh, row, kw * channels, 1
    weights = np.zeros((columns // block_columns(1, x.dtype), kh * kw * channels, block_columns(1, x.dtype)), x.dtype)
    weights[...] = (
        pad(kernel.astype(x.dtype, copy=False), ((0, 0), (0, 0)), columns)
        .reshape(weights.shape[1], len(weights), -1)
        .swapaxes(0, 1)
    )
    y = np.empty((len(x), oh, ow, filters), x.dtype)
    images, results = padded.reshape(len(x), padded.shape[1] * row), y.reshape(len(x), oh * ow, filters)
    _convolve(images, pixels, walk, weights, results, get_num_threads())
    return y


def backward(x: Array, kernel: Array, dy: Array, stride: Pair, padding: Padding) -> tuple[Array, Array]:
    """The gradients (dx, dkernel) of `forward`, from dy (N, OH, OW, F)."""
    size = output_size(x.shape[1:3], kernel.shape[:2], stride, padding)
    x = as_contiguous("x", x, (*x.shape[:3], kernel.shape[2]), x.dtype)
    dy = as_contiguous("dy", dy, (len(x), *size, kernel.shape[3]), x.dtype)
    gradient = _gradient_of_few_channels if x.shape[3] < block_columns(1, x.dtype) // 2 else _gradient_of_channels
    return gradient(kernel, dy, x.shape, stride, padding), kernel_gradient(x, kernel, dy, stride, padding)


def kernel_gradient(x: Array, kernel: Array, dy: Array, stride: Pair, padding: Padding) -> Array:
    """The gradient of the kernel alone: a network's first layer needs no dx."""
    kh, kw, channels, filters = kernel.shape
    x = as_contiguous("x", x, (*x.shape[:3], channels), x.dtype)
    padded, (oh, ow), columns = pad(x, padding), dy.shape[1:3], block_columns(filters, x.dtype)
    row = padded.shape[2] * channels
    taps = _whole_blocks(np.add.outer(np.arange(kh) * row, np.arange(kw * channels)))
    walk = oh, stride[0] * row, ow, stride[1] * channels
    sums = np.zeros((get_num_threads(), len(taps), columns), x.dtype)
    gradients = pad(dy, ((0, 0), (0, 0)), columns).reshape(len(dy), oh * ow, columns)
    _correlate(padded.reshape(len(x), padded.shape[1] * row), taps, walk, gradients, sums)
    dw: Array = sums.sum(axis=0)[: kh * kw * channels, :filters].reshape(kernel.shape)
    return dw


def _gradient_of_few_channels(kernel: Array, dy: Array, x_shape: Shape, stride: Pair, padding: Padding) -> Array:
    """Dx by the columns after all: where the channels of x would not fill a vector, those of the columns do."""
    kh, kw, channels, filters = kernel.shape
    matrix = kernel.reshape(-1, filters).T.reshape(1, 1, filters, -1)
    columns = forward(dy, matrix, (1, 1), ((0, 0), (0, 0)))
    columns = columns.reshape(dy[..., 0].size, kh * kw * channels)
    return col2im(columns, x_shape, (kh, kw), stride, padding)


def _gradient_of_channels(kernel: Array, dy: Array, x_shape: Shape, stride: Pair, padding: Padding) -> Array:
    rows, columns = (
        _classes(x_shape[1 + axis], dy.shape[1 + axis], kernel.shape[axis], stride[axis], padding[axis][0])
        for axis in (0, 1)
    )
    dx = np.zeros(x_shape, dy.dtype)
    for (i, down, vertical), (j, across, horizontal) in itertools.product(rows, columns):
        part = kernel[down, across].swapaxes(2, 3)
        if part.size:  # there may be no tap that meets these pixels
            dx[:, i, j] = forward(dy, part, (1, 1), (vertical, horizontal))
    return dx


def _classes(size: int, steps: int, window: int, stride: int, before: int) -> list[tuple[slice, slice, Pair]]:
    """Along one axis: the pixels of each class, the taps that meet them, last first, and the padding of dy."""
    classes = []
    for first in range(min(stride, size)):
        skipped, tap = divmod(first + before, stride)
        taps, pixels = len(range(tap, window, stride)), len(range(first, size, stride))
        last_first = slice(tap + (taps - 1) * stride, tap - 1 if tap else None, -stride) if taps else slice(0, 0)
        classes.append((slice(first, None, stride), last_first, (taps - 1 - skipped, pixels - steps + skipped)))
    return classes


def pad(x: Array, padding: Padding, channels: int | None = None) -> Array:
    """Zeros around images and channels; a negative padding takes rows or columns away. Copied only if it must be."""
    n, height, width, depth = x.shape
    (top, bottom), (left, right) = padding
    shape = n, height + top + bottom, width + left + right, channels or depth
    x = np.ascontiguousarray(x)
    if shape == x.shape and top == left == 0:
        return x
    padded = np.empty(shape, x.dtype)
    _copy(x, top, left, padded)
    return padded


def _whole_blocks(offsets: Integers) -> Integers:
    """A table of offsets, flat; the last is repeated to fill up the last block."""
    flat = offsets.ravel()
    return np.pad(flat, (0, -len(flat) % ROWS), mode="edge")


def block_columns(filters: int, dtype: DTypeLike) -> int:
    """The columns that are computed for so many filters: `product` works off whole blocks."""
    width = VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize
    return -(-filters // width) * width


@kernel
def _copy(x: Array, top: int, left: int, padded: Array) -> None:
    """padded[n, i + top, j + left, c] = x[n, i, j, c], and zeros elsewhere."""
    _, height, width, channels = x.shape
    for n in prange(len(x)):
        for i in range(padded.shape[1]):
            for j in range(padded.shape[2]):
                pixel, row, column = padded[n, i, j], i - top, j - left
                inside = 0 <= row < height and 0 <= column < width
                for c in range(channels if inside else 0):
                    pixel[c] = x[n, row, column, c]
                for c in range(channels if inside else 0, len(pixel)):
                    pixel[c] = 0


@kernel
def _convolve(x: Array, pixels: Integers, walk: Walk, weights: Array, y: Array, workers: int) -> None:
    """y[n, p, f] = the sum over taps d of x[n, pixels[p] + walk(d)] * weights[block of f, d, f].

    x: (N, size of an image), weights: (blocks, taps, VECTORS * lanes), y: (N, pixels, F). Workers share the batch by
    blocks of pixels, so that a single image keeps all of them busy.
    """
    columns, share = weights.shape[2], len(pixels) // ROWS
    for each in prange(workers):
        worker: Any = int64(each)
        first: int = len(x) * share * worker // workers
        stop: int = len(x) * share * (worker + 1) // workers
        for n in range(first // share, (stop + share - 1) // share):
            start, end = max(first - n * share, 0) * ROWS, min(stop - n * share, share) * ROWS
            for f in range(len(weights)):
                for p in range(start, end, ROWS):
                    multiply(x[n], pixels, walk, weights[f], (0, 0), y[n], (p, f * columns))


@kernel
def _correlate(x: Array, taps: Integers, walk: Walk, dy: Array, sums: Array) -> None:
    """sums[worker, d, f] += the sum over its images n and over pixels p of x[n, taps[d] + walk(p)] * dy[n, p, f]."""
    workers = len(sums)
    for each in prange(workers):
        worker: Any = int64(each)
        for n in range(len(x) * worker // workers, len(x) * (worker + 1) // workers):
            for f in range(0, dy.shape[2], VECTORS * VECTOR_BYTES // x.itemsize):
                for d in range(0, len(taps), ROWS):
                    multiply_add(x[n], taps, walk, dy[n], (0, f), sums[worker], (d, f))
