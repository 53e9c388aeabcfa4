"""Where emitted instructions meet Numba: what compiled code is given becomes the values that emitters work on."""

import hashlib
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_constant
from numba.extending import models, register_model, typeof_impl
from numba.np.numpy_support import as_dtype

from nncore.kernels.simd.vector import INDEX, REGISTERS, VECTOR_BYTES, Strided


class ConstantType(types.Opaque):
    """The Numba type of a Constant: to compiled code, the value itself is known. Equal values have one type."""

    def __init__(self, value: Any) -> None:
        self.value = value
        key = hashlib.sha256(f"{value!r} {VECTOR_BYTES} {REGISTERS}".encode()).hexdigest()
        super().__init__(f"{type(value).__name__}({key[:16]})")


class Constant:
    """A value that a compiled function finds outside of itself, and that what is emitted depends on.

    Its `repr` says everything about it. Two processes pickle equal values to equal bytes, by which Numba finds what it
    has compiled: so `value` consists of NamedTuples, numbers, strings and classes.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        return Constant, (self.value,)


register_model(ConstantType)(models.OpaqueModel)
typeof_impl.register(Constant)(lambda constant, context: ConstantType(constant.value))
lower_constant(ConstantType)(lambda context, builder, kind, constant: context.get_dummy_value())


def unpack(context: Any, builder: ir.IRBuilder, kind: Any, value: ir.Value) -> list[ir.Value]:
    """The integers of a tuple, all as 64-bit numbers."""
    values = cgutils.unpack_tuple(builder, value, len(kind))
    return [context.cast(builder, each, of, types.intp) for each, of in zip(values, kind, strict=True)]


def strided(context: Any, builder: ir.IRBuilder, kind: types.Array, array: ir.Value) -> Strided:
    """An array of Numba's."""
    view = context.make_array(kind)(context, builder, array)
    shape, strides = (cgutils.unpack_tuple(builder, each, kind.ndim) for each in (view.shape, view.strides))
    return Strided(builder, as_dtype(kind.dtype), builder.ptrtoint(view.data, INDEX), shape, strides)
