"""SIMD: vectors whose arithmetic emits machine instructions.

A `Vector` names a register at the time when a kernel is compiled. Python code over Vectors, with its loops and
functions, runs once, at that time, and leaves straight-line LLVM instructions behind: it is what other projects do by
generating source text. The widest vectors of the machine are used; arrays of float32 and of float64 run the same code,
the latter with half the lanes.

Nothing here checks the bounds of an array: a `Window` says whether it lies inside, and masks what does not.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target
from numpy.typing import DTypeLike

from nncore.errors import OptionError, ShapeError
from nncore.types import Shape

_FEATURES = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
VECTOR_BYTES = 64 if "+avx512f" in _FEATURES else 32 if "+avx2" in _FEATURES else 16
REGISTERS = 32 if "+avx512f" in _FEATURES or "+neon" in _FEATURES else 16
ROWS, VECTORS = (8 if REGISTERS == 32 else 6), 2
"""The block of a product that is kept in registers: ROWS * VECTORS sums, one row of vectors, one factor."""

INDEX, LANE, BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
SCALARS = {
    np.dtype(np.float32): ir.FloatType(),
    np.dtype(np.float64): ir.DoubleType(),
    np.dtype(np.int8): BYTE,
    np.dtype(np.bool_): BYTE,
    np.dtype(np.int64): INDEX,
}
SMALL = 2**14  # bytes: a read-only array of so many is copied in less time than `address` takes to find it
CONTRACT = ("contract",)  # a product and the sum that takes it may become one instruction


def as_contiguous(name: str, array: Any, shape: Shape, dtype: DTypeLike) -> Any:
    """The array in one piece and of that type: what works on raw memory must know what it is given.

    Raises ShapeError if the shape is another, and OptionError for numbers that are neither float32 nor float64.
    """
    if array.shape != shape:
        raise ShapeError(f"{name} must have the shape {shape}, not {array.shape}")
    if name == "x" and array.dtype not in (np.float32, np.float64):
        raise OptionError(f"x must be float32 or float64, not {array.dtype}")
    array = np.ascontiguousarray(array, dtype)
    return array if array.flags.writeable or array.nbytes > SMALL else array.copy()


def address(array: Any) -> int:
    """Where the first element lies. The short way takes a third of the time, but not for empty or read-only arrays."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):
        return int(array.ctypes.data)


def empty(shape: Shape, dtype: DTypeLike) -> Any:
    """An array that begins a line of the cache: vectors that lie across two lines take twice as long to load."""
    dtype = np.dtype(dtype)
    memory = np.empty(math.prod(shape) * dtype.itemsize + VECTOR_BYTES, np.uint8)
    return np.ndarray(shape, dtype, memory, -address(memory) % VECTOR_BYTES)


class Vector:
    """Numbers in a register. The operators + - * emit instructions, and take a number for a vector of equal ones."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def _emit(self, instruction: Callable[..., ir.Value], other: Any) -> "Vector":
        if not isinstance(other, Vector):
            other = self.full(float(other))
        return Vector(self.builder, instruction(self.value, other.value, flags=CONTRACT))

    def __add__(self, other: Any) -> "Vector":
        return self._emit(self.builder.fadd, other)

    def __sub__(self, other: Any) -> "Vector":
        return self._emit(self.builder.fsub, other)

    def __mul__(self, other: "Vector | Fraction") -> "Vector":
        return self._emit(self.builder.fmul, other)

    @property
    def lanes(self) -> int:
        """How many numbers."""
        count: int = self.value.type.count
        return count

    def full(self, number: float) -> "Vector":
        """A vector of this kind, of equal numbers."""
        return Vector(self.builder, ir.Constant(self.value.type, [number] * self.lanes))

    def compare(self, operator: str, other: "Vector") -> ir.Value:
        """A mask; false where either number is a NaN, except that "!=" is true there."""
        compare = self.builder.fcmp_unordered if operator == "!=" else self.builder.fcmp_ordered
        return compare(operator, self.value, other.value)

    def where(self, mask: ir.Value, otherwise: "Vector") -> "Vector":
        """The number of this vector in the lanes of the mask, the other's elsewhere."""
        return Vector(self.builder, self.builder.select(mask, self.value, otherwise.value))


def splat(builder: ir.IRBuilder, scalar: ir.Value, lanes: int) -> Vector:
    """One number in all lanes."""
    first = builder.insert_element(ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined), scalar, LANE(0))
    return Vector(builder, builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(LANE, lanes), [0] * lanes)))


class Strided(NamedTuple):
    """An array in memory, as code that is being compiled knows it: values that are there when it runs."""

    builder: ir.IRBuilder
    dtype: np.dtype[Any]  # one of SCALARS
    data: ir.Value  # the address of the first element, a 64-bit number
    shape: Sequence[ir.Value]
    strides: Sequence[ir.Value]  # in bytes

    def window(self, index: Sequence[Any], axes: Sequence[int]) -> "Window":
        """The array from array[index] on."""
        return Window(self, index, axes)


