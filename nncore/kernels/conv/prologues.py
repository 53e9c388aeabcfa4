"""Prologues: what is done to the images that a kernel reads, a tile at a time, while it reads them.

Layer by layer, dy would be multiplied by ReLU's derivative, or sent to the winners of pooling, and written to memory;
then the convolution would read it back. In a prologue this happens to each tile in registers. A prologue is a
NamedTuple of the arrays that it needs, the first of them of the type computed in. It stands in for images (N, H, W, C)
as an argument of a compiled function.

Code is compiled for a kind of prologue, and knows its arrays by their descriptor alone: numbers that say where they
lie in memory. `describe` writes these down; `described` makes a prologue again, of arrays whose places become known
when the code runs. Then `open` points it at a tile. `load` emits the instructions that compute the tile's numbers at
some pixels, a vector of channels each. `contains` emits a test whether the tile lies inside the images: then no lane
is masked.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from llvmlite import ir

from nncore.errors import ShapeError
from nncore.kernels.simd.vector import BYTE, INDEX, SCALARS, Strided, Vector, address, splat
from nncore.types import Integers

Corner: TypeAlias = list[ir.Value]  # (n, i, j, c): the image, and the row, column and channel where a tile begins


Kind: TypeAlias = Any
"""What compiled code knows of images, a prologue or an epilogue: the class, and of each field (dtype, number of axes)
for an array, the dtype of a number, the number itself where it is Fixed, None for what is missing, or the kind of what
consists of fields itself."""

INT64 = np.dtype(np.int64)


class Fixed(int):
    """A number that is part of the kind: code is compiled for this one."""


def describe(images: Any) -> tuple[Kind, Integers]:
    """The kind of images (N, H, W, C), a prologue or an epilogue, and their descriptor (int64).

    The descriptor is good for as long as the arrays live. Raises ShapeError where an array is not contiguous along its
    last axis, as compiled code takes it to be.
    """
    numbers: list[int] = []
    kind = _describe(images if isinstance(images, tuple) else Plain(images), numbers)
    return kind, np.array(numbers, np.int64)


def _describe(fields: Any, numbers: list[int]) -> Kind:
    kinds: list[Any] = []
    for field in fields:
        if isinstance(field, np.ndarray):
            shape, strides = field.shape, field.strides
            if strides[-1] != field.itemsize and shape[-1] > 1 and field.size:
                raise ShapeError(f"the last axis must be contiguous, not of strides {strides}")
            numbers += (address(field), *shape, *strides)
            kinds.append((field.dtype, len(shape)))
        elif isinstance(field, tuple):
            kinds.append(_describe(field, numbers))
        elif isinstance(field, np.floating):
            numbers.append(_bits(field))
            kinds.append(field.dtype)
        elif field is None or isinstance(field, Fixed):
            kinds.append(field)
        else:
            numbers.append(field)
            kinds.append(INT64)
    return type(fields), tuple(kinds)


@functools.lru_cache(typed=True)  # 1 of float32 and of float64 are equal, but not their bits
def _bits(number: np.floating[Any]) -> int:
    return int(number.view(f"i{number.itemsize}"))


def described(builder: ir.IRBuilder, kind: Kind, numbers: Iterator[ir.Value]) -> Any:
    """Images, a prologue or an epilogue of that kind, from the numbers of its descriptor. Its arrays are `Strided`."""
    if kind is None or isinstance(kind, int):
        return kind
    if isinstance(kind, np.dtype):
        bits = builder.trunc(next(numbers), ir.IntType(8 * kind.itemsize)) if kind.itemsize < 8 else next(numbers)
        return bits if kind == INT64 else builder.bitcast(bits, SCALARS[kind])
    what, parts = kind
    if isinstance(what, np.dtype):
        data, *rest = itertools.islice(numbers, 1 + 2 * parts)
        return Strided(builder, what, data, rest[:parts], rest[parts:])
    return what(*(described(builder, part, numbers) for part in parts))


def half(builder: ir.IRBuilder, at: Corner) -> Corner:
    """The same place in images of half the height and width."""
    return [at[0], builder.ashr(at[1], INDEX(1)), builder.ashr(at[2], INDEX(1)), at[3]]


class Plain(NamedTuple):
    """Images (N, H, W, C), read and written as they are."""

    images: Any

    def open(self, at: Corner) -> "Plain":
        return Plain(self.images.window(at, (1, 2)))

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.images.contains((size, size), lanes)

    def load(self, pixels: Sequence[Any], lanes: int, masked: bool) -> list[Vector]:
        return [self.images.load(pixel, lanes, masked) for pixel in pixels]

    def store(self, row: ir.Value, rows: Sequence[Sequence[Vector]], masked: bool, accumulate: bool) -> None:
        for column, vector in enumerate(rows[0]):
            before = self.images.load((row, column), vector.lanes, masked) if accumulate else None
            self.images.store((row, column), before + vector if before else vector, masked)


class ReLUBackward(NamedTuple):
    """Reads dy where y > 0, and 0 elsewhere: the backward pass of a ReLU that gave y. Both (N, H, W, C)."""

    dy: Any
    y: Any

    def open(self, at: Corner) -> "ReLUBackward":
        return ReLUBackward(self.dy.window(at, (1, 2)), self.y.window(at, (1, 2)))

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.dy.contains((size, size), lanes)

    def load(self, pixels: Sequence[Any], lanes: int, masked: bool) -> list[Vector]:
        pairs = [(self.dy.load(pixel, lanes, masked), self.y.load(pixel, lanes, masked)) for pixel in pixels]
        return [relu_backward(dy, y) for dy, y in pairs]


class PoolBackward(NamedTuple):
    """Reads dy * scale at the pixel that won its 2x2 window, and 0 at the others: the backward pass of max-pooling.

    dy, winners (int8): (N, H // 2, W // 2, C), scale: a number of dy's type. The images that are read have twice the
    height and width of dy. row_offset, column_offset: 1 where a tile of odd size begins in the middle of a window,
    else 0; `open` sets them.
    """

    dy: Any
    winners: Any
    scale: Any
    row_offset: Any = 0
    column_offset: Any = 0

    def open(self, at: Corner) -> "PoolBackward":
        b = self.dy.builder
        dy, winners = (array.window(half(b, at), (1, 2)) for array in (self.dy, self.winners))
        return PoolBackward(dy, winners, self.scale, *(b.and_(start, INDEX(1)) for start in at[1:3]))

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.dy.contains(((size + 1) // 2, (size + 1) // 2), lanes)

    def load(self, pixels: Sequence[Any], lanes: int, masked: bool) -> list[Vector]:
        return [self._load(row, column, lanes, masked) for row, column in pixels]

    def _load(self, row: int, column: ir.Value, lanes: int, masked: bool) -> Vector:
        b = self.dy.builder
        at = b.add(self.row_offset, INDEX(row)), b.add(self.column_offset, column)
        window = [b.ashr(pixel, INDEX(1)) for pixel in at]
        dy, winners = self.dy.load(window, lanes, masked), self.winners.load(window, lanes, masked)
        below, right = (b.trunc(b.and_(pixel, INDEX(1)), BYTE) for pixel in at)
        place = b.add(b.add(below, below), right)  # of the pixel in its window, in reading order
        won = b.icmp_signed("==", winners.value, splat(b, place, lanes).value)
        gradient: Vector = dy * splat(b, self.scale, lanes)
        return gradient.where(won, dy.full(0))


def relu_backward(dy: Vector, y: Vector) -> Vector:
    """The gradient that a ReLU passes on, where it gave y."""
    return dy.where(y.compare(">", y.full(0)), dy.full(0))
