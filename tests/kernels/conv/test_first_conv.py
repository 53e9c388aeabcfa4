"""A first convolution, in tiles of the second and by itself, beside the layers one after the other."""

import numpy as np
import pytest

from nncore import kernels
from tests.kernels import plain

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels.conv import first_conv, winograd
from nncore.kernels.pooling import NOBODY

ONE = 1, 1


def relative_error(a, exact):
    return np.sqrt(np.mean((a - exact) ** 2) / np.mean(exact**2))


def one_after_the_other(x, first, first_bias, kernel, bias, paddings, dy):
    """The results and gradients in float64, by the definition."""
    x, first, first_bias, kernel, bias, dy = (a.astype(np.float64) for a in (x, first, first_bias, kernel, bias, dy))
    middle = np.maximum(plain.conv2d(x, first, ONE, paddings[0]) + first_bias, 0)
    y = np.maximum(plain.conv2d(middle, kernel, ONE, paddings[1]) + bias, 0)
    dy = dy * (y > 0)
    dmiddle, dkernel = plain.conv2d_backward(middle, kernel, dy, ONE, paddings[1])
    dmiddle = dmiddle * (middle > 0)
    _, dfirst = plain.conv2d_backward(x, first, dmiddle, ONE, paddings[0])
    return y, dfirst, dmiddle.sum((0, 1, 2)), dkernel, dy.sum((0, 1, 2))


def test_results_and_gradients_are_those_of_both_layers(rng, monkeypatch):
    monkeypatch.setattr(winograd, "best_tile", lambda *args, **options: winograd.Tile(6, 3))
    dtype = np.float32  # the gradient check runs the same in float64
    for _ in range(5):
        n, height, width, channels = rng.integers(1, 5), *rng.integers(8, 20, 2), rng.integers(1, 4)
        size, middle, filters = rng.integers(1, 6, 2), rng.integers(1, 40), rng.integers(1, 40)
        paddings = [tuple(tuple(int(p) for p in rng.integers(0, 3, 2)) for _ in range(2)) for _ in range(2)]
        x = rng.standard_normal((n, height, width, channels)).astype(dtype)
        first = rng.standard_normal((*size, channels, middle)).astype(dtype)
        kernel = rng.standard_normal((3, 3, middle, filters)).astype(dtype)
        first_bias, bias = rng.standard_normal(middle).astype(dtype), rng.standard_normal(filters).astype(dtype)
        source = first_conv.first_conv(x, first, first_bias, *paddings)
        y = winograd.forward_relu(source, kernel, bias, paddings[1])
        dy = rng.standard_normal(y.shape).astype(dtype)
        expected = one_after_the_other(x, first, first_bias, kernel, bias, paddings, dy)
        dy[(y == 0) != (expected[0] == 0)] = 0  # where a sum is 0 but for rounding, ReLU may go the other way
        expected = one_after_the_other(x, first, first_bias, kernel, bias, paddings, dy)
        (dfirst, dfirst_bias), dkernel, dbias = winograd.backward_relu(source, kernel, y, dy, paddings[1])
        found = y, dfirst, dfirst_bias, dkernel, dbias
        for ours, exact in zip(found, expected, strict=True):
            assert ours.size == exact.size
            ours = ours.reshape(exact.shape)
            assert relative_error(ours, exact) < 1e-5


def test_pooled_on_the_way(rng):
    x, first = rng.standard_normal((3, 13, 12, 1), np.float32), rng.standard_normal((3, 3, 1, 20), np.float32)
    first_bias, none = rng.standard_normal(20, np.float32), ((0, 0), (0, 0))
    kernel, bias = rng.standard_normal((3, 3, 20, 17), np.float32), rng.standard_normal(17, np.float32)
    source = first_conv.first_conv(x, first, first_bias, none, none)
    middle = np.maximum(plain.conv2d(x, first, ONE, none) + first_bias, 0)
    y, winners = winograd.forward_pool(source, kernel, bias, none)
    expected, same = winograd.forward_pool(middle, kernel, bias, none)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    assert (winners == same).mean() > 0.99
    dy = rng.standard_normal(y.shape, np.float32)
    (dfirst, dfirst_bias), dkernel, dbias = winograd.backward_pool(source, kernel, same, dy, none)
    dmiddle, expected_dkernel, expected_dbias = winograd.backward_pool(middle, kernel, same, dy, none)
    dmiddle = dmiddle * (middle > 0)
    expected_dfirst = plain.conv2d_backward(x, first, dmiddle, ONE, none)[1]
    assert relative_error(dfirst.reshape(first.shape), expected_dfirst) < 1e-5
    assert relative_error(dfirst_bias, dmiddle.sum((0, 1, 2))) < 1e-5
    assert relative_error(dkernel, expected_dkernel) < 1e-5
    assert relative_error(dbias, expected_dbias) < 1e-5


