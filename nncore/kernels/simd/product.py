"""The product of two matrices, a block at a time: where nearly all the work of a convolution is done.

Compiled code calls `multiply` or `multiply_add` for each block, with

    (left, offsets, (outer_count, outer_step, inner_count, inner_step), right, (0, k), result, (row, column))

and what they emit does this, with width = VECTORS * lanes columns in the vectors of one row:

    sums = np.zeros((ROWS, width))
    for i in range(outer_count):
        for j in range(inner_count):
            along, d = i * outer_step + j * inner_step, i * inner_count + j
            for r in range(ROWS):
                sums[r] += left.flat[offsets[row + r] + along] * right[d, k : k + width]
    result[row : row + ROWS, column : column + width] = sums    # multiply_add: +=

as far as that lies inside the result. The loop over r is unrolled and the sums stay in registers: for each d, a row of
VECTORS vectors of the right matrix is loaded, and meets one number for each row of the left one, spread over all lanes.
The two loops over i and j are the walk along a row of the left matrix, whose rows may overlap in memory: so the columns
of im2col are multiplied without being written down. Offsets (a multiple of ROWS of them) and steps count elements of
`left`; counts are positive. Result and right matrix must be contiguous along their last axis.

What comes from farther away than the core's own caches is asked for one block ahead: the outer_count * inner_count
rows of the right matrix that come next in memory or, where results accumulate, the next rows of the result.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nncore.kernels.simd.binding import strided, unpack
from nncore.kernels.simd.vector import INDEX, ROWS, VECTOR_BYTES, VECTORS, Vector, Window, loop, splat


def _product(accumulate: bool) -> Any:
    @intrinsic
    def product(typing: Any, left: Any, offsets: Any, walk: Any, right: Any, begin: Any, result: Any, at: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            walk, begin, at = (unpack(context, builder, signature.args[i], arguments[i]) for i in (2, 4, 6))
            kinds, zeros = signature.args, [0] * signature.args[0].ndim
            left, offsets, right, result = (
                strided(context, builder, kinds[i], arguments[i]).window(index, axes)
                for i, index, axes in ((0, zeros, ()), (1, at[:1], (0,)), (3, begin, (0, 1)), (5, at, (0, 1)))
            )
            _emit_block(builder, left, offsets, right, result, walk, accumulate)
            return context.get_dummy_value()

        return types.void(left, offsets, walk, right, begin, result, at), generate

    return product


def _emit_block(
    b: ir.IRBuilder, left: Window, offsets: Window, right: Window, result: Window, walk: list[Any], accumulate: bool
) -> None:
    lanes = VECTOR_BYTES // left.bytes
    kind = ir.VectorType(left.scalar, lanes)
    block = [(row, vector * lanes) for row in range(ROWS) for vector in range(VECTORS)]
    outer_count, outer_step, inner_count, inner_step = walk
    outer_step, inner_step = (b.mul(step, INDEX(left.bytes)) for step in (outer_step, inner_step))
    rows = [b.load(offsets.pointer([row], INDEX), typ=INDEX) for row in range(ROWS)]
    rows = [b.add(left.origin, b.mul(offset, INDEX(left.bytes))) for offset in rows]
    depth = b.mul(outer_count, inner_count)
    for at in block if accumulate else []:
        result.prefetch((ROWS + at[0], at[1]))

    def step(_: ir.Value, along: ir.Value, d: ir.Value, *sums: ir.Value) -> list[ir.Value]:
        vectors = [right.load((d, vector * lanes), lanes) for vector in range(VECTORS)]
        for vector in range(0 if accumulate else VECTORS):
            right.prefetch((b.add(d, depth), vector * lanes))
        numbers = [b.inttoptr(b.add(row, along), left.scalar.as_pointer()) for row in rows]
        factors = [splat(b, b.load(number, align=left.bytes, typ=left.scalar), lanes) for number in numbers]
        products = [factor * vector for factor in factors for vector in vectors]
        totals = [(Vector(b, total) + product).value for total, product in zip(sums, products, strict=True)]
        return [b.add(along, inner_step), b.add(d, INDEX(1)), *totals]

    def steps(i: ir.Value, d: ir.Value, *sums: ir.Value) -> list[ir.Value]:
        return loop(b, inner_count, [b.mul(i, outer_step), d, *sums], step)[1:]

    _, *sums = loop(b, outer_count, [INDEX(0), *[ir.Constant(kind, [0] * lanes)] * len(block)], steps)
    with b.if_else(result.contains((ROWS, VECTORS * lanes), 1)) as branches:
        for branch, masked in zip(branches, (False, True), strict=True):
            with branch:
                for at, total in zip(block, sums, strict=True):
                    vector = Vector(b, total)
                    if accumulate:
                        vector = result.load(at, lanes, masked) + vector
                    result.store(at, vector, masked)


multiply, multiply_add = _product(accumulate=False), _product(accumulate=True)
