"""Convolution by im2col: the windows of the image written down as the rows of a matrix, multiplied by BLAS.

This is the layer's own definition (`nncore/layers/conv.py`) with compiled loops for im2col and col2im, worked off a few
images at a time.
"""

import numpy as np

from nncore.kernels.conv.columns import col2im, im2col
from nncore.layers.windows import output_size
from nncore.types import Array, Padding, Pair

COLUMN_BYTES = 12 * 2**20
"""How large a matrix of columns may grow, so that what im2col writes is still in the cache when the product reads it.
Larger products in turn keep BLAS busier. Measured best: 8 to 16 MiB."""


def forward(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """The convolution of x (N, H, W, C) with a kernel (KH, KW, C, F): (N, OH, OW, F)."""
    kh, kw, channels, filters = kernel.shape
    oh, ow = output_size(x.shape[1:3], (kh, kw), stride, padding)
    matrix = kernel.reshape(kh * kw * channels, filters)
    y = np.empty((len(x), oh, ow, filters), x.dtype)
    for chunk in _chunks(len(x), oh * ow * matrix.shape[0] * x.itemsize):
        columns = im2col(x[chunk], (kh, kw), stride, padding)
        np.matmul(columns, matrix, out=y[chunk].reshape(-1, filters))
    return y


def backward(x: Array, kernel: Array, dy: Array, stride: Pair, padding: Padding) -> tuple[Array, Array]:
    """The gradients (dx, dkernel) from dy (N, OH, OW, F)."""
    kh, kw, channels, filters = kernel.shape
    oh, ow = dy.shape[1:3]
    matrix = kernel.reshape(kh * kw * channels, filters)
    dmatrix = np.zeros_like(matrix)
    dx = np.empty_like(x)
    for chunk in _chunks(len(x), oh * ow * matrix.shape[0] * x.itemsize):
        dy_rows = dy[chunk].reshape(-1, filters)
        columns = im2col(x[chunk], (kh, kw), stride, padding)
        dmatrix += columns.T @ dy_rows
        np.matmul(dy_rows, matrix.T, out=columns)  # dcolumns takes the place of the columns, which are done with
        dx[chunk] = col2im(columns, x[chunk].shape, (kh, kw), stride, padding)
    return dx, dmatrix.reshape(kernel.shape)


def _chunks(count: int, image_bytes: int) -> list[slice]:
    """Cut a batch into slices whose columns fit into COLUMN_BYTES; one image's columns take `image_bytes`."""
    size = max(1, COLUMN_BYTES // max(1, image_bytes))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
