"""Images distorted and drawn. `data/augment.py` defines `warp` and `thicken`, `data/strokes/synthetic.py` draw_strokes.

Parallel over images, each of which stands by itself: the numbers are the same for any number of threads.
"""

import numpy as np
from numba import prange

from nncore.kernels.runtime import kernel
from nncore.types import Array, Bytes, Integers


@kernel(cached=False)
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


@kernel(cached=False)
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


@kernel
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


@kernel
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


@kernel
def draw_strokes(points: Array, radius: Array, softness: Array, size: int) -> Array:
    """Ink from 0 to 1 of paths drawn with a soft round pen: (N, P, 2) -> (N, size, size).

    A segment can only ink the pixels near it, so each looks at its own small rectangle of the image.
    """
    ink = np.zeros((len(points), size, size), np.float32)
    for n in prange(len(points)):
        soft = softness[n]
        for p in range(points.shape[1] - 1):
            r0, r1 = radius[n, p], radius[n, p + 1]
            if r0 <= 0 or r1 <= 0:
                continue
            x0, y0, x1, y1 = points[n, p, 0], points[n, p, 1], points[n, p + 1, 0], points[n, p + 1, 1]
            dx, dy = x1 - x0, y1 - y0
            length2 = dx * dx + dy * dy
            reach = max(r0, r1) + soft / 2
            left = max(int(np.floor(min(x0, x1) - reach)), 0)
            right = min(int(np.ceil(max(x0, x1) + reach)), size)
            top = max(int(np.floor(min(y0, y1) - reach)), 0)
            bottom = min(int(np.ceil(max(y0, y1) + reach)), size)
            for i in range(top, bottom):
                for j in range(left, right):
                    x, y = j + 0.5 - x0, i + 0.5 - y0
                    t = min(max((x * dx + y * dy) / length2, 0.0), 1.0) if length2 > 0 else 0.0
                    distance = np.hypot(x - t * dx, y - t * dy)
                    level = 0.5 + (r0 + t * (r1 - r0) - distance) / soft
                    ink[n, i, j] = max(ink[n, i, j], min(level, 1.0))
    return ink
