"""The product of two matrices, a block at a time: where nearly all the work of a convolution is done.

A block of ROWS * VECTORS vectors of sums stays in registers. For each step along the inner dimension, a line of VECTORS
vectors of the right matrix is loaded and meets one number from each row of the left one, spread over all lanes.

What comes from farther away than the core's own caches is asked for one block ahead, on the understanding that a caller
goes on with the lines of the right matrix that come next in memory or, where results accumulate, with the next rows of
the result.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nncore.kernels.simd import INDEX, ROWS, VECTOR_BYTES, VECTORS, Vector, Window, loop, splat, unpack


def _product(accumulate: bool) -> Any:
    @intrinsic
    def product(typingctx: Any, left: Any, offsets: Any, walk: Any, right: Any, line: Any, result: Any, at: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            walk, line, at = (unpack(context, builder, signature.args[i], arguments[i]) for i in (2, 4, 6))
            left, offsets, right, result = (
                Window(context, builder, signature.args[i], arguments[i], index, axes)
                for i, index, axes in (
                    (0, [0] * signature.args[0].ndim, ()),
                    (1, at[:1], (0,)),
                    (3, line, (0, 1)),
                    (5, at, (0, 1)),
                )
            )
            _emit_block(builder, left, offsets, right, result, walk, accumulate)
            return context.get_dummy_value()

        return types.void(left, offsets, walk, right, line, result, at), generate

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
    following = b.mul(outer_count, inner_count)
    for at in block if accumulate else []:
        result.prefetch((ROWS + at[0], at[1]))

    def step(_: ir.Value, along: ir.Value, line: ir.Value, *sums: ir.Value) -> list[ir.Value]:
        vectors = [right.load((line, vector * lanes), lanes) for vector in range(VECTORS)]
        for vector in range(0 if accumulate else VECTORS):
            right.prefetch((b.add(line, following), vector * lanes))
        numbers = [b.inttoptr(b.add(row, along), left.scalar.as_pointer()) for row in rows]
        factors = [splat(b, b.load(number, align=left.bytes, typ=left.scalar), lanes) for number in numbers]
        products = [factor * vector for factor in factors for vector in vectors]
        totals = [(Vector(b, total) + product).value for total, product in zip(sums, products, strict=True)]
        return [b.add(along, inner_step), b.add(line, INDEX(1)), *totals]

    def steps(i: ir.Value, line: ir.Value, *sums: ir.Value) -> list[ir.Value]:
        return loop(b, inner_count, [b.mul(i, outer_step), line, *sums], step)[1:]

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
"""result[row + r, column + k] = (or +=) the sum over d of  left.flat[offsets[row + r] + walk(d)] * right[d, line + k]

for r < ROWS and k < VECTORS vectors, as far as they lie inside the result. Compiled code calls them with

    (left, offsets, (outer count, outer step, inner count, inner step), right, (0, line), result, (row, column))

walk(d) takes inner steps, and after `inner count` of them the next outer one: the left matrix may thus be a view in
which elements overlap, such as the columns of im2col, never written down. Offsets (a multiple of ROWS of them) and
steps count elements of `left`; counts are positive. Result and right matrix must be contiguous along their last axis.
"""
