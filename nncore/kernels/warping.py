"""Moving ink in Numba: affine and elastic distortion, and stroke thickness. See `reference.py` for the definitions.

Both run in parallel over images, each of which stands by itself: the numbers are the same for any number of threads.
"""

import numpy as np
from numba import njit, prange

from nncore.kernels.cache import CACHE
from nncore.types import Array, Bytes, Integers


@njit(cache=CACHE)
def _spline(length: int, controls: int) -> tuple[Integers, Array]:
    """For each pixel of a side, its first control point, and the weights (length, 4) of that and the next three."""
    first = np.empty(length, np.int64)
    weights = np.empty((length, 4))
    for i in range(length):
        u = i * (controls - 3) / max(length - 1, 1)
        first[i] = min(int(u), controls - 4)
        t = u - first[i]
        weights[i, 0] = (1 - t) ** 3 / 6
        weights[i, 1] = 2 / 3 - t**2 + t**3 / 2
        weights[i, 2] = 2 / 3 - (1 - t) ** 2 + (1 - t) ** 3 / 2
        weights[i, 3] = t**3 / 6
    return first, weights


@njit(cache=CACHE)
def _sample(image: Bytes, y: float, x: float) -> float:
    """Bilinear interpolation at (y, x), with zeros around the image."""
    height, width = image.shape
    if not (-1 < y < height and -1 < x < width):
        return 0.0
    top, left = int(np.floor(y)), int(np.floor(x))
    v, h = y - top, x - left
    value = 0.0
    if top >= 0:
        if left >= 0:
            value += (1 - v) * (1 - h) * image[top, left]
        if left < width - 1:
            value += (1 - v) * h * image[top, left + 1]
    if top < height - 1:
        if left >= 0:
            value += v * (1 - h) * image[top + 1, left]
        if left < width - 1:
            value += v * h * image[top + 1, left + 1]
    return value


@njit(parallel=True, cache=CACHE)
def warp(images: Bytes, matrices: Array, grids: Array) -> Bytes:
    """Fetch each pixel from where an affine map and an elastic field say: (N, H, W) -> (N, H, W)."""
    n, height, width = images.shape
    controls = grids.shape[2]
    first_row, row_weights = _spline(height, controls)
    first_column, column_weights = _spline(width, controls)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    out = np.empty_like(images)
    for image in prange(n):
        m = matrices[image]
        line = np.empty((2, controls))  # the control points, interpolated to the height of one row of pixels
        for i in range(height):
            for axis in range(2):
                for k in range(controls):
                    line[axis, k] = 0
                    for a in range(4):
                        line[axis, k] += row_weights[i, a] * grids[image, axis, first_row[i] + a, k]
            for j in range(width):
                y = m[0, 0] * (i - middle_y) + m[0, 1] * (j - middle_x) + m[0, 2] + middle_y
                x = m[1, 0] * (i - middle_y) + m[1, 1] * (j - middle_x) + m[1, 2] + middle_x
                for b in range(4):
                    y += column_weights[j, b] * line[0, first_column[j] + b]
                    x += column_weights[j, b] * line[1, first_column[j] + b]
                out[image, i, j] = int(_sample(images[image], y, x) + 0.5)
    return out


@njit(parallel=True, cache=CACHE)
def thicken(images: Bytes, amounts: Array) -> Bytes:
    """Mix each image with its dilation (amount above 0) or erosion (below 0): (N, H, W) -> (N, H, W)."""
    n, height, width = images.shape
    out = np.empty_like(images)
    for image in prange(n):
        x, amount = images[image], amounts[image]
        for i in range(height):
            above, below = max(i - 1, 0), min(i + 1, height - 1)
            for j in range(width):
                left, right = max(j - 1, 0), min(j + 1, width - 1)
                if amount > 0:
                    extreme = max(x[i, j], x[above, j], x[below, j], x[i, left], x[i, right])
                else:
                    extreme = min(x[i, j], x[above, j], x[below, j], x[i, left], x[i, right])
                out[image, i, j] = int(x[i, j] + abs(amount) * (float(extreme) - x[i, j]) + 0.5)
    return out
