"""Prologues: what is done to the images that a kernel reads, a tile at a time, while it reads them.

Layer by layer, dy would be multiplied by ReLU's derivative, or sent to the winners of pooling, and written to memory;
then the convolution would read it back. In a prologue this happens to each tile in registers. A prologue is a
NamedTuple of the arrays that it needs, the first of them of the type computed in. It stands in for images (N, H, W, C)
as an argument of a compiled function.

While such a function is compiled, `open` turns the arrays into windows (`simd.vector.Window`) at the tile in question;
`load` then emits the instructions that compute the tile's numbers at some pixels, a vector of channels each; `contains`
emits a test whether the tile lies inside the images, so that no lane need be masked.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nncore.kernels.simd.vector import BYTE, INDEX, Vector, Window, splat

Corner: TypeAlias = list[ir.Value]  # (n, i, j, c): the image, and the row, column and channel where a tile begins


class Opener:
    """Makes windows of the arrays in a prologue or an epilogue, each of them a pair (Numba type, LLVM value)."""

    def __init__(self, context: Any, builder: ir.IRBuilder) -> None:
        self.context, self.builder = context, builder

    def __call__(self, field: tuple[Any, ir.Value], index: Corner, axes: Sequence[int]) -> Window:
        return Window(self.context, self.builder, *field, index, axes)

    def half(self, at: Corner) -> Corner:
        """The same place in images of half the height and width."""
        return [at[0], self.builder.ashr(at[1], INDEX(1)), self.builder.ashr(at[2], INDEX(1)), at[3]]

    def scalar(self, field: tuple[Any, ir.Value]) -> ir.Value:
        """A number."""
        return field[1]

    def integer(self, field: tuple[Any, ir.Value]) -> ir.Value:
        """A number of 64 bits."""
        return self.context.cast(self.builder, field[1], field[0], types.intp)

    def fields(self, kind: Any, value: ir.Value) -> Any:
        """A NamedTuple of such pairs, from the Numba type and the LLVM value of a NamedTuple of arrays."""
        values = cgutils.unpack_tuple(self.builder, value)
        return kind.instance_class(*zip(kind.types, values, strict=True))


class Plain(NamedTuple):
    """Images (N, H, W, C), read and written as they are. Compiled functions are given the array itself."""

    images: Any

    def open(self, opener: Opener, at: Corner) -> "Plain":
        return Plain(opener(self.images, at, (1, 2)))

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

    def open(self, opener: Opener, at: Corner) -> "ReLUBackward":
        return ReLUBackward(opener(self.dy, at, (1, 2)), opener(self.y, at, (1, 2)))

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

    def open(self, opener: Opener, at: Corner) -> "PoolBackward":
        half, odd = opener.half(at), [opener.builder.and_(start, INDEX(1)) for start in at[1:3]]
        dy, winners = opener(self.dy, half, (1, 2)), opener(self.winners, half, (1, 2))
        return PoolBackward(dy, winners, opener.scalar(self.scale), *odd)

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
