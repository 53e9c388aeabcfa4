"""Bias and ReLU after a convolution, in one pass over its output.

`layers/conv.py` and `layers/activations.py` are the definitions. Parallel over images. Each has sums of its own, added
up in one order whatever the number of threads.
"""

import numpy as np
from numba import prange

from nncore.kernels.runtime import kernel
from nncore.types import Array


@kernel
def bias_relu(y: Array, bias: Array) -> Array:
    """ReLU(y + bias) in the place of y (N, H, W, C), which is returned; bias (C,)."""
    n, height, width, channels = y.shape
    for image in prange(n):
        for i in range(height):
            for j in range(width):
                pixel = y[image, i, j]
                for c in range(channels):
                    value = pixel[c] + bias[c]
                    pixel[c] = 0 if value < 0 else value  # in this form, a NaN stays one
    return y


@kernel
def _bias_relu_backward(dy: Array, y: Array, dx: Array, sums: Array) -> None:
    n, height, width, channels = y.shape
    for image in prange(n):
        total = sums[image]
        for i in range(height):
            for j in range(width):
                above, below, result = dy[image, i, j], dx[image, i, j], y[image, i, j]
                for c in range(channels):
                    below[c] = above[c] if result[c] > 0 else 0
                    total[c] += below[c]


def bias_relu_backward(dy: Array, y: Array) -> tuple[Array, Array]:
    """The gradients of `bias_relu`, which gave y, for its input (N, H, W, C) and its bias (C,)."""
    dx, sums = np.empty_like(y), np.zeros((len(y), y.shape[3]), y.dtype)
    _bias_relu_backward(np.ascontiguousarray(dy), y, dx, sums)
    return dx, sums.sum(axis=0)
