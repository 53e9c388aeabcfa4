"""What every kernel computes, said in plain NumPy: the definitions that the fast kernels are tested against.

They also do the work where Numba is missing or switched off.
"""

import numpy as np

from nncore.types import Array, Bytes, Integers, Mask, Padding, Pair, Shape


def output_size(size: Pair, window: Pair, stride: Pair, padding: Padding) -> Pair:
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


def matmul(a: Array, b: Array) -> Array:
    """The product (M, P) of a (M, D) and b (D, P)."""
    return a @ b


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


def conv2d(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """y[n, i, j, f] = sum over ky, kx, c of x[n, i * stride + ky, j * stride + kx, c] * kernel[ky, kx, c, f].

    (A cross-correlation, as in every deep-learning framework: the kernel is not flipped.)
    x: (N, H, W, C), zero outside; kernel: (KH, KW, C, F). Returns (N, OH, OW, F).
    """
    kh, kw, _, filters = kernel.shape
    size = output_size(x.shape[1:3], (kh, kw), stride, padding)
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    y = np.zeros((len(x), *size, filters), x.dtype)
    for ky in range(kh):
        for kx in range(kw):
            y += padded[window_slices(ky, kx, size, stride)] @ kernel[ky, kx]
    return y


def conv2d_backward(x: Array, kernel: Array, dy: Array, stride: Pair, padding: Padding) -> tuple[Array, Array]:
    """The gradients (dx, dw) of `conv2d`, from dy (N, OH, OW, F).

    Each product x * kernel in the sum of `conv2d` sends dy * kernel back to its x and dy * x to its kernel weight.
    """
    kh, kw, _, _ = kernel.shape
    size = dy.shape[1:3]
    (top, _), (left, _) = padding
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    dpadded = np.zeros_like(padded)
    dw = np.empty_like(kernel)
    for ky in range(kh):
        for kx in range(kw):
            window = window_slices(ky, kx, size, stride)
            dpadded[window] += dy @ kernel[ky, kx].T
            dw[ky, kx] = np.tensordot(padded[window], dy, axes=((0, 1, 2), (0, 1, 2)))
    return dpadded[:, top : top + x.shape[1], left : left + x.shape[2]], dw


def bias_relu(y: Array, bias: Array) -> Array:
    """ReLU(y + bias) in the place of y (N, H, W, C), which is returned; bias (C,)."""
    y += bias
    return np.maximum(y, 0, out=y)


def bias_relu_backward(dy: Array, y: Array) -> tuple[Array, Array]:
    """The gradients of `bias_relu`, which gave y, for its input (N, H, W, C) and its bias (C,)."""
    dx: Array = np.where(y > 0, dy, dy.dtype.type(0))
    return dx, dx.sum(axis=(0, 1, 2))


def channel_moments(x: Array) -> tuple[Array, Array]:
    """The mean and the variance of each channel (the last axis) over everything else, both (C,)."""
    axes = tuple(range(x.ndim - 1))
    return x.mean(axis=axes), x.var(axis=axes)


def batch_norm(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float, relu: bool) -> Array:
    """The result gamma * (x - mean) / sqrt(variance + epsilon) + beta, or ReLU of that.

    x: any shape, the channels last; mean, variance, gamma, beta: (C,). Source: see `nncore/layers/batchnorm.py`.
    """
    y: Array = (x - mean) * (gamma / np.sqrt(variance + epsilon)) + beta
    return np.maximum(y, 0) if relu else y


def batch_norm_backward(
    dy: Array, x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float, relu: bool
) -> tuple[Array, Array, Array]:
    """The gradients (dx, dgamma, dbeta) of `batch_norm`, where mean and variance are those of x, and move with it."""
    axes, deviation = tuple(range(x.ndim - 1)), np.sqrt(variance + epsilon)
    if relu:
        dy = np.where(batch_norm(x, mean, variance, gamma, beta, epsilon, False) <= 0, dy.dtype.type(0), dy)
    z = (x - mean) / deviation
    dgamma, dbeta = (dy * z).sum(axis=axes), dy.sum(axis=axes)
    count = x.size // x.shape[-1]
    return gamma / deviation * (dy - dbeta / count - z * dgamma / count), dgamma, dbeta


def max_pool(
    x: Array, pool_size: Pair, stride: Pair, kept: Mask | None = None, scale: float = 1.0
) -> tuple[Array, Integers]:
    """The largest value in each window, and where it stood: (y, winners), both (N, OH, OW, C).

    winners holds ky * PW + kx as int32. Of equal values the first in reading order wins. With dropout: y is multiplied
    by `scale` where `kept` (N, OH, OW, C), and zero elsewhere, where nobody wins (-1).
    """
    size = output_size(x.shape[1:3], pool_size, stride, ((0, 0), (0, 0)))
    y = np.full((len(x), *size, x.shape[3]), -np.inf, x.dtype)
    winners = np.zeros(y.shape, np.int32)
    for ky in range(pool_size[0]):
        for kx in range(pool_size[1]):
            value = x[window_slices(ky, kx, size, stride)]
            larger = (value > y) | np.isnan(value)  # a NaN must show, not vanish
            y = np.where(larger, value, y)
            winners[larger] = ky * pool_size[1] + kx
    if kept is not None:
        y, winners[~kept] = np.where(kept, y * scale, y.dtype.type(0)), -1
    return y, winners


def max_pool_backward(
    dy: Array, winners: Integers, x_shape: Shape, pool_size: Pair, stride: Pair, scale: float = 1.0
) -> Array:
    """Send each dy, times scale, to the pixel that won its window; the others get zero. Returns `x_shape`."""
    dx = np.zeros(x_shape, dy.dtype)
    for ky in range(pool_size[0]):
        for kx in range(pool_size[1]):
            won = winners == ky * pool_size[1] + kx
            dx[window_slices(ky, kx, dy.shape[1:3], stride)] += dy * won * scale
    return dx


def avg_pool(x: Array, pool_size: Pair, stride: Pair) -> Array:
    """The mean of each window. x: (N, H, W, C); returns (N, OH, OW, C)."""
    size = output_size(x.shape[1:3], pool_size, stride, ((0, 0), (0, 0)))
    y = np.zeros((len(x), *size, x.shape[3]), x.dtype)
    for ky in range(pool_size[0]):
        for kx in range(pool_size[1]):
            y += x[window_slices(ky, kx, size, stride)]
    return y / y.dtype.type(pool_size[0] * pool_size[1])


def avg_pool_backward(dy: Array, x_shape: Shape, pool_size: Pair, stride: Pair) -> Array:
    """Share each dy equally among the pixels of its window. Returns `x_shape`."""
    dx = np.zeros(x_shape, dy.dtype)
    share = dy / dy.dtype.type(pool_size[0] * pool_size[1])
    for ky in range(pool_size[0]):
        for kx in range(pool_size[1]):
            dx[window_slices(ky, kx, dy.shape[1:3], stride)] += share
    return dx


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


def adam(
    w: Array, gradient: Array, m: Array, v: Array, beta_1: float, beta_2: float, rate: float, epsilon: float, t: int
) -> None:
    """The t-th step of Adam, t from 1: changes w and its running moments m and v in place. All have one shape.

    Source: Kingma & Ba 2015, "Adam", algorithm 1.
    """
    m += (1 - beta_1) * (gradient - m)
    v += (1 - beta_2) * (gradient * gradient - v)
    w -= rate * (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def warp(images: Bytes, matrices: Array, grids: Array) -> Bytes:
    """Fetch each pixel from where an affine map and an elastic field say, by bilinear interpolation with zeros around.

    images: (N, H, W). matrices: (N, 2, 3), float64, take (y, x, 1), measured in pixels from the middle of the result,
    to the (y, x) of the source, measured from the middle of the original. grids: (N, 2, G, G) with G >= 4, float64,
    move the source further by so many pixels (y first) at the control points of a uniform cubic B-spline that spans
    the image; the outermost control points lie one step outside it. Returns (N, H, W), rounded half up.
    """
    n, height, width = images.shape
    rows, columns = _spline(height, grids.shape[2]), _spline(width, grids.shape[2])
    middle = np.array([[(height - 1) / 2], [(width - 1) / 2]])
    pixels = np.indices((height, width)).reshape(2, -1)
    points = np.concatenate([pixels - middle, np.ones((1, height * width))])
    out = np.empty_like(images)
    for image in range(n):
        field = rows @ grids[image] @ columns.T
        y, x = (matrices[image] @ points + middle).reshape(2, height, width) + field
        top, left = np.floor(y), np.floor(x)
        value = np.zeros((height, width))
        for i, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
            for j, column_weight in ((left, left + 1 - x), (left + 1, x - left)):
                inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
                source = images[image, i[inside].astype(int), j[inside].astype(int)]
                value[inside] += (row_weight * column_weight)[inside] * source
        out[image] = np.floor(value + 0.5)
    return out


def _spline(length: int, controls: int) -> Array:
    """Weights (length, controls): how far each control point of a uniform cubic B-spline reaches each pixel."""
    pixels = np.linspace(0, controls - 3, length)  # in steps from one control point to the next
    distance = np.abs(pixels[:, None] - np.arange(-1, controls - 1))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, (2 - distance) ** 3 / 6
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


def thicken(images: Bytes, amounts: Array) -> Bytes:
    """Mix each image with its dilation (amount 0 to 1) or its erosion (amount -1 to 0): thicker or thinner strokes.

    images: (N, H, W). amounts: (N,), float64. The dilation of a pixel is the largest, its erosion the smallest, of it
    and its four neighbours within the image. Returns (N, H, W), rounded half up.
    """
    p = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    cross = np.stack([images, p[:, :-2, 1:-1], p[:, 2:, 1:-1], p[:, 1:-1, :-2], p[:, 1:-1, 2:]])
    amounts = amounts[:, None, None]
    change = np.where(amounts > 0, cross.max(axis=0), cross.min(axis=0)) - images.astype(np.float64)
    out: Bytes = np.floor(images + np.abs(amounts) * change + 0.5).astype(np.uint8)
    return out


def draw_strokes(points: Array, radius: Array, softness: Array, size: int) -> Array:
    """Ink from 0 to 1 of paths drawn with a soft round pen, float32 (N, size, size).

    points: (N, P, 2), x to the right and y down in pixels, pixel (row i, column j) having its centre at
    (j + 0.5, i + 0.5); radius of the pen: (N, P) in pixels, changing evenly from point to point, and 0 where the pen is
    lifted: a segment with a 0 at either end is not drawn; softness: (N,), the pixels over which the edge fades.
    At distance d from a segment the ink is 0.5 + (radius - d) / softness, clipped to 0..1; the darkest segment counts.
    """
    ink = np.zeros((len(points), size, size), np.float32)
    centre = np.arange(size) + 0.5
    pixels = np.stack(np.meshgrid(centre, centre), axis=-1)
    for n in range(len(points)):
        for start, end, r0, r1 in zip(points[n], points[n, 1:], radius[n], radius[n, 1:], strict=False):
            if r0 > 0 and r1 > 0:
                along = end - start
                length2 = along @ along
                t = np.clip((pixels - start) @ along / length2, 0, 1) if length2 > 0 else np.zeros((size, size))
                distance = np.linalg.norm(pixels - start - t[..., None] * along, axis=-1)
                ink[n] = np.maximum(ink[n], np.clip(0.5 + (r0 + t * (r1 - r0) - distance) / softness[n], 0, 1))
    return ink
