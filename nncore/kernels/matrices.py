"""Products of whole matrices, as dense layers take them."""

from typing import Any

import numpy as np
from numba import get_num_threads, int64, njit, prange

from nncore.kernels.cache import CACHE
from nncore.kernels.direct import BLOCK
from nncore.kernels.product import multiply, multiply_add
from nncore.kernels.simd import ROWS, VECTOR_BYTES, VECTORS, empty
from nncore.types import Array, Integers

DEPTH = 128
"""Rows of the right matrix that are multiplied at a time: a block of columns of so many stays in the first cache."""

SMALL = 2**19
"""Multiplications, below which BLAS is done before threads have begun."""

PARTS = 8
"""Into which the rows of the right matrix are shared out where the left one has few."""


def matmul(a: Array, b: Array) -> Array:
    """`reference.matmul`: either matrix may be a view, such as a transposed one."""
    (rows, depth), columns, workers = a.shape, b.shape[1], get_num_threads()
    y: Array = empty((rows, columns), a.dtype)
    if rows * depth * columns < SMALL:
        return np.matmul(a, b, out=y)
    if rows < ROWS and b.flags.c_contiguous:
        sums = np.zeros((PARTS, rows, columns), a.dtype)
        _multiply_few_rows(np.ascontiguousarray(a), b, sums)
        return np.sum(sums, axis=0, out=y)
    step, across = (stride // a.itemsize for stride in a.strides)
    offsets = np.minimum(np.arange(-(-rows // ROWS) * ROWS), rows - 1) * step
    blocks = -(-columns * a.itemsize // (VECTORS * VECTOR_BYTES))
    groups = 1 if blocks % workers == 0 else workers
    _multiply_many_rows(BLOCK, a, offsets, across, b, y, blocks, groups)
    return y


@njit(nogil=True, error_model="numpy")
def pack(part: Array, packed: Array) -> None:
    """Copy part to the front of packed, row by row."""
    for d in range(part.shape[0]):
        row, target = part[d], packed[d]
        for c in range(len(row)):
            target[c] = row[c]


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy")
def _multiply_many_rows(
    block: Any, a: Array, offsets: Integers, across: int, b: Array, y: Array, blocks: int, groups: int
) -> None:
    """Workers share the blocks of columns and, if these are few, groups of rows."""
    line = VECTORS * VECTOR_BYTES // y.itemsize
    share = (len(offsets) // ROWS + groups - 1) // groups * ROWS
    for each in prange(blocks * groups):
        task: Any = int64(each)
        column, start = task // groups * line, task % groups * share
        packed = np.zeros((DEPTH, line), y.dtype)
        for first in range(0, len(b), DEPTH):
            depth = min(DEPTH, len(b) - first)
            pack(b[first : first + depth, column : column + line], packed)
            walk = 1, 0, depth, across
            for row in range(start, min(start + share, len(offsets)), ROWS):
                if first == 0:
                    multiply(a, offsets, walk, packed, (0, 0), y, (row, column))
                else:
                    multiply_add(a[:, first:], offsets, walk, packed, (0, 0), y, (row, column))


@njit(parallel=True, cache=CACHE, nogil=True, error_model="numpy", fastmath={"contract"})
def _multiply_few_rows(a: Array, b: Array, sums: Array) -> None:
    """What takes the time is to fetch b: each part of it is gone through once, in order."""
    for each in prange(len(sums)):
        part: Any = int64(each)
        for d in range(len(b) * part // len(sums), len(b) * (part + 1) // len(sums)):
            for row in range(len(a)):
                for c in range(b.shape[1]):
                    sums[part, row, c] += a[row, d] * b[d, c]
