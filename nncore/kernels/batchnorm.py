"""Batch normalisation, with or without the ReLU that follows it: `layers/batchnorm.py` is the definition.

Parallel over images. Each has sums of its own, added up in one order whatever the number of threads. The loops over
channels run in SIMD, for which numbers must be of the arrays' own type: a plain 0 would turn them into float64.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from nncore.kernels.runtime import kernel
from nncore.types import Array


@kernel
def _image_moments(x: Array, means: Array, variances: Array) -> None:
    # In float64: where the mean is much larger than the deviation, sums in float32 lose the latter.
    n, pixels, channels = x.shape
    for image in prange(n):
        mean, variance = means[image], variances[image]
        for p in range(pixels):
            pixel = x[image, p]
            for c in range(channels):
                mean[c] += pixel[c]
        for c in range(channels):
            mean[c] /= pixels
        for p in range(pixels):  # the image is still in the cache
            pixel = x[image, p]
            for c in range(channels):
                variance[c] += (pixel[c] - mean[c]) ** 2
        for c in range(channels):
            variance[c] /= pixels


class Affine(NamedTuple):
    """y = max((x - mean) * scale + beta, floor), with the constants of a channel each, (C,)."""

    mean: Array
    scale: Array
    beta: Array
    floor: Any  # 0 where a ReLU follows, else minus infinity
    zero: Any  # 0 of the arrays' type


@kernel
def _normalize(x: Array, affine: Affine, y: Array) -> None:
    mean, scale, beta, floor = affine.mean, affine.scale, affine.beta, affine.floor
    n, pixels, channels = x.shape
    for image in prange(n):
        for p in range(pixels):
            pixel, result = x[image, p], y[image, p]
            for c in range(channels):
                value = (pixel[c] - mean[c]) * scale[c] + beta[c]
                result[c] = floor if value < floor else value  # in this form, a NaN stays one


@kernel
def _sum_gradients(dy: Array, x: Array, affine: Affine, sums: Array) -> None:
    mean, scale, beta, floor, zero = affine
    n, pixels, channels = x.shape
    for image in prange(n):
        plain, weighted = sums[image, 0], sums[image, 1]
        for p in range(pixels):
            pixel, above = x[image, p], dy[image, p]
            for c in range(channels):
                distance = pixel[c] - mean[c]
                gradient = zero if distance * scale[c] + beta[c] <= floor else above[c]
                plain[c] += gradient
                weighted[c] += gradient * distance


@kernel
def _gradient(dy: Array, x: Array, affine: Affine, shift: Array, slope: Array, dx: Array) -> None:
    mean, scale, beta, floor, zero = affine
    n, pixels, channels = x.shape
    for image in prange(n):
        for p in range(pixels):
            pixel, above, below = x[image, p], dy[image, p], dx[image, p]
            for c in range(channels):
                distance = pixel[c] - mean[c]
                gradient = zero if distance * scale[c] + beta[c] <= floor else above[c]
                below[c] = scale[c] * (gradient - shift[c] - distance * slope[c])


def channel_moments(x: Array) -> tuple[Array, Array]:
    """The mean and the variance of each channel (the last axis) over everything else, both (C,)."""
    images = _images(x)
    means, variances = np.zeros((2, len(images), images.shape[2]))
    _image_moments(images, means, variances)
    # All images are of one size: the variance is that within the images, on average, and that of their means.
    variance = variances.mean(axis=0) + means.var(axis=0)
    return means.mean(axis=0).astype(x.dtype), variance.astype(x.dtype)


def batch_norm(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float, relu: bool) -> Array:
    """The result gamma * (x - mean) / sqrt(variance + epsilon) + beta, or ReLU of that. The last axis is C."""
    y = np.empty(x.shape, x.dtype)
    _normalize(_images(x), _affine(x, mean, gamma / np.sqrt(variance + epsilon), beta, relu), _images(y))
    return y


def batch_norm_backward(
    dy: Array, x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float, relu: bool
) -> tuple[Array, Array, Array]:
    """The gradients (dx, dgamma, dbeta) of `batch_norm`, where mean and variance are those of x."""
    count, deviation = x.size // x.shape[-1], np.sqrt(variance + epsilon)
    affine, dy_images, images = _affine(x, mean, gamma / deviation, beta, relu), _images(dy), _images(x)
    sums = np.zeros((len(x), 2, x.shape[-1]), x.dtype)
    _sum_gradients(dy_images, images, affine, sums)
    dbeta, weighted = sums.sum(axis=0)
    dgamma = weighted / deviation
    dx, shift, slope = np.empty(x.shape, x.dtype), dbeta / count, dgamma / deviation / count
    _gradient(dy_images, images, affine, shift, slope, _images(dx))
    return dx, dgamma, dbeta


def _images(x: Array) -> Array:
    """The array as (N, pixels, C), the same memory if it lies in one piece."""
    return np.ascontiguousarray(x).reshape(len(x), math.prod(x.shape[1:-1]), x.shape[-1])


def _affine(x: Array, mean: Array, scale: Array, beta: Array, relu: bool) -> Affine:
    number = x.dtype.type
    return Affine(mean, scale, beta, number(0 if relu else -np.inf), number(0))
