"""What `studies/steps.py` needs to be compiled: a convolution by plain loops, and kernels that lack something."""

from types import FunctionType
from typing import Any

from numba import get_num_threads, njit, prange, set_num_threads
from numba.core.dispatcher import Dispatcher

from nncore.types import Array


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


@njit(parallel=True)
def touch(numbers: Array) -> None:
    """Next to nothing, for which all threads must wake."""
    for i in prange(len(numbers)):
        numbers[i] += 1


def remade(kernel: Dispatcher, **changes: Any) -> Dispatcher:
    """A compiled function, to be compiled anew where names of its file mean something else, in all that it calls."""
    function = kernel.py_func
    scope = {**function.__globals__, **changes}
    for name in function.__code__.co_names:
        if isinstance(scope.get(name), Dispatcher) and name not in changes:
            scope[name] = remade(scope[name], **changes)
    options = {name: value for name, value in kernel.targetoptions.items() if name != "nopython"}
    again: Dispatcher = njit(**options)(FunctionType(function.__code__, scope, function.__name__))
    return again
