"""Tiles of images transformed on their way to the planes of Winograd's algorithm, and back.

A tile is an n x n window of a batch of images (N, H, W, C), with a vector of channels at each place. Its transform
L X L^T is spread over planes: element (a, b) of tile t goes to planes[t, a, b, c], in memory in the order a, b, t, c
(`empty_planes`), so that a plane, planes[:, a, b], is a matrix of tiles by channels.

What a network does around a convolution can be done on the way, without a detour through memory. In the place of
images to be read may stand `Rectified` or `Unpooled`, in that of images to be written `Activated` or `Pooled`. Each of
these holds arrays when it is given to a compiled function, and while that is being compiled, the same arrays' windows
at the tile in question: `load` and `store` then emit the instructions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nncore.kernels.conv.transforms import Matrix, apply
from nncore.kernels.simd.vector import BYTE, INDEX, VECTOR_BYTES, Vector, Window, expose, splat, unpack

NOBODY = 4
"""The winner of a pooling window that passes no gradient on: ReLU made it zero, or dropout left it out."""


class Transform(NamedTuple):
    """X -> L X L^T, for tiles `step` pixels apart (0: with no neighbour to prefetch); it may add to what is there."""

    matrix: Matrix
    step: int
    accumulate: bool = False

    @property
    def inputs(self) -> int:
        return len(self.matrix[0])

    @property
    def outputs(self) -> int:
        return len(self.matrix)


for _field in ("inputs", "outputs", "step", "accumulate"):
    expose(_field)


Place: TypeAlias = list[ir.Value]


class Opener:
    """Makes windows, at a place of the images, of the arrays in what was given to a compiled function."""

    def __init__(self, context: Any, builder: ir.IRBuilder) -> None:
        self.context, self.builder = context, builder

    def __call__(self, field: tuple[Any, ir.Value], index: Place, axes: Sequence[int]) -> Window:
        return Window(self.context, self.builder, *field, index, axes)

    def half(self, at: Place) -> Place:
        """The same place in images of half the height and width."""
        return [at[0], self.builder.ashr(at[1], INDEX(1)), self.builder.ashr(at[2], INDEX(1)), at[3]]

    def scalar(self, field: tuple[Any, ir.Value]) -> ir.Value:
        """A number."""
        return field[1]

    def integer(self, field: tuple[Any, ir.Value]) -> ir.Value:
        """A number of 64 bits."""
        return self.context.cast(self.builder, field[1], field[0], types.intp)

    def fields(self, kind: Any, value: ir.Value) -> Any:
        """A NamedTuple of pairs (type, value)."""
        values = cgutils.unpack_tuple(self.builder, value)
        return kind.instance_class(*zip(kind.types, values, strict=True))


class Plain(NamedTuple):
    """Images (N, H, W, C), read and written as they are. Compiled functions are given the array alone."""

    images: Any

    def open(self, opener: Opener, at: Place) -> "Plain":
        return Plain(opener(self.images, at, (1, 2)))

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.images.contains((size, size), lanes)

    def load(self, places: Sequence[Any], lanes: int, masked: bool) -> list[Vector]:
        return [self.images.load(place, lanes, masked) for place in places]

    def store(self, row: ir.Value, rows: Sequence[Sequence[Vector]], masked: bool, accumulate: bool) -> None:
        for column, vector in enumerate(rows[0]):
            before = self.images.load((row, column), vector.lanes, masked) if accumulate else None
            self.images.store((row, column), before + vector if before else vector, masked)


class Rectified(NamedTuple):
    """Read as dy where y > 0 and 0 elsewhere, the backward pass of ReLU. Both (N, H, W, C)."""

    dy: Any
    y: Any

    def open(self, opener: Opener, at: Place) -> "Rectified":
        return Rectified(opener(self.dy, at, (1, 2)), opener(self.y, at, (1, 2)))

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.dy.contains((size, size), lanes)

    def load(self, places: Sequence[Any], lanes: int, masked: bool) -> list[Vector]:
        pairs = [(self.dy.load(place, lanes, masked), self.y.load(place, lanes, masked)) for place in places]
        return [positive(dy, y) for dy, y in pairs]


class Unpooled(NamedTuple):
    """Read as dy * scale at the pixel that won its 2x2 window and 0 at the others: images of twice the size of dy.

    dy, winners (int8): (N, H // 2, W // 2, C), scale: a number of dy's type. below, beyond: 1 where a tile of odd size
    begins in the middle of a window, else 0.
    """

    dy: Any
    winners: Any
    scale: Any
    below: Any = 0
    beyond: Any = 0

    def open(self, opener: Opener, at: Place) -> "Unpooled":
        half, odd = opener.half(at), [opener.builder.and_(start, INDEX(1)) for start in at[1:3]]
        dy, winners = opener(self.dy, half, (1, 2)), opener(self.winners, half, (1, 2))
        return Unpooled(dy, winners, opener.scalar(self.scale), *odd)

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.dy.contains(((size + 1) // 2, (size + 1) // 2), lanes)

    def load(self, places: Sequence[Any], lanes: int, masked: bool) -> list[Vector]:
        return [self._load(row, column, lanes, masked) for row, column in places]

    def _load(self, row: int, column: ir.Value, lanes: int, masked: bool) -> Vector:
        b = self.dy.builder
        at = b.add(self.below, INDEX(row)), b.add(self.beyond, column)
        window = [b.ashr(pixel, INDEX(1)) for pixel in at]
        dy, winners = self.dy.load(window, lanes, masked), self.winners.load(window, lanes, masked)
        above, left = (b.trunc(b.and_(pixel, INDEX(1)), BYTE) for pixel in at)
        code = b.add(b.add(above, above), left)
        won = b.icmp_signed("==", winners.value, splat(b, code, lanes).value)
        gradient: Vector = dy * splat(b, self.scale, lanes)
        return gradient.where(won, dy.full(0))


class Activated(NamedTuple):
    """Written as y = ReLU(tile + bias). y: (N, H, W, C), bias: (C,)."""

    y: Any
    bias: Any

    def open(self, opener: Opener, at: Place) -> "Activated":
        return Activated(opener(self.y, at, (1, 2)), opener(self.bias, at[3:], ()))

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.y.contains((size, size), lanes)

    def store(self, row: ir.Value, rows: Sequence[Sequence[Vector]], masked: bool, accumulate: bool) -> None:
        for column, vector in enumerate(rows[0]):
            self.y.store((row, column), relu(vector + self.bias.load((), vector.lanes, masked)), masked)


class Pooled(NamedTuple):
    """Written as y = 2x2 max-pooled ReLU(tile + bias), times `scale` where `kept` and 0 where not.

    y, winners (int8), kept (bool, or None for all): (N, H // 2, W // 2, C), bias: (C,), scale: a number of y's type.
    winners tells which pixel of a window was the largest, 0 to 3 by rows and the first of equals, or NOBODY.
    """

    y: Any
    winners: Any
    bias: Any
    kept: Any
    scale: Any

    def open(self, opener: Opener, at: Place) -> "Pooled":
        half = opener.half(at)
        y, winners = (opener(field, half, (1, 2)) for field in (self.y, self.winners))
        kept = None if self.kept[0] == types.none else opener(self.kept, half, (1, 2))
        return Pooled(y, winners, opener(self.bias, at[3:], ()), kept, opener.scalar(self.scale))

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


def positive(dy: Vector, y: Vector) -> Vector:
    """The gradient that ReLU passes on, where it gave y."""
    return dy.where(y.compare(">", y.full(0)), dy.full(0))


def _transform(typingctx: Any, kind: Any, source: Any, source_at: Any, target: Any, target_at: Any) -> Any:
    """The tile at target_at = (or +=) L X L^T, with X the tile at source_at, for one vector of channels.

    Source and target: images (N, H, W, C), or what may stand for them; a place is (n, i, j, c). Zeros are read outside
    of the images, and nothing is written there.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, *kinds = signature.args
        opener, ends = Opener(context, builder), []
        for i in (0, 2):
            images, at = arguments[i + 1], unpack(context, builder, kinds[i + 1], arguments[i + 2])
            plain = isinstance(kinds[i], types.Array)
            given = Plain((kinds[i], images)) if plain else opener.fields(kinds[i], images)
            ends.append(given.open(opener, at))
        source, target = ends
        lanes = _lanes(source)
        inside = builder.and_(source.contains(kind.value.inputs, lanes), target.contains(kind.value.outputs, lanes))
        with builder.if_else(inside) as branches:
            for branch, masked in zip(branches, (False, True), strict=True):
                with branch:
                    _emit(builder, kind.value, source, target, masked)
        return context.get_dummy_value()

    return types.void(kind, source, source_at, target, target_at), generate


transform: Any = intrinsic(_transform)


def _lanes(source: Any) -> int:
    return VECTOR_BYTES // int(source[0].bytes)


def _emit(builder: ir.IRBuilder, kind: Transform, source: Any, target: Any, masked: bool) -> None:
    """The matrix is applied to each column of the tile, then to the rows of what that gives, kept on the stack.

    Columns and rows are gone through by loops in the compiled code: that is as fast as one long list of instructions,
    which needs more registers than there are, and compiles in a fraction of the time.
    """
    first, lanes = source[0], _lanes(source)
    vector = ir.VectorType(first.scalar, lanes)
    between = cgutils.alloca_once(builder, ir.ArrayType(vector, kind.inputs * kind.outputs))

    def cell(row: Any, column: Any) -> ir.Value:
        row, column = (INDEX(x) if isinstance(x, int) else x for x in (row, column))
        at = builder.add(builder.mul(row, INDEX(kind.inputs)), column)
        return cgutils.gep_inbounds(builder, between, INDEX(0), at)

    with cgutils.for_range(builder, INDEX(kind.inputs)) as columns:
        column = columns.index
        if kind.step and not masked and isinstance(source, Plain):
            for row in range(kind.inputs):
                first.prefetch((row, builder.add(column, INDEX(kind.step))))
        values = source.load([(row, column) for row in range(kind.inputs)], lanes, masked)
        for row, value in enumerate(apply(kind.matrix, values)):
            builder.store(value.value, cell(row, column))
    together = 2 if isinstance(target, Pooled) else 1
    with cgutils.for_range(builder, INDEX(kind.outputs // together)) as steps:
        start = builder.mul(steps.index, INDEX(together))
        rows = []
        for row in (builder.add(start, INDEX(i)) for i in range(together)):
            values = [Vector(builder, builder.load(cell(row, column), typ=vector)) for column in range(kind.inputs)]
            rows.append(apply(kind.matrix, values))
        target.store(start, rows, masked, kind.accumulate)