# By itself


WINDOW = (2, 2), (2, 2)


@pytest.fixture(params=[np.float32])
def case(request, rng):
    """x, kernel, bias, padding, and y by the definition."""
    n, height, width, channels = rng.integers(1, 5), *rng.integers(6, 20, 2), rng.integers(1, 4)
    size, filters = rng.integers(1, 6, 2), rng.integers(1, 40)
    padding = tuple(tuple(int(p) for p in rng.integers(0, 3, 2)) for _ in range(2))
    x = rng.standard_normal((n, height, width, channels)).astype(request.param)
    kernel, bias = rng.standard_normal((*size, channels, filters)), rng.standard_normal(filters)
    y = np.maximum(plain.conv2d(x.astype(np.float64), kernel, (1, 1), padding) + bias, 0)
    return x, kernel.astype(request.param), bias.astype(request.param), padding, y


def layer_of(case):
    x, kernel, bias, padding, _ = case
    return first_conv.first_conv(x, kernel, bias, padding, ((0, 0), (0, 0)))


def close(ours, exact, dtype):
    tolerance = 2e-5 if dtype == np.float32 else 1e-13
    ours = ours.reshape(exact.shape)
    np.testing.assert_allclose(ours, exact, rtol=0, atol=tolerance * max(1.0, np.abs(exact).max(initial=0)))


def test_the_layer_and_its_gradients(case, rng):
    x, kernel, bias, padding, y = case
    ours = first_conv.forward(layer_of(case), len(bias))
    assert ours.dtype == x.dtype
    close(ours, y, x.dtype)
    dy = rng.standard_normal(y.shape)
    dy[(ours > 0) != (y > 0)] = 0  # where rounding decides
    dkernel, dbias = first_conv.backward(layer_of(case), dy.astype(x.dtype))
    dy = dy * (y > 0)
    close(dkernel, plain.conv2d_backward(x.astype(np.float64), kernel, dy, (1, 1), padding)[1], x.dtype)
    close(dbias, dy.sum((0, 1, 2)), x.dtype)


@pytest.mark.parametrize("dropout", [False, True])
def test_pooling_and_dropout_on_the_way(case, rng, dropout):
    x, kernel, bias, padding, y = case
    shape = plain.max_pool(y, *WINDOW)[0].shape
    kept, scale = (rng.random(shape) < 0.6, 1.7) if dropout else (None, 1.0)
    ours, winners = first_conv.forward_pool(layer_of(case), len(bias), kept, scale)
    expected, places = plain.max_pool(y, *WINDOW, kept, scale)
    close(ours, expected, x.dtype)
    dy = rng.standard_normal(shape)
    dy[(winners != np.where(expected == 0, NOBODY, places))] = 0  # where rounding decides
    dkernel, dbias = first_conv.backward_pool(layer_of(case), winners, dy.astype(x.dtype), scale)
    dmiddle = plain.max_pool_backward(dy, places, y.shape, *WINDOW, scale) * (y > 0)
    close(dkernel, plain.conv2d_backward(x.astype(np.float64), kernel, dmiddle, (1, 1), padding)[1], x.dtype)
    close(dbias, dmiddle.sum((0, 1, 2)), x.dtype)


def test_no_images(rng):
    kernel, bias = np.ones((3, 3, 1, 5), np.float32), np.ones(5, np.float32)
    case = np.zeros((0, 8, 8, 1), np.float32), kernel, bias, ((0, 0), (0, 0)), None
    assert first_conv.forward(layer_of(case), 5).shape == (0, 6, 6, 5)
    dkernel, dbias = first_conv.backward(layer_of(case), np.zeros((0, 6, 6, 5), np.float32))
    assert not dkernel.any()
    assert not dbias.any()
