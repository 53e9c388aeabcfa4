"""Bias and ReLU in one pass, beside the layers one after the other."""

import numpy as np
import pytest

from nncore import kernels
from nncore.layers import ReLU
from tests.kernels import plain

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels import activation


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 4, 7), (2, 3, 3, 64), (0, 4, 4, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_passes_are_those_of_the_layers(rng, shape, dtype):
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    bias = rng.standard_normal(shape[3]).astype(dtype)
    x[..., 0] = -bias[0]  # a zero before ReLU passes no gradient on
    layers = [plain.Bias(bias), ReLU()]
    expected, expected_dx = plain.row(layers, x, dy)
    y = activation.bias_relu(x, bias)
    assert y is x  # in place
    np.testing.assert_array_equal(y, expected)
    dx, db = activation.bias_relu_backward(dy, y)
    np.testing.assert_array_equal(dx, expected_dx)
    expected_db = layers[0].gradients["bias"]
    np.testing.assert_allclose(db, expected_db, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-5)
    assert (y.dtype, dx.dtype, db.dtype) == (dtype,) * 3


def test_a_nan_shows():
    y = activation.bias_relu(np.full((1, 1, 1, 2), np.nan, np.float32), np.zeros(2, np.float32))
    assert np.isnan(y).all()
