"""What a machine can do at most: float32 arithmetic, and traffic with its caches and its memory.

Measured with the vectors of nncore's own kernels: no loop over arrays does more arithmetic than one without arrays, nor
more traffic than one without arithmetic.
"""

import functools
import operator
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

from benchmarks.studies.timing import times
from nncore.kernels.simd.binding import strided
from nncore.kernels.simd.vector import LANE, REGISTERS, VECTOR_BYTES, Vector, loop, splat
from nncore.machine import use_threads
from nncore.types import Array

LANES = VECTOR_BYTES // 4
FLOAT = ir.FloatType()
SUMS = min(20, REGISTERS - 4)  # in flight at once: a product takes four cycles and two begin in each
UNROLLED = 8  # vectors that one turn of a loop over memory works on
LEVELS = {"L1": 2**14, "L2": 2**18, "memory": 2**26}
"""Bytes for each thread: half of the smallest such caches in use, and more than any share of a last cache."""
STEPS, TRAFFIC = 2**20, 2**28  # steps of arithmetic, and bytes, in one measurement


class Peak(NamedTuple):
    """What the machine reaches with a number of threads.

    Attributes:
        gflops: 10^9 float32 operations a second, a product and the sum that takes it counted as two.
        read: 10^9 bytes a second, by the level of memory that they come from.
        modify: the same where every number is read and written back; both ways are counted.
    """

    threads: int
    gflops: float
    read: dict[str, float]
    modify: dict[str, float]

    def seconds(self, flops: float, traffic: float) -> tuple[float, float]:
        """The least that so much arithmetic takes, and so many bytes to and from memory."""
        return flops / self.gflops / 1e9, traffic / max(self.read["memory"], self.modify["memory"]) / 1e9


def measure(threads: int, seconds: float = 0.2) -> Peak:
    """The best of what was reached in about `seconds` for each figure."""
    use_threads(threads)
    best = min(times(lambda: multiply_add(threads, STEPS, np.float32(0.5), np.float32(1)), seconds))
    gflops = threads * STEPS * SUMS * LANES * 2 / best / 1e9
    read, modify = {}, {}
    for level, size in LEVELS.items():
        arrays, rounds = lines(threads, size), TRAFFIC // size
        rate = threads * rounds * size / 1e9
        read[level] = rate / min(times(functools.partial(total, arrays, rounds), seconds))
        modify[level] = 2 * rate / min(times(functools.partial(scale, arrays, rounds, np.float32(1)), seconds))
    return Peak(threads, gflops, read, modify)


def lines(threads: int, size: int) -> Array:
    """Ones (threads, lines, UNROLLED * LANES), `size` bytes for each thread, aligned to the cache's lines."""
    room = np.ones(threads * size // 4 + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + threads * size // 4].reshape(threads, -1, UNROLLED * LANES)


def _emit_chains(typingctx: Any, steps: Any, factor: Any, summand: Any) -> Any:
    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        steps, *numbers = arguments
        factor, summand = (splat(b, number, LANES) for number in numbers)
        kind = ir.VectorType(FLOAT, LANES)

        def step(_: ir.Value, *sums: ir.Value) -> list[ir.Value]:
            return [(Vector(b, each) * factor + summand).value for each in sums]

        return _sum(b, loop(b, steps, [ir.Constant(kind, [float(i)] * LANES) for i in range(SUMS)], step))

    return types.float32(types.int64, types.float32, types.float32), generate


def _emit_total(typingctx: Any, lines: Any) -> Any:
    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        window = strided(context, b, lines, arguments[0]).window((0, 0), (0, 1))
        zeros = ir.Constant(ir.VectorType(FLOAT, LANES), [0.0] * LANES)

        def step(line: ir.Value, *sums: ir.Value) -> list[ir.Value]:
            vectors = [window.load((line, i * LANES), LANES) for i in range(UNROLLED)]
            return [(Vector(b, each) + vector).value for each, vector in zip(sums, vectors, strict=True)]

        return _sum(b, loop(b, window.shape[0], [zeros] * UNROLLED, step))

    return types.float32(lines), generate


def _emit_scale(typingctx: Any, lines: Any, factor: Any) -> Any:
    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        window = strided(context, b, lines, arguments[0]).window((0, 0), (0, 1))
        factor = splat(b, arguments[1], LANES)

        def step(line: ir.Value) -> list[ir.Value]:
            for i in range(UNROLLED):
                window.store((line, i * LANES), window.load((line, i * LANES), LANES) * factor)
            return []

        loop(b, window.shape[0], [], step)
        return context.get_dummy_value()

    return types.void(lines, types.float32), generate


def _sum(b: ir.IRBuilder, vectors: list[ir.Value]) -> ir.Value:
    """Of all numbers in all vectors."""
    vector = functools.reduce(operator.add, (Vector(b, each) for each in vectors)).value
    return functools.reduce(b.fadd, (b.extract_element(vector, LANE(i)) for i in range(LANES)))


_chains: Any = intrinsic(_emit_chains)
_total: Any = intrinsic(_emit_total)
_scale: Any = intrinsic(_emit_scale)


@njit(parallel=True, nogil=True)
def multiply_add(workers: int, steps: int, factor: np.float32, summand: np.float32) -> Array:
    """For each worker: x = x * factor + summand, `steps` times, from x = 0, 1, 2 ... in SUMS vectors; their sum."""
    results = np.empty(workers, np.float32)
    for worker in prange(workers):
        results[worker] = _chains(steps, factor, summand)
    return results


@njit(parallel=True, nogil=True)
def total(arrays: Array, rounds: int) -> Array:
    """For each worker, the sum of its array, added up `rounds` times."""
    results = np.zeros(len(arrays), np.float32)
    for worker in prange(len(arrays)):
        for _ in range(rounds):
            results[worker] += _total(arrays[worker])
    return results


@njit(parallel=True, nogil=True)
def scale(arrays: Array, rounds: int, factor: np.float32) -> None:
    """Multiply each worker's array by a factor, `rounds` times."""
    for worker in prange(len(arrays)):
        for _ in range(rounds):
            _scale(arrays[worker], factor)
