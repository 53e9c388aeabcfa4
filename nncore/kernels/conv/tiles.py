"""Moves of tiles: X -> L X L^T for square windows of a batch of images, with a vector of channels at each pixel.

L need not be square: A^T of F(m, r) makes m x m pixels of n x n. Winograd's algorithm transforms tiles of the images
into planes, multiplies the planes, and transforms them back. planes[t, a, b, c] is element (a, b) of the transform of
tile t, in channel c:

    images (N, H, W, C)          planes (tiles, n, n, C)
      +---+---+                    planes[:, 0, 0]   planes[:, 0, 1]  ...   each a matrix, tiles by channels
      | 0 | 1 |   L X L^T
      +---+---+   ------->        rows: tile 0, tile 1, tile 2, ...
      | 2 | 3 |
      +---+---+

In the place of the images that are read a prologue may stand, in that of the images that are written an epilogue. There
are many combinations of these with matrices. So each move is compiled by itself, as a function that is given addresses;
kernels (`passes`) are compiled once, and call whichever move they are handed.
"""

import functools
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import DTypeLike

from nncore.kernels.conv.cook_toom import Matrix, apply, cook_toom, transpose
from nncore.kernels.conv.epilogues import BiasReLUPool
from nncore.kernels.conv.prologues import Kind, Plain, describe, described
from nncore.kernels.runtime import compiled_address
from nncore.kernels.simd.binding import Constant, strided, unpack
from nncore.kernels.simd.vector import INDEX, VECTOR_BYTES, Vector, loop
from nncore.types import Integers


class Transform(NamedTuple):
    """X -> L X L^T.

    name: of L, one of `cook_toom`'s matrices for F(m, r) or its transpose, "A", "A^T", "B", ...; or "I", which copies.
    step: from one tile of the images to the next, in pixels. accumulate: whether the result is added to what is there.
    """

    name: str
    m: int
    r: int
    step: int
    accumulate: bool = False

    @property
    def matrix(self) -> Matrix:
        if self.name == "I":
            return tuple(tuple(Fraction(int(i == j)) for j in range(self.m)) for i in range(self.m))
        matrix = cook_toom(self.m, self.r)["AGB".index(self.name[0])]
        return transpose(matrix) if self.name.endswith("^T") else matrix


class Move(NamedTuple):
    """What the code of a move is made from: `planes` says which end they are, "source", "target" or neither, ""."""

    transform: Transform
    source: Kind
    target: Kind
    planes: str


def gather(transform: Transform, images: Any, dtype: DTypeLike) -> tuple[int, Integers]:
    """The move from images (or a prologue) to planes of that type: where its code is, and the images' descriptor."""
    kind, descriptor = describe(images)
    return _code(Move(transform, kind, _planes(dtype), "target")), descriptor


def scatter(transform: Transform, images: Any, dtype: DTypeLike) -> tuple[int, Integers]:
    """The move from planes of that type to images (or an epilogue): where its code is, and the images' descriptor."""
    kind, descriptor = describe(images)
    return _code(Move(transform, _planes(dtype), kind, "source")), descriptor


def copy(transform: Transform, source: Any, target: Any) -> tuple[int, Integers, Integers]:
    """The move from images or a prologue to images or an epilogue: where its code is, and the two descriptors."""
    (kind, numbers), (target_kind, target_numbers) = describe(source), describe(target)
    return _code(Move(transform, kind, target_kind, "")), numbers, target_numbers


def _planes(dtype: DTypeLike) -> Kind:
    return Plain, ((np.dtype(dtype), 4),)


@functools.cache
def _code(move: Move) -> int:
    constant = Constant(move)

    def code(source, target, work):  # type: ignore[no-untyped-def]
        emit_move(constant, source, target, work)

    return compiled_address(code)


def _move(typing: Any, code: Any, source: Any, target: Any, tiles: Any, grid: Any, origin: Any, channels: Any) -> Any:
    """Call a move's code, in a kernel: move the tiles from tiles[0] up to tiles[1] of a batch.

    source, target: the images' descriptor (int64), and the planes (tiles[1] - tiles[0], n, n, C) or another
    descriptor. grid: rows and columns of tiles in an image, whose first tile begins at -origin. channels: from which
    up to which; the first of them is channel 0 of the planes.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        code, *ends = arguments[:3]
        addresses = [_descriptor(context, builder, *end) for end in zip(signature.args[1:3], ends, strict=True)]
        pairs = zip(signature.args[3:], arguments[3:], strict=True)
        addresses.append(_on_the_stack(builder, [n for pair in pairs for n in unpack(context, builder, *pair)]))
        function = ir.FunctionType(ir.VoidType(), [INDEX] * len(addresses)).as_pointer()
        builder.call(builder.inttoptr(code, function), addresses)
        return context.get_dummy_value()

    return types.void(types.intp, source, target, tiles, grid, origin, channels), generate


move: Any = intrinsic(_move)


def _descriptor(context: Any, builder: ir.IRBuilder, kind: types.Array, value: ir.Value) -> ir.Value:
    """The address of a descriptor: of this one, or of one for these planes, written to the stack."""
    array = strided(context, builder, kind, value)
    if kind.ndim == 1:
        return array.data
    return _on_the_stack(builder, [array.data, *array.shape, *array.strides])


def _on_the_stack(builder: ir.IRBuilder, numbers: Sequence[ir.Value]) -> ir.Value:
    """Where these numbers are, one after the other."""
    memory = cgutils.alloca_once(builder, ir.ArrayType(INDEX, len(numbers)))
    for i, number in enumerate(numbers):
        builder.store(number, cgutils.gep_inbounds(builder, memory, INDEX(0), INDEX(i)))
    return builder.ptrtoint(memory, INDEX)


def _emit_move(typing: Any, kind: Any, source: Any, target: Any, work: Any) -> Any:
    """The code of a move. source, target, work: the addresses of two descriptors and of eight numbers (`_emit`)."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, source, target, work = arguments
        _emit(builder, kind.value, (source, target), list(itertools.islice(_numbers(builder, work), 8)))
        return context.get_dummy_value()

    return types.void(kind, source, target, work), generate


