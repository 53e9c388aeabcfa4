"""Products of whole matrices, as dense layers take them."""

from typing import Any

import numpy as np
from numba import get_num_threads, int64, prange

from nncore.kernels.runtime import kernel
from nncore.kernels.simd.product import multiply, multiply_add
from nncore.kernels.simd.vector import ROWS, VECTOR_BYTES, VECTORS, empty
from nncore.types import Array, Integers, Pair

DEPTH = 128
"""Rows of the right matrix that are multiplied at a time: a block of columns of so many stays in the first cache."""

SMALL = 2**19
"""Multiplications, below which BLAS is done before threads have begun."""

PARTS = 8
"""Into which the rows of the right matrix are shared out where the left one has few."""


def matmul(a: Array, b: Array) -> Array:
    """The product (M, P) of a (M, D) and b (D, P); either may be a view, such as a transposed one."""
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
    shares = (1, workers) if blocks % workers == 0 else (workers, 1)
    _multiply_many_rows(a, offsets, across, b, y, blocks, shares)
    return y


@kernel(cached=False)
def pack(part: Array, packed: Array) -> None:
    """Copy part (depth, columns) to packed (blocks, DEPTH, columns of a block), along the way it lies in memory."""
    width = packed.shape[2]
    if part.strides[1] < part.strides[0]:
        for d in range(part.shape[0]):
            for block in range(len(packed)):
                row, target = part[d, block * width : (block + 1) * width], packed[block, d]
                for c in range(len(row)):
                    target[c] = row[c]
    else:
        for c in range(part.shape[1]):
            column, into = part[:, c], packed[c // width, :, c % width]
            for d in range(len(column)):
                into[d] = column[d]


@kernel
def _multiply_many_rows(
    a: Array, offsets: Integers, across: int, b: Array, y: Array, blocks: int, shares: Pair
) -> None:
    """shares: in how many groups of rows, and in how many of blocks of columns, the work is divided."""
    width, groups = VECTORS * VECTOR_BYTES // y.itemsize, len(offsets) // ROWS
    for each in prange(shares[0] * shares[1]):
        share, part = divmod(int64(each), shares[1])
        rows = groups * share // shares[0] * ROWS, groups * (share + 1) // shares[0] * ROWS
        begin, end = blocks * part // shares[1], blocks * (part + 1) // shares[1]
        packed = np.zeros((end - begin, DEPTH, width), y.dtype)
        for first in range(0, len(b), DEPTH):
            depth = min(DEPTH, len(b) - first)
            pack(b[first : first + depth, begin * width : end * width], packed)
            walk = 1, 0, depth, across
            for k in range(end - begin):
                for row in range(rows[0], rows[1], ROWS):
                    at = row, (begin + k) * width
                    if first == 0:
                        multiply(a, offsets, walk, packed[k], (0, 0), y, at)
                    else:
                        multiply_add(a[:, first:], offsets, walk, packed[k], (0, 0), y, at)


@kernel(contract=True)
def _multiply_few_rows(a: Array, b: Array, sums: Array) -> None:
    """What takes the time is to fetch b: each part of it is gone through once, in order."""
    for each in prange(len(sums)):
        part: Any = int64(each)
        for d in range(len(b) * part // len(sums), len(b) * (part + 1) // len(sums)):
            for row in range(len(a)):
                for c in range(b.shape[1]):
                    sums[part, row, c] += a[row, d] * b[d, c]
