"""Drawing with a pen in Numba: see `reference.py` for the definition. Parallel over images.

A segment can only ink the pixels near it, so each looks at its own small rectangle of the image.
"""

import numpy as np
from numba import njit, prange

from nncore.kernels.cache import CACHE
from nncore.types import Array


@njit(parallel=True, cache=CACHE)
def draw_strokes(points: Array, radius: Array, softness: Array, size: int) -> Array:
    """Ink from 0 to 1 of paths drawn with a soft round pen: (N, P, 2) -> (N, size, size)."""
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
