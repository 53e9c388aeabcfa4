"""A first convolution that exists only inside the tiles of the second.

The images that a network starts with have one channel or three. To convolve them takes less time than to write the
result down and to fetch it again: so it is computed where a tile of it is wanted, and once more in the backward pass.
Its own gradients are sums over pixels, to which each tile of dx adds its part while it is still in registers.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from nncore.kernels.conv.direct import pad
from nncore.kernels.conv.tiles import Opener, Place, positive, relu
from nncore.kernels.simd.vector import INDEX, VECTOR_BYTES, Vector, Window, conform, loop, splat
from nncore.layers.windows import output_size
from nncore.types import Array, Padding, Shape

OVERHANG = 8
"""How far a tile may reach beyond an image, at most: with all of its pixels."""


class Convolved(NamedTuple):
    """Read as y = ReLU(x * kernel + bias). In the place of its gradient may stand `ConvolvedGradient`.

    x: (N, H, W, C) with zeros around, kernel: (taps, F), bias: (F,), with F a multiple of the vectors' length.
    taps: how far each is from the first, in numbers of x. height, width: of the images y.
    above, before: where in x the window of the pixel y[0, 0] begins; once opened, where in y the tile begins.
    """

    x: Any
    kernel: Any
    bias: Any
    taps: Any
    height: Any
    width: Any
    above: Any
    before: Any

    @property
    def shape(self) -> Shape:
        return len(self.x), self.height, self.width, self.kernel.shape[1]

    @property
    def dtype(self) -> Any:
        return self.x.dtype

    def open(self, opener: Opener, at: Place) -> "Convolved":
        n, i, j, c = at
        height, width, above, before = (opener.integer(field) for field in self[4:])
        corner = [opener.builder.add(i, above), opener.builder.add(j, before)]
        x = opener(self.x, [n, *corner, INDEX(0)], (1, 2))
        kernel, bias = opener(self.kernel, [INDEX(0), c], (0,)), opener(self.bias, [c], ())
        return Convolved(x, kernel, bias, opener(self.taps, [INDEX(0)], (0,)), height, width, i, j)

    def contains(self, size: int, lanes: int) -> ir.Value:
        b, inside = self.x.builder, ir.IntType(1)(1)
        for start, length in ((self.above, self.height), (self.before, self.width)):
            inside = b.and_(inside, b.icmp_signed(">=", start, INDEX(0)))
            inside = b.and_(inside, b.icmp_signed("<=", b.add(start, INDEX(size)), length))
        return inside

    def load(self, places: Sequence[Any], lanes: int, masked: bool) -> list[Vector]:
        b = self.x.builder

        def add(vector: Vector, pixels: list[Vector], sums: Sequence[ir.Value]) -> list[ir.Value]:
            return [(Vector(b, total) + pixel * vector).value for total, pixel in zip(sums, pixels, strict=True)]

        totals = self.each_tap(places, [self.bias.load((), lanes).value] * len(places), self.kernel, lanes, add)
        vectors = [relu(Vector(b, total)) for total in totals]
        return [self._inside(v, place) for v, place in zip(vectors, places, strict=True)] if masked else vectors

    def _inside(self, vector: Vector, place: Any) -> Vector:
        """Zero outside of y."""
        b = self.x.builder
        for start, step, length in zip((self.above, self.before), place, (self.height, self.width), strict=True):
            at = b.add(start, INDEX(step) if isinstance(step, int) else step)
            vector = Vector(b, b.select(b.icmp_unsigned("<", at, length), vector.value, vector.full(0).value))
        return vector

    def each_tap(
        self,
        places: Sequence[Any],
        carried: Sequence[ir.Value],
        weights: Window,
        lanes: int,
        body: Callable[[Vector, list[Vector], Sequence[ir.Value]], Sequence[ir.Value]],
        store: bool = False,
    ) -> list[ir.Value]:
        """Emit `carried = body(weights, pixels, carried)` for each tap: of x, the pixels that places meet there.

        With `store`, the first that the body returns are the tap's new weights.
        """
        b, x = self.x.builder, self.x
        starts = [b.ptrtoint(x.pointer(place, x.scalar), INDEX) for place in places]

        def each(tap: ir.Value, *carried: ir.Value) -> list[ir.Value]:
            step = b.mul(b.load(self.taps.pointer([tap], INDEX), typ=INDEX), INDEX(x.bytes))
            pointers = [b.inttoptr(b.add(start, step), x.scalar.as_pointer()) for start in starts]
            pixels = [splat(b, b.load(pointer, align=x.bytes, typ=x.scalar), lanes) for pointer in pointers]
            results = list(body(weights.load([tap], lanes), pixels, carried))
            if store:
                weights.store([tap], Vector(b, results.pop(0)))
            return results

        return loop(b, self.kernel.shape[0], carried, each)


class ConvolvedGradient(NamedTuple):
    """Written, with the gradient of a `Convolved`, as the gradients of its kernel and its bias, which are added to."""

    layer: Any
    dkernel: Any
    dbias: Any

    def open(self, opener: Opener, at: Place) -> "ConvolvedGradient":
        layer = opener.fields(*self.layer).open(opener, at)
        dkernel, dbias = opener(self.dkernel, [INDEX(0), at[3]], (0,)), opener(self.dbias, at[3:], ())
        return ConvolvedGradient(layer, dkernel, dbias)

    def contains(self, size: int, lanes: int) -> ir.Value:
        return self.layer.contains(size, lanes)

    def store(self, row: ir.Value, rows: Sequence[Sequence[Vector]], masked: bool, accumulate: bool) -> None:
        lanes = rows[0][0].lanes
        places = [(row, column) for column in range(len(rows[0]))]
        y = self.layer.load(places, lanes, masked)
        dy = [positive(gradient, value) for gradient, value in zip(rows[0], y, strict=True)]
        self.dbias.store((), sum(dy, start=self.dbias.load((), lanes)))

        def add(total: Vector, pixels: list[Vector], _: Sequence[ir.Value]) -> list[ir.Value]:
            first, *others = (gradient * pixel for gradient, pixel in zip(dy, pixels, strict=True))
            return [(total + sum(others, start=first)).value]  # in this order, no product waits for the total

        self.layer.each_tap(places, [], self.dkernel, lanes, add, store=True)


def convolved(x: Array, kernel: Array, bias: Array, padding: Padding, following: Padding) -> Convolved:
    """The layer `ReLU(x * kernel + bias)`, of stride 1, in front of a convolution with the padding `following`.

    x: (N, H, W, C), kernel: (KH, KW, C, F), bias: (F,).
    """
    kh, kw, channels, filters = kernel.shape
    x = conform("x", x, (*x.shape[:3], channels), x.dtype)
    size = output_size(x.shape[1:3], (kh, kw), (1, 1), padding)
    (above, below), (left, right) = ((before, after + OVERHANG) for before, after in following)
    (top, bottom), (first, last) = padding
    x = pad(x, ((top + above, bottom + below), (first + left, last + right)))
    taps = np.add.outer(np.arange(kh) * x.shape[2] * channels, np.arange(kw * channels)).ravel()
    kernel = conform("kernel", kernel, kernel.shape, x.dtype).reshape(len(taps), filters)
    bias, missing = conform("bias", bias, (filters,), x.dtype), -filters % (VECTOR_BYTES // x.itemsize)
    if missing:
        kernel, bias = np.pad(kernel, ((0, 0), (0, missing))), np.pad(bias, (0, missing))
    return Convolved(x, kernel, bias, taps, *size, above, left)
