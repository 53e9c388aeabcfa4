"""A step of Adam in one pass over memory: `optimizers.py` has the definition.

No number depends on another, so the number of threads changes none.
"""

import math
from typing import Any

import numpy as np
from numba import int64, prange

from nncore.kernels.runtime import kernel
from nncore.types import Array

CHUNK = 2**16
"""How many numbers a thread does at a time: for fewer, waking a second thread takes longer than doing them."""


@kernel
def _serial(w: Array, gradient: Array, m: Array, v: Array, scalars: tuple[float, float, float, float]) -> None:
    gain_1, gain_2, rate, epsilon = scalars
    for i in range(w.size):
        g = gradient[i]
        m[i] += gain_1 * (g - m[i])
        v[i] += gain_2 * (g * g - v[i])
        w[i] -= rate * m[i] / (np.sqrt(v[i]) + epsilon)


@kernel
def _parallel(w: Array, gradient: Array, m: Array, v: Array, scalars: tuple[float, float, float, float]) -> None:
    for each in prange((w.size + CHUNK - 1) // CHUNK):
        start = int64(each) * CHUNK
        stop = start + CHUNK
        _serial(w[start:stop], gradient[start:stop], m[start:stop], v[start:stop], scalars)


def adam(
    w: Array, gradient: Array, m: Array, v: Array, betas: tuple[float, float], rate: float, epsilon: float, t: int
) -> None:
    """The t-th step of Adam: changes w and its running moments m and v in place. All have one shape."""
    # The corrections of m and v by 1 - beta^t, moved to where they are two numbers: end of section 2 of the paper.
    beta_1, beta_2 = betas
    correction = math.sqrt(1 - beta_2**t)
    scalars = 1 - beta_1, 1 - beta_2, rate * correction / (1 - beta_1**t), epsilon * correction
    w, gradient, m, v = (np.reshape(array, -1, copy=False) for array in (w, np.ascontiguousarray(gradient), m, v))
    update = _parallel if w.size > CHUNK else _serial
    rounded: Any = tuple(w.dtype.type(scalar) for scalar in scalars)
    update(w, gradient, m, v, rounded)