emit_move: Any = intrinsic(_emit_move)


def _emit(b: ir.IRBuilder, move: Move, ends: Sequence[ir.Value], work: Sequence[ir.Value]) -> None:
    """Loops over tiles and vectors of channels. work: the numbers of tiles, grid, origin and channels, see `move`."""
    transform, tiles, grid, origin, (start, end) = move.transform, work[:2], work[2:4], work[4:6], work[6:]
    source, target = (
        described(b, kind, _numbers(b, address)) for kind, address in zip((move.source, move.target), ends, strict=True)
    )
    lanes = VECTOR_BYTES // source[0].dtype.itemsize
    ahead = move.planes == "target" and isinstance(source, Plain)

    def each_tile(t: ir.Value, image: ir.Value, row: ir.Value, column: ir.Value) -> list[ir.Value]:
        i, j = (
            b.sub(b.mul(at, INDEX(transform.step)), before) for at, before in zip((row, column), origin, strict=True)
        )
        with cgutils.for_range_slice(b, start, end, INDEX(lanes), intp=INDEX) as (channel, _):
            in_images, in_planes = [image, i, j, channel], [t, INDEX(0), INDEX(0), b.sub(channel, start)]
            read = source.open(in_planes if move.planes == "source" else in_images)
            written = target.open(in_planes if move.planes == "target" else in_images)
            _emit_tile(b, transform, read, written, lanes, ahead)
        column, wraps = _next(b, column, INDEX(1), grid[1])
        row, wraps = _next(b, row, wraps, grid[0])
        return [b.add(image, wraps), row, column]

    within = b.urem(tiles[0], b.mul(*grid))
    first = b.udiv(tiles[0], b.mul(*grid)), b.udiv(within, grid[1]), b.urem(within, grid[1])
    with b.if_then(b.icmp_signed("<", *tiles)):
        loop(b, b.sub(tiles[1], tiles[0]), first, each_tile)


def _next(b: ir.IRBuilder, number: ir.Value, step: ir.Value, end: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The number + step (0 or 1), but 0 where that is the end, and whether it is (0 or 1): faster than to divide."""
    number = b.add(number, step)
    ends = b.icmp_signed("==", number, end)
    return b.select(ends, INDEX(0), number), b.zext(ends, INDEX)


def _numbers(b: ir.IRBuilder, address: ir.Value) -> Any:
    """The numbers of a descriptor, one after the other."""
    while True:
        yield b.load(b.inttoptr(address, INDEX.as_pointer()), typ=INDEX)
        address = b.add(address, INDEX(8))


def _emit_tile(b: ir.IRBuilder, transform: Transform, source: Any, target: Any, lanes: int, ahead: bool) -> None:
    """One tile, for a vector of channels: zeros are read outside of the images, and nothing is written there."""
    rows, columns = len(transform.matrix), len(transform.matrix[0])
    inside = b.and_(source.contains(columns, lanes), target.contains(rows, lanes))
    with b.if_else(inside) as branches:
        for branch, masked in zip(branches, (False, True), strict=True):
            with branch:
                _emit_product(b, transform, source, target, lanes, masked, ahead and not masked)


def _emit_product(
    b: ir.IRBuilder, transform: Transform, source: Any, target: Any, lanes: int, masked: bool, ahead: bool
) -> None:
    """The matrix is applied to each column of the tile, then to the rows of the result, which is kept on the stack.

    The compiled code loops over columns and rows. That is as fast as one long list of instructions, which needs more
    registers than there are, and compiles in a fraction of the time. ahead: ask for the next tile of the images.
    """
    matrix, first = transform.matrix, source[0]
    outputs, inputs = len(matrix), len(matrix[0])
    vector = ir.VectorType(first.scalar, lanes)
    between = cgutils.alloca_once(b, ir.ArrayType(vector, inputs * outputs))

    def cell(row: Any, column: Any) -> ir.Value:
        row, column = (INDEX(x) if isinstance(x, int) else x for x in (row, column))
        return cgutils.gep_inbounds(b, between, INDEX(0), b.add(b.mul(row, INDEX(inputs)), column))

    with cgutils.for_range(b, INDEX(inputs)) as columns:
        column = columns.index
        for row in range(inputs if ahead else 0):
            first.prefetch((row, b.add(column, INDEX(transform.step))))
        values = source.load([(row, column) for row in range(inputs)], lanes, masked)
        for row, value in enumerate(apply(matrix, values)):
            b.store(value.value, cell(row, column))
    together = 2 if isinstance(target, BiasReLUPool) else 1
    with cgutils.for_range(b, INDEX(outputs // together)) as steps:
        start = b.mul(steps.index, INDEX(together))
        rows = []
        for row in (b.add(start, INDEX(i)) for i in range(together)):
            values = [Vector(b, b.load(cell(row, column), typ=vector)) for column in range(inputs)]
            rows.append(apply(matrix, values))
        target.store(start, rows, masked, transform.accumulate)
