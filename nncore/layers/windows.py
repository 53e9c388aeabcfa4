"""Windows on an image: what convolution and pooling look through, a step at a time."""

import numpy as np

from nncore.types import Array, Padding, Pair, Shape

NO_PADDING: Padding = ((0, 0), (0, 0))


def output_size(size: Pair, window: Pair, stride: Pair, padding: Padding = NO_PADDING) -> Pair:
    """How many whole steps a window makes over an image of (height, width), its padding included."""
    (top, bottom), (left, right) = padding
    return (
        (size[0] + top + bottom - window[0]) // stride[0] + 1,
        (size[1] + left + right - window[1]) // stride[1] + 1,
    )


def window_slices(ky: int, kx: int, size: Pair, stride: Pair) -> tuple[slice, slice, slice]:
    """What position (ky, kx) of a window sees as the window makes `size` steps over a batch of images.

    For 3 steps of 2 rows, the window's row ky = 1 sees the rows 1, 3 and 5 of the image.
    """
    rows = slice(ky, ky + stride[0] * size[0], stride[0])
    columns = slice(kx, kx + stride[1] * size[1], stride[1])
    return slice(None), rows, columns


def im2col(x: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Lay out each window of the images as a row, so that a convolution becomes a matrix product.

        image (one channel)     windows 2x2      columns
            1 2 3               1 2   2 3        1 2 4 5
            4 5 6        ->     4 5   5 6   ->   2 3 5 6
            7 8 9               4 5   5 6        4 5 7 8
                                7 8   8 9        5 6 8 9

    x: (N, H, W, C). Returns (N * OH * OW, KH * KW * C), a row's entries in the order ky, kx, c.
    """
    n, height, width, channels = x.shape
    kh, kw = kernel_size
    oh, ow = output_size((height, width), kernel_size, stride, padding)
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    columns = np.empty((n, oh, ow, kh, kw, channels), x.dtype)
    for ky in range(kh):
        for kx in range(kw):
            columns[:, :, :, ky, kx] = padded[window_slices(ky, kx, (oh, ow), stride)]
    return columns.reshape(n * oh * ow, kh * kw * channels)


def col2im(columns: Array, x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Add each row of columns back onto the window it came from: the transpose of `im2col`.

    A pixel that k windows saw receives k contributions. columns: (N * OH * OW, KH * KW * C); returns `x_shape`.
    """
    n, height, width, channels = x_shape
    kh, kw = kernel_size
    oh, ow = output_size((height, width), kernel_size, stride, padding)
    (top, bottom), (left, right) = padding
    windows = columns.reshape(n, oh, ow, kh, kw, channels)
    padded = np.zeros((n, height + top + bottom, width + left + right, channels), columns.dtype)
    for ky in range(kh):
        for kx in range(kw):
            padded[window_slices(ky, kx, (oh, ow), stride)] += windows[:, :, :, ky, kx]
    return padded[:, top : top + height, left : left + width]
