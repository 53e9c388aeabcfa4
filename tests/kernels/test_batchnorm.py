"""Batch normalisation in few passes, beside the layers."""

import numpy as np
import pytest

from nncore import kernels
from tests.kernels import plain

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels import batchnorm

SHAPES = [(1, 1), (5, 3), (4, 3, 2), (3, 5, 4, 7), (2, 3, 3, 64), (1, 7, 1, 33), (2, 2, 3, 2, 5)]
TOLERANCE = {np.float32: 5e-6, np.float64: 1e-13}


def example(rng, shape, dtype):
    """x with a mean and a deviation of its own in each channel, dy, gamma of both signs, beta."""
    channels = shape[-1]
    x = rng.standard_normal(shape) * rng.uniform(0.5, 4, channels) + rng.normal(0, 3, channels)
    others = rng.standard_normal(shape), rng.standard_normal(channels), rng.standard_normal(channels)
    return [array.astype(dtype) for array in (x, *others)]


def assert_close(array, expected, dtype):
    """Relative root mean square error."""
    assert array.dtype == dtype
    assert array.shape == expected.shape
    error = np.sqrt(np.mean((array - expected) ** 2.0))
    assert error <= TOLERANCE[dtype] * max(np.sqrt(np.mean(expected**2.0)), 1e-3)


def by_layers(x, dy, gamma, beta, relu):
    """y, dx, dgamma, dbeta and the running moments, in float64."""
    x, dy, gamma, beta = (array.astype(np.float64) for array in (x, dy, gamma, beta))
    norm, *others = plain.batch_norm(x.shape[-1], np.float64, 1e-3, relu)
    norm.parameters.update(gamma=gamma, beta=beta)
    y, dx = plain.row([norm, *others], x, dy)
    return y, dx, norm.gradients["gamma"], norm.gradients["beta"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("relu", [False, True])
def test_all_passes_are_those_of_the_layers(rng, shape, dtype, relu):
    x, dy, gamma, beta = example(rng, shape, dtype)
    kept = x.copy(), dy.copy()
    axes = tuple(range(x.ndim - 1))
    mean, variance = batchnorm.channel_moments(x)
    assert_close(mean, x.mean(axis=axes, dtype=np.float64), dtype)
    assert_close(variance, x.var(axis=axes, dtype=np.float64), dtype)
    y = batchnorm.batch_norm(x, mean, variance, gamma, beta, 1e-3, relu)
    dy[(y == 0) != (by_layers(x, dy, gamma, beta, relu)[0] == 0)] = 0  # where rounding decides about ReLU
    kept = x.copy(), dy.copy()
    gradients = batchnorm.batch_norm_backward(dy, x, mean, variance, gamma, beta, 1e-3, relu)
    if x.size > shape[-1]:  # of one number, all is rounding
        for array, expected in zip((y, *gradients), by_layers(x, dy, gamma, beta, relu), strict=True):
            assert_close(array, expected, dtype)
    for array, before in zip((x, dy), kept, strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_errors_on_large_images_are_as_small(rng, offset):
    x, dy, gamma, beta = example(rng, (4, 64, 64, 5), np.float32)
    x += np.float32(offset)
    mean, variance = batchnorm.channel_moments(x)
    assert_close(mean, x.mean(axis=(0, 1, 2), dtype=np.float64), np.float32)
    assert_close(variance, x.var(axis=(0, 1, 2), dtype=np.float64), np.float32)
    gradients = batchnorm.batch_norm_backward(dy, x, mean, variance, gamma, beta, 1e-3, False)
    _, dx, dgamma, dbeta = by_layers(x, dy, gamma, beta, False)
    assert_close(gradients[0], dx, np.float32)
    np.testing.assert_allclose(gradients[1], dgamma, atol=5e-6 * np.sqrt((dy**2).sum()))
    np.testing.assert_allclose(gradients[2], dbeta, atol=5e-6 * np.sqrt((dy**2).sum()))


def test_arrays_that_do_not_lie_in_one_piece(rng):
    x, dy, gamma, beta = example(rng, (6, 4, 5, 3), np.float64)
    pieces = [array.transpose(2, 1, 0, 3)[::-2] for array in (x, dy)]
    results = []
    for a, b in (pieces, [piece.copy() for piece in pieces]):
        moments = batchnorm.channel_moments(a)
        results.append([*moments, batchnorm.batch_norm(a, *moments, gamma, beta, 1e-3, True)])
        results[-1] += batchnorm.batch_norm_backward(b, a, *moments, gamma, beta, 1e-3, True)
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_a_nan_shows_in_its_channel_only(rng):
    x, dy, gamma, beta = example(rng, (2, 3, 3, 4), np.float32)
    x[1, 2, 0, 2] = np.nan
    mean, variance = batchnorm.channel_moments(x)
    y = batchnorm.batch_norm(x, mean, variance, gamma, beta, 1e-3, True)
    dx, dgamma, _ = batchnorm.batch_norm_backward(dy, x, mean, variance, gamma, beta, 1e-3, True)
    for array in (y, dx, dgamma, mean, variance):
        assert np.isnan(array[..., 2]).all()
        assert np.isfinite(np.delete(array, 2, axis=-1)).all()


def test_no_image_gives_none():
    x, channel = np.zeros((0, 4, 4, 3)), np.ones(3)
    assert batchnorm.batch_norm(x, channel, channel, channel, channel, 1e-3, True).shape == x.shape
