"""Counted random numbers: `layers/dropout.py` has the definition and its source."""

import numpy as np
from numba import prange, uint64

from nncore.kernels.runtime import kernel
from nncore.types import Mask, Shape


@kernel
def _fill(out: Mask, threshold: np.uint64, key: np.uint64) -> None:
    for i in prange(out.size):
        # Numba makes a float of int64 + uint64, so every constant says that it is unsigned.
        z = uint64(key) + uint64(i + 1) * uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
        out[i] = ((z ^ (z >> uint64(31))) >> uint64(32)) < uint64(threshold)


def bernoulli(shape: Shape, probability: float, key: int) -> Mask:
    """Independent booleans, True with the given probability: number i depends on (key, i) alone."""
    out = np.empty(np.prod(shape, dtype=int), np.bool_)
    _fill(out, np.uint64(round(probability * 2**32)), np.uint64(key))
    return out.reshape(shape)
