"""The first layer by itself, beside its parts one after the other."""

import numpy as np
import pytest

from nncore.kernels import reference
from nncore.kernels.conv import choose as convolution

pytestmark = pytest.mark.skipif("direct" not in convolution.ALGORITHMS, reason="needs Numba and its SIMD vectors")

WINDOW = (2, 2), (2, 2)


@pytest.fixture(params=[np.float32, np.float64])
def case(request, rng):
    """x, kernel, bias, padding, and y by the definition."""
    n, height, width, channels = rng.integers(1, 5), *rng.integers(6, 20, 2), rng.integers(1, 4)
    size, filters = rng.integers(1, 6, 2), rng.integers(1, 40)
    padding = tuple(tuple(int(p) for p in rng.integers(0, 3, 2)) for _ in range(2))
    x = rng.standard_normal((n, height, width, channels)).astype(request.param)
    kernel, bias = rng.standard_normal((*size, channels, filters)), rng.standard_normal(filters)
    y = np.maximum(reference.conv2d(x.astype(np.float64), kernel, (1, 1), padding) + bias, 0)
    return x, kernel.astype(request.param), bias.astype(request.param), padding, y


def layer_of(case):
    x, kernel, bias, padding, _ = case
    return convolution.first_layer.convolved(x, kernel, bias, padding, ((0, 0), (0, 0)))


def close(ours, exact, dtype):
    tolerance = 2e-5 if dtype == np.float32 else 1e-13
    ours = ours.reshape(exact.shape)
    np.testing.assert_allclose(ours, exact, rtol=0, atol=tolerance * max(1.0, np.abs(exact).max(initial=0)))


def test_the_layer_and_its_gradients(case, rng):
    x, kernel, bias, padding, y = case
    ours = convolution.first_layer.forward(layer_of(case), len(bias))
    assert ours.dtype == x.dtype
    close(ours, y, x.dtype)
    dy = rng.standard_normal(y.shape)
    dy[(ours > 0) != (y > 0)] = 0  # where rounding decides
    dkernel, dbias = convolution.first_layer.backward(layer_of(case), dy.astype(x.dtype))
    dy = dy * (y > 0)
    close(dkernel, reference.conv2d_backward(x.astype(np.float64), kernel, dy, (1, 1), padding)[1], x.dtype)
    close(dbias, dy.sum((0, 1, 2)), x.dtype)


@pytest.mark.parametrize("dropout", [False, True])
def test_pooling_and_dropout_on_the_way(case, rng, dropout):
    x, kernel, bias, padding, y = case
    shape = reference.max_pool(y, *WINDOW)[0].shape
    kept, scale = (rng.random(shape) < 0.6, 1.7) if dropout else (None, 1.0)
    ours, winners = convolution.first_layer.forward_pool(layer_of(case), len(bias), kept, scale)
    expected, places = reference.max_pool(y, *WINDOW, kept, scale)
    close(ours, expected, x.dtype)
    dy = rng.standard_normal(shape)
    dy[(winners != np.where(expected == 0, 4, places))] = 0  # where rounding decides
    dkernel, dbias = convolution.first_layer.backward_pool(layer_of(case), winners, dy.astype(x.dtype), scale)
    dmiddle = reference.max_pool_backward(dy, places, y.shape, *WINDOW, scale) * (y > 0)
    close(dkernel, reference.conv2d_backward(x.astype(np.float64), kernel, dmiddle, (1, 1), padding)[1], x.dtype)
    close(dbias, dmiddle.sum((0, 1, 2)), x.dtype)


def test_no_images(rng):
    kernel, bias = np.ones((3, 3, 1, 5), np.float32), np.ones(5, np.float32)
    case = np.zeros((0, 8, 8, 1), np.float32), kernel, bias, ((0, 0), (0, 0)), None
    assert convolution.first_layer.forward(layer_of(case), 5).shape == (0, 6, 6, 5)
    dkernel, dbias = convolution.first_layer.backward(layer_of(case), np.zeros((0, 6, 6, 5), np.float32))
    assert not dkernel.any()
    assert not dbias.any()
