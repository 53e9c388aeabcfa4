"""im2col and col2im with compiled loops: `layers/windows.py` has the picture and the definitions.

Both run in parallel over image rows. In col2im, a worker owns rows of the *result* and collects what falls on them, so
no two workers ever add to one pixel and the sum is taken in one order whatever the number of threads.
"""

import numpy as np
from numba import prange

from nncore.kernels.runtime import kernel
from nncore.types import Array, Padding, Pair, Shape


@kernel
def im2col(x: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Lay out each window as a row: (N, H, W, C) -> (N * OH * OW, KH * KW * C)."""
    n, height, width, channels = x.shape
    kh, kw = kernel_size
    (top, bottom), (left, right) = padding
    oh = (height + top + bottom - kh) // stride[0] + 1
    ow = (width + left + right - kw) // stride[1] + 1
    columns = np.empty((n * oh * ow, kh * kw * channels), x.dtype)
    for row in prange(n * oh):
        image, i = row // oh, row % oh
        for j in range(ow):
            window = columns[row * ow + j]
            at = 0
            for ky in range(kh):
                y = i * stride[0] + ky - top
                for kx in range(kw):
                    z = j * stride[1] + kx - left
                    if 0 <= y < height and 0 <= z < width:
                        for c in range(channels):
                            window[at + c] = x[image, y, z, c]
                    else:
                        for c in range(channels):
                            window[at + c] = 0
                    at += channels
    return columns


@kernel
def col2im(columns: Array, x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Add each row of columns back onto its window: (N * OH * OW, KH * KW * C) -> (N, H, W, C)."""
    n, height, width, channels = x_shape
    kh, kw = kernel_size
    (top, bottom), (left, right) = padding
    oh = (height + top + bottom - kh) // stride[0] + 1
    ow = (width + left + right - kw) // stride[1] + 1
    x = np.zeros(x_shape, columns.dtype)
    for row in prange(n * height):
        image, y = row // height, row % height
        for ky in range(kh):
            i, off_step = divmod(y + top - ky, stride[0])
            if off_step != 0 or i < 0 or i >= oh:
                continue
            for j in range(ow):
                window = columns[(image * oh + i) * ow + j]
                for kx in range(kw):
                    z = j * stride[1] + kx - left
                    if 0 <= z < width:
                        at = (ky * kw + kx) * channels
                        for c in range(channels):
                            x[image, y, z, c] += window[at + c]
    return x
