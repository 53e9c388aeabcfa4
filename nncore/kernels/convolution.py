"""The ways to compute a convolution, by name: `Conv2D` takes any of them, or "auto".

An algorithm is a pair of functions over the same arrays:

    forward(x, kernel, stride, padding) -> y
    backward(x, kernel, dy, stride, padding) -> (dx, dw)

with x (N, H, W, C), kernel (KH, KW, C, F), y and dy (N, OH, OW, F). What they compute is `reference.conv2d`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nncore import kernels
from nncore.errors import OptionError
from nncore.kernels import reference
from nncore.types import Array, Padding, Pair

COLUMN_BYTES = 12 * 2**20
"""How large a buffer of columns may grow. A batch is worked off a few images at a time, so that what im2col writes is
still in the cache when the product reads it; larger products in turn keep BLAS busier. Measured best: 8 to 16 MiB."""


class Algorithm(NamedTuple):
    """A convolution's two passes."""

    forward: Callable[[Array, Array, Pair, Padding], Array]
    backward: Callable[[Array, Array, Array, Pair, Padding], tuple[Array, Array]]


def _chunks(images: int, row_bytes: int) -> list[slice]:
    """Cut a batch into slices whose columns fit the buffer; `row_bytes` is what one image takes."""
    size = max(1, COLUMN_BYTES // max(1, row_bytes))
    return [slice(start, min(start + size, images)) for start in range(0, images, size)]


def _im2col_forward(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """Y = columns(X) W: every output pixel is one row of columns times the kernel seen as a matrix."""
    kh, kw, channels, filters = kernel.shape
    oh, ow = reference.output_size(x.shape[1:3], (kh, kw), stride, padding)
    matrix = kernel.reshape(kh * kw * channels, filters)
    y = np.empty((len(x), oh, ow, filters), x.dtype)
    for chunk in _chunks(len(x), oh * ow * matrix.shape[0] * x.itemsize):
        columns = kernels.im2col(x[chunk], (kh, kw), stride, padding)
        np.matmul(columns, matrix, out=y[chunk].reshape(-1, filters))
    return y


def _im2col_backward(x: Array, kernel: Array, dy: Array, stride: Pair, padding: Padding) -> tuple[Array, Array]:
    """From Y = columns(X) W follow dW = columns(X)^T dY and dcolumns = dY W^T, and dX is col2im of the latter.

    The columns are computed again rather than kept: a batch of them takes KH * KW times the memory of x.
    """
    kh, kw, channels, filters = kernel.shape
    oh, ow = dy.shape[1:3]
    matrix = kernel.reshape(kh * kw * channels, filters)
    dmatrix = np.zeros_like(matrix)
    dx = np.empty_like(x)
    for chunk in _chunks(len(x), oh * ow * matrix.shape[0] * x.itemsize):
        dy_rows = dy[chunk].reshape(-1, filters)
        columns = kernels.im2col(x[chunk], (kh, kw), stride, padding)
        dmatrix += columns.T @ dy_rows
        np.matmul(dy_rows, matrix.T, out=columns)  # dcolumns takes the place of the columns, which are done with
        dx[chunk] = kernels.col2im(columns, x[chunk].shape, (kh, kw), stride, padding)
    return dx, dmatrix.reshape(kernel.shape)


ALGORITHMS: dict[str, Algorithm] = {
    "im2col": Algorithm(_im2col_forward, _im2col_backward),
    "reference": Algorithm(reference.conv2d, reference.conv2d_backward),
}


def choose(name: str) -> Algorithm:
    """The algorithm of that name; "auto" is im2col, the faster of the two for every shape measured."""
    return ALGORITHMS["im2col" if name == "auto" else name]


def check_algorithm(name: str) -> str:
    """The name, if it is "auto" or one of ALGORITHMS."""
    if name != "auto" and name not in ALGORITHMS:
        raise OptionError(f"convolution algorithm {name!r} is unknown: choose auto, {', '.join(ALGORITHMS)}")
    return name
