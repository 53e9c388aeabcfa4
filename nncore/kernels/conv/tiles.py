"""Transforms of tiles: X -> L X L^T for square windows of a batch of images, with a vector of channels at each pixel.

L need not be square: A^T of F(m, r) makes m x m pixels of n x n. Winograd's algorithm transforms tiles of the images
into planes, multiplies the planes, and transforms them back. planes[t, a, b, c] is element (a, b) of the transform of
tile t, in channel c:

    images (N, H, W, C)          planes (tiles, n, n, C)
      +---+---+                    planes[:, 0, 0]   planes[:, 0, 1]  ...   each a matrix, tiles by channels
      | 0 | 1 |   L X L^T
      +---+---+   ------->        rows: tile 0, tile 1, tile 2, ...
      | 2 | 3 |
      +---+---+

In the place of the images that are read a prologue may stand, in that of the images that are written an epilogue.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nncore.kernels.conv.cook_toom import Matrix, apply
from nncore.kernels.conv.epilogues import BiasReLUPool
from nncore.kernels.conv.prologues import Opener, Plain
from nncore.kernels.simd.vector import INDEX, VECTOR_BYTES, Vector, expose, unpack


class Transform(NamedTuple):
    """X -> L X L^T.

    step: from one tile of the images to the next, in pixels; 0 where there is no next tile to prefetch.
    accumulate: whether the result is added to what is there. Kernels take a Transform as a `Constant`, so that the code
    of each matrix is compiled by itself.
    """

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


def _transform(typingctx: Any, kind: Any, source: Any, source_at: Any, target: Any, target_at: Any) -> Any:
    """The tile at target_at = (or +=) L X L^T, with X the tile at source_at, for one vector of channels.

    source, target: images (N, H, W, C), or a prologue and an epilogue; a place is (n, i, j, c). Zeros are read outside
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
    """The matrix is applied to each column of the tile, then to the rows of the result, which is kept on the stack.

    The compiled code loops over columns and rows. That is as fast as one long list of instructions, which needs more
    registers than there are, and compiles in a fraction of the time.
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
    together = 2 if isinstance(target, BiasReLUPool) else 1
    with cgutils.for_range(builder, INDEX(kind.outputs // together)) as steps:
        start = builder.mul(steps.index, INDEX(together))
        rows = []
        for row in (builder.add(start, INDEX(i)) for i in range(together)):
            values = [Vector(builder, builder.load(cell(row, column), typ=vector)) for column in range(kind.inputs)]
            rows.append(apply(kind.matrix, values))
        target.store(start, rows, masked, kind.accumulate)
