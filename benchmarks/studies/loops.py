"""What `studies/steps.py` compares with: a convolution by plain loops, tap by tap, and kernels that lack something."""

from types import FunctionType
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads
from numba.core.dispatcher import Dispatcher

from nncore.layers.windows import output_size, window_slices
from nncore.types import Array, Padding, Pair


def loops(x: Array, kernel: Array, y: Array) -> None:
    """Fill y (N, OH, OW, F) with the convolution of x (N, H, W, C) and kernel (KH, KW, C, F), number by number."""
    for n in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                for f in range(y.shape[3]):
                    total = x.dtype.type(0)
                    for ky in range(kernel.shape[0]):
                        for kx in range(kernel.shape[1]):
                            for c in range(kernel.shape[2]):
                                total += x[n, i + ky, j + kx, c] * kernel[ky, kx, c, f]
                    y[n, i, j, f] = total


def loops_along_memory(x: Array, kernel: Array, y: Array) -> None:
    """The same, pixel by pixel: the innermost loop goes through neighbours in memory, which SIMD can take together."""
    for n in prange(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                pixel = y[n, i, j]
                for f in range(y.shape[3]):
                    pixel[f] = 0
                for ky in range(kernel.shape[0]):
                    for kx in range(kernel.shape[1]):
                        for c in range(kernel.shape[2]):
                            for f in range(y.shape[3]):
                                pixel[f] += x[n, i + ky, j + kx, c] * kernel[ky, kx, c, f]


compiled: Any = njit(loops)
in_parallel: Any = njit(parallel=True)(loops_along_memory)


def along_memory(x: Array, kernel: Array, y: Array) -> None:
    """`in_parallel` by one thread: what is compiled for one thread from the start is slower than half of two."""
    threads = get_num_threads()
    set_num_threads(1)
    in_parallel(x, kernel, y)
    set_num_threads(threads)


def taps(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """The same in NumPy, a product of matrices for each tap of the kernel: y (N, OH, OW, F)."""
    kh, kw, _, filters = kernel.shape
    size = output_size(x.shape[1:3], (kh, kw), stride, padding)
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    y = np.zeros((len(x), *size, filters), x.dtype)
    for ky, kx in np.ndindex(kh, kw):
        y += padded[window_slices(ky, kx, size, stride)] @ kernel[ky, kx]
    return y


def taps_backward(x: Array, kernel: Array, dy: Array, stride: Pair, padding: Padding) -> tuple[Array, Array]:
    """Its gradients (dx, dkernel)."""
    (top, _), (left, _) = padding
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    dpadded, dkernel = np.zeros_like(padded), np.empty_like(kernel)
    for ky, kx in np.ndindex(*kernel.shape[:2]):
        window = window_slices(ky, kx, dy.shape[1:3], stride)
        dpadded[window] += dy @ kernel[ky, kx].T
        dkernel[ky, kx] = np.tensordot(padded[window], dy, axes=((0, 1, 2), (0, 1, 2)))
    return dpadded[:, top : top + x.shape[1], left : left + x.shape[2]], dkernel


@njit(parallel=True)
def touch(numbers: Array) -> None:
    """Next to nothing, for which all threads must wake."""
    for i in prange(len(numbers)):
        numbers[i] += 1


def remade(kernel: Any, **changes: Any) -> Dispatcher:
    """A compiled function, to be compiled anew where names of its file mean something else, in all that it calls."""
    function = kernel.py_func
    scope = {**function.__globals__, **changes}
    for name in function.__code__.co_names:
        if isinstance(scope.get(name), Dispatcher) and name not in changes:
            scope[name] = remade(scope[name], **changes)
    options = {name: value for name, value in kernel.targetoptions.items() if name != "nopython"}
    again: Dispatcher = njit(**options)(FunctionType(function.__code__, scope, function.__name__))
    return again
