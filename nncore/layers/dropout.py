"""Dropout: in training, each number is sometimes left out, so that the network cannot lean on any single one."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nncore import kernels
from nncore.errors import OptionError
from nncore.layers.base import Layer
from nncore.types import Array, Mask, Shape


class Dropout(Layer):
    """Inverted dropout: y = x * m / (1 - rate), where m is 0 with probability `rate`, else 1. Any shape.

    Dividing by 1 - rate keeps the expected value of y at x, so that nothing needs scaling at prediction time, when
    y = x.

    **Backward**: y is x times a constant, so dx = dy times the same constant.

    The masks are counted random numbers: the mask of the k-th training pass is a function of (seed, k). The seed comes
    from the network's generator when it is built; both are in `state`, so that a resumed run draws the same masks.

    Source: Srivastava et al. 2014, "Dropout", JMLR 15, section 10 for the inverted form.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise OptionError(f"Dropout: rate must be at least 0 and below 1, not {rate!r}")
        self.rate = float(rate)

    def build(self, input_shape: Shape, rng: "np.random.Generator | None", dtype: DTypeLike) -> None:
        self.state["seed_and_count"] = np.array([0 if rng is None else rng.integers(2**63), 0], np.uint64)

    def forward(self, x: Array, training: bool = False) -> Array:
        if not training:
            return x
        kept, factor = self.draw(x.shape)
        scale = x.dtype.type(factor)
        self.remember(training, kept, scale)
        y: Array = x * kept * scale
        return y

    def draw(self, shape: Shape) -> tuple[Mask, float]:
        """The next mask, and what to multiply with what is kept."""
        seed, count = (int(number) for number in self.state["seed_and_count"])
        self.state["seed_and_count"][1] += np.uint64(1)
        # Keys that differ by a multiple of 2**40 have no number in common within 2**40 of counting.
        return kernels.bernoulli(shape, 1 - self.rate, (seed + (count << 40)) % 2**64), 1 / (1 - self.rate)

    def backward(self, dy: Array) -> Array:
        kept, scale = self.recall()
        dx: Array = dy * kept * scale
        return dx

    def config(self) -> dict[str, Any]:
        return {"rate": self.rate}

    def describe(self) -> str:
        return f"Dropout {self.rate:g}"
