"""A first layer inside the tiles of the second, beside both layers computed one after the other."""

import numpy as np
import pytest

from nncore.kernels import reference
from nncore.kernels.conv import choose as convolution

pytestmark = pytest.mark.skipif("winograd" not in convolution.ALGORITHMS, reason="winograd needs Numba")

ONE = 1, 1


def relative_error(a, exact):
    return np.sqrt(np.mean((a - exact) ** 2) / np.mean(exact**2))


def one_after_the_other(x, first, first_bias, kernel, bias, paddings, dy):
    """The results and gradients in float64, by the definition."""
    x, first, first_bias, kernel, bias, dy = (a.astype(np.float64) for a in (x, first, first_bias, kernel, bias, dy))
    middle = np.maximum(reference.conv2d(x, first, ONE, paddings[0]) + first_bias, 0)
    y = np.maximum(reference.conv2d(middle, kernel, ONE, paddings[1]) + bias, 0)
    dy = dy * (y > 0)
    dmiddle, dkernel = reference.conv2d_backward(middle, kernel, dy, ONE, paddings[1])
    dmiddle = dmiddle * (middle > 0)
    _, dfirst = reference.conv2d_backward(x, first, dmiddle, ONE, paddings[0])
    return y, dfirst, dmiddle.sum((0, 1, 2)), dkernel, dy.sum((0, 1, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_and_gradients_are_those_of_both_layers(rng, dtype, monkeypatch):
    monkeypatch.setattr(convolution.winograd, "best_tile", lambda *args, **options: convolution.winograd.Tile(4, 3))
    for _ in range(5):
        n, height, width, channels = rng.integers(1, 5), *rng.integers(8, 20, 2), rng.integers(1, 4)
        size, middle, filters = rng.integers(1, 6, 2), rng.integers(1, 40), rng.integers(1, 40)
        paddings = [tuple(tuple(int(p) for p in rng.integers(0, 3, 2)) for _ in range(2)) for _ in range(2)]
        x = rng.standard_normal((n, height, width, channels)).astype(dtype)
        first = rng.standard_normal((*size, channels, middle)).astype(dtype)
        kernel = rng.standard_normal((3, 3, middle, filters)).astype(dtype)
        first_bias, bias = rng.standard_normal(middle).astype(dtype), rng.standard_normal(filters).astype(dtype)
        source = convolution.first_layer.convolved(x, first, first_bias, *paddings)
        y = convolution.winograd.forward_relu(source, kernel, bias, paddings[1])
        dy = rng.standard_normal(y.shape).astype(dtype)
        expected = one_after_the_other(x, first, first_bias, kernel, bias, paddings, dy)
        if dtype == np.float32:  # where a sum is 0 but for rounding, ReLU may go the other way
            dy[(y == 0) != (expected[0] == 0)] = 0
            expected = one_after_the_other(x, first, first_bias, kernel, bias, paddings, dy)
        (dfirst, dfirst_bias), dkernel, dbias = convolution.winograd.backward_relu(source, kernel, y, dy, paddings[1])
        found = y, dfirst, dfirst_bias, dkernel, dbias
        for ours, exact in zip(found, expected, strict=True):
            assert ours.size == exact.size
            ours = ours.reshape(exact.shape)
            assert relative_error(ours, exact) < (1e-5 if dtype == np.float32 else 1e-13)


def test_pooled_on_the_way(rng):
    x, first = rng.standard_normal((3, 13, 12, 1), np.float32), rng.standard_normal((3, 3, 1, 20), np.float32)
    first_bias, none = rng.standard_normal(20, np.float32), ((0, 0), (0, 0))
    kernel, bias = rng.standard_normal((3, 3, 20, 17), np.float32), rng.standard_normal(17, np.float32)
    source = convolution.first_layer.convolved(x, first, first_bias, none, none)
    middle = np.maximum(reference.conv2d(x, first, ONE, none) + first_bias, 0)
    y, winners = convolution.winograd.forward_pool(source, kernel, bias, none)
    expected, same = convolution.winograd.forward_pool(middle, kernel, bias, none)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    assert (winners == same).mean() > 0.99
    dy = rng.standard_normal(y.shape, np.float32)
    (dfirst, dfirst_bias), dkernel, dbias = convolution.winograd.backward_pool(source, kernel, same, dy, none)
    dmiddle, expected_dkernel, expected_dbias = convolution.winograd.backward_pool(middle, kernel, same, dy, none)
    dmiddle = dmiddle * (middle > 0)
    expected_dfirst = reference.conv2d_backward(x, first, dmiddle, ONE, none)[1]
    assert relative_error(dfirst.reshape(first.shape), expected_dfirst) < 1e-5
    assert relative_error(dfirst_bias, dmiddle.sum((0, 1, 2))) < 1e-5
    assert relative_error(dkernel, expected_dkernel) < 1e-5
    assert relative_error(dbias, expected_dbias) < 1e-5
