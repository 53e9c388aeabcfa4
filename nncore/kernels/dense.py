"""Products of whole matrices, as dense layers take them."""

from typing import Any, NamedTuple

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


class Flat(NamedTuple):
    """A matrix in one piece, one row after the other if `by_rows`, else one column after the other."""

    numbers: Array
    by_rows: bool
    rows: int
    columns: int


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
    a, b = (each if each.flags.forc else np.ascontiguousarray(each) for each in (a, b))
    step, across = (stride // a.itemsize for stride in a.strides)
    offsets = np.minimum(np.arange(-(-rows // ROWS) * ROWS), rows - 1) * step
    blocks = -(-columns * a.itemsize // (VECTORS * VECTOR_BYTES))
    shares = (1, workers) if blocks % workers == 0 else (workers, 1)
    # Flat, so that one compiled function serves, however the matrices lie in memory.
    flat = Flat(b.ravel("K"), b.flags.c_contiguous, depth, columns)
    _multiply_many_rows(a.ravel("K"), offsets, across, flat, y, blocks, shares)
    return y


@kernel(cached=False)
def pack(b: Any, rows: Pair, columns: Pair, packed: Array) -> None:
    """Copy these rows and columns of b (Flat), from and up to, to packed (blocks, DEPTH, columns of a block)."""
    width = packed.shape[2]
    if b.by_rows:
        for d in range(rows[0], rows[1]):
            for first in range(columns[0], columns[1], width):
                stop = min(first + width, columns[1])
                row = b.numbers[d * b.columns + first : d * b.columns + stop]
                target = packed[(first - columns[0]) // width, d - rows[0]]
                for c in range(len(row)):
                    target[c] = row[c]
    else:
        for c in range(columns[0], columns[1]):
            column = b.numbers[c * b.rows + rows[0] : c * b.rows + rows[1]]
            into = packed[(c - columns[0]) // width, :, (c - columns[0]) % width]
            for d in range(len(column)):
                into[d] = column[d]


@kernel
def _multiply_many_rows(a: Array, offsets: Integers, across: int, b: Any, y: Array, blocks: int, shares: Pair) -> None:
    """Compute y = a b. a: flat, row r beginning at offsets[r] and its numbers `across` apart. b: Flat.

    shares: in how many groups of rows, and in how many of blocks of columns, the work is divided.
    """
    width, groups = VECTORS * VECTOR_BYTES // y.itemsize, len(offsets) // ROWS
    for each in prange(shares[0] * shares[1]):
        task: Any = int64(each)
        share, part = divmod(task, shares[1])
        rows = groups * share // shares[0] * ROWS, groups * (share + 1) // shares[0] * ROWS
        begin, end = blocks * part // shares[1], blocks * (part + 1) // shares[1]
        packed = np.zeros((end - begin, DEPTH, width), y.dtype)
        for first in range(0, b.rows, DEPTH):
            stop = min(first + DEPTH, b.rows)
            pack(b, (first, stop), (begin * width, min(end * width, b.columns)), packed)
            walk = 1, 0, stop - first, across
            for k in range(end - begin):
                for row in range(rows[0], rows[1], ROWS):
                    at = row, (begin + k) * width
                    if first == 0:
                        multiply(a, offsets, walk, packed[k], (0, 0), y, at)
                    else:
                        multiply_add(a[first * across :], offsets, walk, packed[k], (0, 0), y, at)


@kernel(contract=True)
def _multiply_few_rows(a: Array, b: Array, sums: Array) -> None:
    """What takes the time is to fetch b: each part of it is gone through once, in order."""
    for each in prange(len(sums)):
        part: Any = int64(each)
        for d in range(len(b) * part // len(sums), len(b) * (part + 1) // len(sums)):
            for row in range(len(a)):
                for c in range(b.shape[1]):
                    sums[part, row, c] += a[row, d] * b[d, c]
