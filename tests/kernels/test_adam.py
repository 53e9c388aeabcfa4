"""Steps of Adam in one pass, beside the definition."""

import numpy as np
import pytest

from nncore import kernels, optimizers

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels.adam import adam

STEPS = 3


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 3), (2**16 + 5,), (2, 1, 2**15 + 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_are_those_of_the_definition(rng, shape, dtype):
    w = rng.standard_normal(shape).astype(dtype)
    m, v = np.zeros_like(w), np.zeros_like(w)
    plain = [array.copy() for array in (w, m, v)]
    for t in range(1, STEPS + 1):
        gradient = rng.standard_normal(shape).astype(dtype)
        kept = gradient.copy()
        options = ((0.8, 0.97), 0.01, 1e-3, t)
        adam(w, gradient, m, v, *options)
        optimizers.adam.__wrapped__(plain[0], gradient, *plain[1:], *options)
        np.testing.assert_array_equal(gradient, kept)
        for array, expected in zip((w, m, v), plain, strict=True):
            assert array.dtype == dtype
            np.testing.assert_allclose(array, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


def test_a_gradient_that_does_not_lie_in_one_piece(rng):
    gradient = rng.standard_normal((6, 4)).T[::2]
    results = []
    for each in (gradient, gradient.copy()):
        w, m, v = np.zeros((3, 2, 6))
        adam(w, each, m, v, (0.9, 0.999), 0.1, 1e-8, 1)
        results.append(w)
    np.testing.assert_array_equal(*results)


def test_parameters_that_do_not_lie_in_one_piece_are_refused_rather_than_left_as_they_are():
    w, m, v = (np.zeros((4, 3)).T for _ in range(3))
    with pytest.raises(ValueError, match="copy"):
        adam(w, np.ones((3, 4)), m, v, (0.9, 0.999), 0.1, 1e-8, 1)


def test_a_nan_shows_and_a_zero_gradient_moves_nothing():
    w, m, v = np.ones((3, 3), np.float32)
    m[:] = v[:] = 0
    adam(w, np.array([np.nan, 0, 1], np.float32), m, v, (0.9, 0.999), 0.1, 1e-8, 1)
    assert np.isnan(w[0])
    assert w[1] == 1
    assert w[2] == pytest.approx(0.9, rel=1e-5)