class Window:
    """Vectors in an array at array[index] and from there on, as many steps away along each of `axes` as one asks for.

    axes: two (a row and a column), one, or none. The lanes of a vector lie along the last axis of the array. Steps and
    index may be Python integers or LLVM values.
    """

    def __init__(self, array: Strided, index: Sequence[Any], axes: Sequence[int]) -> None:
        self.builder, self.shape, self.axes = array.builder, array.shape, axes
        self.scalar, self.bytes = SCALARS[array.dtype], array.dtype.itemsize
        self.index = [INDEX(at) if isinstance(at, int) else at for at in index]
        self.strides = [*array.strides[:-1], INDEX(self.bytes)]  # the last axis is contiguous; so the compiler knows it
        self.origin = array.data
        for at, stride in zip(self.index, self.strides, strict=True):
            self.origin = self.builder.add(self.origin, self.builder.mul(at, stride))

    def pointer(self, steps: Sequence[Any], kind: ir.Type) -> ir.Value:
        """Where the vector begins that is `steps` away."""
        address = self.origin
        for axis, step in zip(self.axes, steps, strict=True):
            step = INDEX(step) if isinstance(step, int) else step
            address = self.builder.add(address, self.builder.mul(step, self.strides[axis]))
        return self.builder.inttoptr(address, kind.as_pointer())

    def contains(self, size: Sequence[int], lanes: int) -> ir.Value:
        """Whether `size` steps along each axis, and the lanes, lie inside the array; a single bit."""
        b, inside = self.builder, ir.IntType(1)(1)
        for axis, length in zip((*self.axes, -1), (*size, lanes), strict=True):
            inside = b.and_(inside, b.icmp_signed(">=", self.index[axis], INDEX(0)))
            end = b.add(self.index[axis], INDEX(length))
            inside = b.and_(inside, b.icmp_signed("<=", end, self.shape[axis]))
        return inside

    def _mask(self, steps: Sequence[Any], lanes: int) -> ir.Value:
        """Which lanes of the vector `steps` away lie inside the array."""
        b, kind = self.builder, ir.VectorType(LANE, lanes)
        inside, room = ir.IntType(1)(1), b.sub(self.shape[-1], self.index[-1])
        for axis, step in zip(self.axes, steps, strict=True):
            step = INDEX(step) if isinstance(step, int) else step
            if axis == len(self.shape) - 1:
                room = b.sub(room, step)
            else:
                at = b.add(self.index[axis], step)
                inside = b.and_(inside, b.icmp_unsigned("<", at, self.shape[axis]))  # unsigned: no negative one is
        mask = b.icmp_signed("<", ir.Constant(kind, list(range(lanes))), splat(b, b.trunc(room, LANE), lanes).value)
        return b.select(inside, mask, ir.Constant(mask.type, [0] * lanes))

    def load(self, steps: Sequence[Any], lanes: int, masked: bool = False) -> Vector:
        """The vector `steps` away; where it is masked, lanes outside the array hold zeros."""
        kind = ir.VectorType(self.scalar, lanes)
        pointer = self.pointer(steps, kind)
        if not masked:
            return Vector(self.builder, self.builder.load(pointer, align=self.bytes, typ=kind))
        mask, zeros = self._mask(steps, lanes), ir.Constant(kind, [0] * lanes)
        arguments = [pointer, LANE(self.bytes), mask, zeros]
        return Vector(self.builder, self._call("load", kind, kind, arguments))

    def store(self, steps: Sequence[Any], vector: Vector, masked: bool = False) -> None:
        """Write the vector `steps` away; where it is masked, only the lanes inside the array."""
        kind = vector.value.type
        pointer = self.pointer(steps, kind)
        if not masked:
            self.builder.store(vector.value, pointer, align=self.bytes)
            return
        arguments = [vector.value, pointer, LANE(self.bytes), self._mask(steps, kind.count)]
        self._call("store", ir.VoidType(), kind, arguments)

    def _call(self, name: str, result: ir.Type, kind: ir.Type, arguments: list[ir.Value]) -> ir.Value:
        suffix = f"v{kind.count}{'i' if isinstance(self.scalar, ir.IntType) else 'f'}{8 * self.bytes}"
        signature = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, signature, f"llvm.masked.{name}.{suffix}.p0")
        return self.builder.call(function, arguments)

    def prefetch(self, steps: Sequence[Any]) -> None:
        """Ask for a vector that will be wanted soon; there need not be one."""
        arguments = [self.pointer(steps, BYTE), LANE(0), LANE(3), LANE(1)]  # read, keep in all caches, data
        signature = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        self.builder.call(cgutils.get_or_insert_function(self.builder.module, signature, "llvm.prefetch.p0"), arguments)


def loop(
    builder: ir.IRBuilder, count: ir.Value, carried: Sequence[ir.Value], body: Callable[..., Sequence[ir.Value]]
) -> list[ir.Value]:
    """Emit `for i in range(count): carried = body(i, *carried)`; returns the last values. count must be positive."""
    before, inside, after = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.branch(inside)
    builder.position_at_end(inside)
    phis = [builder.phi(value.type) for value in [count, *carried]]
    results = body(*phis)
    following = [builder.add(phis[0], INDEX(1)), *results]
    for phi, first, following_value in zip(phis, [INDEX(0), *carried], following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(following_value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following[0], count), inside, after)
    builder.position_at_end(after)
    return following[1:]
