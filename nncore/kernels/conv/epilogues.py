"""Epilogues: what is done to the output of a convolution, a tile at a time, before it is written to memory.

They are the counterpart of the prologues: a NamedTuple of arrays that stands in for the images that a compiled function
writes. `store` emits the instructions for one row of a tile, or for as many rows as the epilogue takes together.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from llvmlite import ir

from nncore.kernels.conv.prologues import Corner, half
from nncore.kernels.pooling import NOBODY
from nncore.kernels.simd.vector import BYTE, INDEX, Vector, splat


class BiasReLU(NamedTuple):
    """Writes y = ReLU(tile + bias). y: (N, H, W, C), bias: (C,)."""

    y: Any
    bias: Any

    def open(self, at: Corner) -> "BiasReLU":
        return BiasReLU(self.y.window(at, (1, 2)), self.bias.window(at[3:], ()))

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.y.contains((size, size), lanes)

    def store(self, row: ir.Value, rows: Sequence[Sequence[Vector]], masked: bool, accumulate: bool) -> None:
        for column, vector in enumerate(rows[0]):
            self.y.store((row, column), relu(vector + self.bias.load((), vector.lanes, masked)), masked)


class BiasReLUPool(NamedTuple):
    """Writes y = max_pool(ReLU(tile + bias)) over windows of 2x2, times `scale` where `kept` and 0 elsewhere.

    y, winners (int8), kept (bool, or None for all): (N, H // 2, W // 2, C), bias: (C,), scale: a number of y's type.
    winners: the place in its window of the largest pixel, 0 to 3 in reading order and the first of equals; NOBODY where
    no gradient passes, because ReLU made the largest zero or dropout left it out.
    """

    y: Any
    winners: Any
    bias: Any
    kept: Any
    scale: Any

    def open(self, at: Corner) -> "BiasReLUPool":
        place = half(self.y.builder, at)
        y, winners, kept = (field and field.window(place, (1, 2)) for field in (self.y, self.winners, self.kept))
        return BiasReLUPool(y, winners, self.bias.window(at[3:], ()), kept, self.scale)

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.y.contains((size // 2, size // 2), lanes)

    def store(self, row: ir.Value, rows: Sequence[Sequence[Vector]], masked: bool, accumulate: bool) -> None:
        b, lanes = self.y.builder, rows[0][0].lanes
        bias, scale = self.bias.load((), lanes, masked), splat(b, self.scale, lanes)
        nobody = splat(b, BYTE(NOBODY), lanes)
        for column in range(0, len(rows[0]), 2):
            place = b.ashr(row, INDEX(1)), column // 2
            window = [relu(vectors[column + i] + bias) for vectors in rows for i in range(2)]
            largest, winner = window[0], nobody.full(0)
            for code, value in enumerate(window[1:], start=1):
                larger = b.or_(value.compare(">", largest), value.compare("!=", value))  # a NaN must show
                largest, winner = value.where(larger, largest), winner.full(code).where(larger, winner)
            winner = nobody.where(largest.compare("==", largest.full(0)), winner)
            largest = largest * scale
            if self.kept is not None:
                kept = self.kept.load(place, lanes, masked)
                kept = b.icmp_signed("!=", kept.value, kept.full(0).value)
                largest, winner = largest.where(kept, largest.full(0)), winner.where(kept, nobody)
            self.y.store(place, largest, masked)
            self.winners.store(place, winner, masked)


def relu(vector: Vector) -> Vector:
    """Zero where the vector is negative: in this form, a NaN stays one."""
    zero = vector.full(0)
    return zero.where(vector.compare("<", zero), vector)
