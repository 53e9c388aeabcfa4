"""The ways to compute a convolution, by name: `Conv2D` takes any of them, or "auto".

An algorithm is a pair of functions over the same arrays:

    forward(x, kernel, stride, padding) -> y
    backward(x, kernel, dy, stride, padding) -> (dx, dw)

with x (N, H, W, C), kernel (KH, KW, C, F), y and dy (N, OH, OW, F). What they compute is `reference.conv2d`.
"""

import functools
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nncore import kernels
from nncore.errors import OptionError
from nncore.kernels import reference
from nncore.types import Array, Padding, Pair, Shape

if TYPE_CHECKING:
    ALGORITHMS: "dict[str, Algorithm]"
    SIMD: bool

COLUMN_BYTES = 12 * 2**20
"""How large a buffer of columns may grow. A batch is worked off a few images at a time, so that what im2col writes is
still in the cache when the product reads it; larger products in turn keep BLAS busier. Measured best: 8 to 16 MiB."""


class Algorithm(NamedTuple):
    """A convolution's two passes."""

    forward: Callable[[Array, Array, Pair, Padding], Array]
    backward: Callable[[Array, Array, Array, Pair, Padding], tuple[Array, Array]]


def _chunks(count: int, row_bytes: int) -> list[slice]:
    """Cut a batch into slices whose columns fit the buffer; `row_bytes` is what one image takes."""
    size = max(1, COLUMN_BYTES // max(1, row_bytes))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


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


IM2COL = Algorithm(_im2col_forward, _im2col_backward)


@functools.cache
def available() -> dict[str, Algorithm]:
    """ALGORITHMS: those of NumPy and, where there are Numba and its SIMD vectors, "direct" and "winograd"."""
    algorithms = {"im2col": IM2COL, "reference": Algorithm(reference.conv2d, reference.conv2d_backward)}
    if kernels.NUMBA:
        try:
            from nncore.kernels.conv import direct, winograd
        except (ImportError, AttributeError):  # they build on parts of Numba that may change from version to version
            return algorithms
        algorithms["direct"] = Algorithm(direct.forward, direct.backward)
        algorithms["winograd"] = Algorithm(winograd.forward, winograd.backward)
    return algorithms


def __getattr__(name: str) -> Any:
    """What needs Numba, on first use: ALGORITHMS, by name; SIMD, whether all are there; and their modules."""
    match name:
        case "ALGORITHMS":
            return available()
        case "SIMD":
            return "winograd" in available()
        case "direct" | "first_layer" | "winograd":
            return globals().setdefault(name, import_module(f"nncore.kernels.conv.{name}"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def choose(name: str, x_shape: Shape, kernel_shape: Shape, stride: Pair, padding: Padding) -> Algorithm:
    """The algorithm of that name. "auto" is the one of least arithmetic for these shapes: see `cheapest`."""
    if name != "auto":
        return available()[name]
    if not kernels.waits():
        return IM2COL
    return available()[cheapest(x_shape, kernel_shape, stride, padding)]


@functools.lru_cache
def cheapest(x_shape: Shape, kernel_shape: Shape, stride: Pair, padding: Padding) -> str:
    """The name of the algorithm of least arithmetic for these shapes.

    That is winograd for square kernels from 2x2 to 7x7 and stride 1, unless there are so few channels that its
    transforms of tiles, or so few images that those of the kernel, take more time than it saves; else direct, and
    im2col without SIMD. A transformed kernel was measured to take as long as the products of 55 tiles.
    """
    kh, kw, channels, filters = kernel_shape
    if "winograd" not in available():
        return "im2col"
    from nncore.kernels.conv import direct, winograd

    if not winograd.serves((kh, kw), stride):
        return "direct"
    size = reference.output_size((x_shape[1], x_shape[2]), (kh, kw), stride, padding)
    filters = direct.block_columns(filters, np.float32)
    tile = winograd.best_tile(size, (kh, kw, channels, filters))
    by_winograd = x_shape[0] * winograd.arithmetic(tile, size, channels, filters) + 55 * tile.n**2 * channels * filters
    by_direct = x_shape[0] * size[0] * size[1] * kh * kw * channels * filters
    return "winograd" if by_winograd < by_direct else "direct"


def describe(name: str, x_shape: Shape, kernel_shape: Shape, stride: Pair, padding: Padding) -> str:
    """What `choose` would choose, in words: "direct", "winograd F(6, 3)"."""
    if name == "auto":
        name = cheapest(x_shape, kernel_shape, stride, padding)
    if name != "winograd":
        return name
    from nncore.kernels.conv import winograd

    size = reference.output_size((x_shape[1], x_shape[2]), (kernel_shape[0], kernel_shape[1]), stride, padding)
    return "winograd F({}, {})".format(*winograd.best_tile(size, kernel_shape))


def multiplies_by_blas(name: str) -> bool:
    """Whether the algorithm of that name leaves its products to BLAS."""
    return name == "im2col" or (name == "auto" and "winograd" not in available())


def check_algorithm(name: str, kernel_size: Pair, stride: Pair) -> str:
    """The name, if it is "auto" or one of ALGORITHMS that serves such a kernel."""
    if name != "auto" and name not in available():
        raise OptionError(f"convolution algorithm {name!r} is unknown: choose auto, {', '.join(available())}")
    if name == "winograd":
        from nncore.kernels.conv import winograd

        if not winograd.serves(kernel_size, stride):
            raise OptionError(
                f"convolution algorithm 'winograd' is for kernels from 2x2 to 7x7 and stride 1, not for "
                f"{kernel_size[0]}x{kernel_size[1]} and stride {stride[0]}x{stride[1]}: choose auto, direct or im2col"
            )
    return name
