"""Dropout: in training, each number is sometimes left out, so that the network cannot lean on any single one."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

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
        kept, scale = bernoulli(x.shape, 1 - self.rate, self.next_key()), x.dtype.type(1 / (1 - self.rate))
        self.remember(training, kept, scale)
        y: Array = x * kept * scale
        return y

    def backward(self, dy: Array) -> Array:
        kept, scale = self.recall()
        dx: Array = dy * kept * scale
        return dx

    def next_key(self) -> int:
        """The key of the next mask, and one more in the count."""
        seed, count = (int(number) for number in self.state["seed_and_count"])
        self.state["seed_and_count"][1] += np.uint64(1)
        # Keys that differ by a multiple of 2**40 have no number in common within 2**40 of counting.
        return (seed + (count << 40)) % 2**64

    def config(self) -> dict[str, Any]:
        return {"rate": self.rate}

    def describe(self) -> str:
        return f"Dropout {self.rate:g}"


def bernoulli(shape: Shape, probability: float, key: int) -> Mask:
    """Independent booleans, True with the given probability: number i is a hash of (key, i) and nothing else.

    The hash is SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), of
    which the upper 32 bits are compared with the probability. key: any integer below 2**64.
    """
    z = np.uint64(key) + np.arange(1, np.prod(shape, dtype=int) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = (z ^ (z >> np.uint64(31))) >> np.uint64(32)
    return (z < np.uint64(round(probability * 2**32))).reshape(shape)
