import numpy as np
import pytest

from nncore import kernels
from tests.kernels import plain

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels import pooling


def geometry(rng, dtype):
    n, height, width, channels = (int(rng.integers(1, high)) for high in (5, 12, 12, 6))
    window = int(rng.integers(1, min(4, height) + 1)), int(rng.integers(1, min(4, width) + 1))
    stride = tuple(int(step) for step in rng.integers(1, 5, 2))
    return rng.standard_normal((n, height, width, channels)).astype(dtype), window, stride


def assert_agree(rng, x, window, stride):
    y, winners = pooling.max_pool(x, window, stride)
    plain_y, plain_winners = plain.max_pool(x, window, stride)
    assert (y.dtype, winners.dtype) == (x.dtype, np.int32)
    np.testing.assert_array_equal(y, plain_y)
    np.testing.assert_array_equal(winners, plain_winners)

    mean = pooling.avg_pool(x, window, stride)
    assert mean.dtype == x.dtype
    eps = np.finfo(x.dtype).eps
    np.testing.assert_allclose(mean, plain.avg_pool(x, window, stride), rtol=4 * eps, atol=16 * eps)

    # Windows overlap at most 16 times; the sums are taken in another order.
    dy = rng.standard_normal(y.shape).astype(x.dtype)
    for name, arguments in (("max_pool_backward", (dy, winners)), ("avg_pool_backward", (dy,))):
        fast, expected = (getattr(m, name)(*arguments, x.shape, window, stride) for m in (pooling, plain))
        assert (fast.dtype, fast.shape) == (x.dtype, x.shape)
        np.testing.assert_allclose(fast, expected, rtol=0, atol=64 * eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", range(8))
def test_random_shapes_agree_with_the_definition(rng, dtype, case):
    assert_agree(rng, *geometry(rng, dtype))


@pytest.mark.parametrize("case", range(4))
def test_repeated_values_have_the_same_winners(rng, case):
    x, window, stride = geometry(rng, np.float32)
    assert_agree(rng, np.round(x), window, stride)
    assert_agree(rng, np.zeros_like(x), window, stride)


@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [
        ((0, 4, 4, 2), (2, 2), (2, 2)),
        ((1, 1, 1, 1), (1, 1), (1, 1)),
        ((2, 5, 3, 1), (5, 3), (1, 1)),
        ((2, 5, 3, 2), (1, 1), (2, 4)),
    ],
)
def test_awkward_shapes_agree_with_the_definition(rng, shape, window, stride):
    assert_agree(rng, rng.standard_normal(shape).astype(np.float32), window, stride)


@pytest.mark.parametrize("module", [pooling, plain], ids=["fast", "plain"])
def test_a_nan_shows_and_infinities_are_numbers_like_others(rng, module):
    x = rng.standard_normal((1, 4, 6, 1)).astype(np.float32)
    x[0, 0, 1] = np.nan
    x[0, :2, 2:4] = -np.inf
    x[0, 3, 5] = np.inf
    y, winners = module.max_pool(x, (2, 2), (2, 2))
    assert np.isnan(y[0, 0, 0, 0])
    assert winners[0, 0, 0, 0] == 1
    assert y[0, 0, 1, 0] == -np.inf
    assert winners[0, 0, 1, 0] == 0
    assert y[0, 1, 2, 0] == np.inf
    assert winners[0, 1, 2, 0] == 3
    assert np.isfinite(y).sum() == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", range(4))
def test_pooling_with_dropout_agrees_with_the_definition(rng, dtype, case):
    x, window, stride = geometry(rng, dtype)
    shape = plain.max_pool(x, window, stride)[0].shape
    kept, dy = rng.random(shape) < 0.6, rng.standard_normal(shape).astype(dtype)
    (y, winners), (plain_y, plain_winners) = (m.max_pool(x, window, stride, kept, 1 / 0.6) for m in (pooling, plain))
    assert (y.dtype, winners.dtype) == (dtype, np.int32)
    np.testing.assert_array_equal(y, plain_y)
    np.testing.assert_array_equal(winners, plain_winners)
    dx, expected = (m.max_pool_backward(dy, winners, x.shape, window, stride, 1 / 0.6) for m in (pooling, plain))
    assert dx.dtype == dtype
    np.testing.assert_allclose(dx, expected, rtol=0, atol=64 * np.finfo(dtype).eps)
