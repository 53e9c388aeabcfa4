"""Pooling, with dropout where it follows, in compiled loops. Parallel over images, which share no pixel.

`layers/pool.py` and `layers/dropout.py` are the definitions.
"""

import numpy as np
from numba import prange

from nncore.kernels.runtime import kernel
from nncore.types import Array, Integers, Mask, Pair, Shape

NOBODY = -1
"""The winner of a window from which no gradient passes, since dropout or ReLU made its number zero."""


@kernel
def max_pool(
    x: Array, pool_size: Pair, stride: Pair, kept: Mask | None = None, scale: float = 1.0
) -> tuple[Array, Integers]:
    """The largest value y of each window of x (N, H, W, C), and its place in the window, int32: both (N, OH, OW, C).

    The place is counted in reading order, and is that of the first of equals. With dropout, y is multiplied by `scale`
    where `kept` (N, OH, OW, C), and is 0 elsewhere, where NOBODY wins.
    """
    n, height, width, channels = x.shape
    ph, pw = pool_size
    oh, ow = (height - ph) // stride[0] + 1, (width - pw) // stride[1] + 1
    y = np.empty((n, oh, ow, channels), x.dtype)
    winners = np.empty((n, oh, ow, channels), np.int32)
    factor, zero = x.dtype.type(scale), x.dtype.type(0)
    for image in prange(n):
        for i in range(oh):
            for j in range(ow):
                best, winner = y[image, i, j], winners[image, i, j]
                for c in range(channels):
                    best[c] = x[image, i * stride[0], j * stride[1], c]
                    winner[c] = 0
                for ky in range(ph):
                    for kx in range(pw):
                        pixel = x[image, i * stride[0] + ky, j * stride[1] + kx]
                        for c in range(channels):
                            larger = pixel[c] > best[c] or pixel[c] != pixel[c]
                            best[c] = pixel[c] if larger else best[c]
                            winner[c] = ky * pw + kx if larger else winner[c]
                if kept is not None:
                    keep = kept[image, i, j]
                    for c in range(channels):
                        best[c] = best[c] * factor if keep[c] else zero
                        winner[c] = winner[c] if keep[c] else NOBODY
    return y, winners


@kernel
def max_pool_backward(
    dy: Array, winners: Integers, x_shape: Shape, pool_size: Pair, stride: Pair, scale: float = 1.0
) -> Array:
    """Send each dy, times scale, to the pixel that won its window: (N, OH, OW, C) -> (N, H, W, C)."""
    n, oh, ow, channels = dy.shape
    ph, pw = pool_size
    dx = np.empty(x_shape, dy.dtype)
    factor, zero = dy.dtype.type(scale), dy.dtype.type(0)
    for image in prange(n):
        dx[image] = zero  # here, so that it is still in the cache when gradients are added
        for i in range(oh):
            for j in range(ow):
                gradient, winner = dy[image, i, j], winners[image, i, j]
                for ky in range(ph):
                    for kx in range(pw):
                        pixel = dx[image, i * stride[0] + ky, j * stride[1] + kx]
                        for c in range(channels):  # no jump to the winner: this way the loop runs in SIMD
                            pixel[c] += gradient[c] * factor if winner[c] == ky * pw + kx else zero
    return dx


@kernel
def avg_pool(x: Array, pool_size: Pair, stride: Pair) -> Array:
    """The mean of each window: (N, H, W, C) -> (N, OH, OW, C)."""
    n, height, width, channels = x.shape
    ph, pw = pool_size
    oh, ow = (height - ph) // stride[0] + 1, (width - pw) // stride[1] + 1
    y = np.zeros((n, oh, ow, channels), x.dtype)
    for image in prange(n):
        for i in range(oh):
            for j in range(ow):
                for ky in range(ph):
                    for kx in range(pw):
                        for c in range(channels):
                            y[image, i, j, c] += x[image, i * stride[0] + ky, j * stride[1] + kx, c]
                for c in range(channels):
                    y[image, i, j, c] /= ph * pw
    return y


@kernel
def avg_pool_backward(dy: Array, x_shape: Shape, pool_size: Pair, stride: Pair) -> Array:
    """Share each dy among the pixels of its window: (N, OH, OW, C) -> (N, H, W, C)."""
    n, oh, ow, channels = dy.shape
    ph, pw = pool_size
    dx = np.zeros(x_shape, dy.dtype)
    for image in prange(n):
        for i in range(oh):
            for j in range(ow):
                for ky in range(ph):
                    for kx in range(pw):
                        for c in range(channels):
                            dx[image, i * stride[0] + ky, j * stride[1] + kx, c] += dy[image, i, j, c] / (ph * pw)
    return dx
