import math

import numpy as np
import pytest

from nncore.errors import OptionError
from nncore.layers.initializers import INITIALIZERS, check_initializer, fans, glorot, he


def test_fans_count_the_wires():
    assert fans((7, 5)) == (7, 5)
    assert fans((3, 2, 4, 6)) == (3 * 2 * 4, 3 * 2 * 6)
    assert fans((1, 1, 1, 1)) == (1, 1)


@pytest.mark.parametrize("shape", [(300, 200), (3, 3, 64, 100)])
def test_mean_variance_and_form(rng, shape):
    count = math.prod(shape)
    fan_in, fan_out = fans(shape)
    for initializer, variance in ((he, 2 / fan_in), (glorot, 2 / (fan_in + fan_out))):
        weights = initializer(shape, rng, np.float64) / math.sqrt(variance)
        assert weights.shape == shape
        assert abs(weights.mean()) < 5 / math.sqrt(count)
        # The mean of squares is off by sqrt((fourth moment - 1) / count), at most sqrt(2 / count).
        assert abs((weights**2).mean() - 1) < 5 * math.sqrt(2 / count)
        # A normal's fourth moment is 3, a uniform's 9 / 5.
        assert (weights**4).mean() == pytest.approx(3 if initializer is he else 1.8, rel=0.1)
    limit = math.sqrt(6 / (fan_in + fan_out))
    assert 0.999 * limit < np.abs(glorot(shape, rng, np.float64)).max() <= limit


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(300, 200), (3, 3, 64, 50)])
def test_the_same_spread_as_torch(rng, shape):
    torch = pytest.importorskip("torch")
    there = torch.empty(*shape[::-1])  # torch's order: out, in, height, width
    pairs = (
        (he, lambda: torch.nn.init.kaiming_normal_(there, nonlinearity="relu")),
        (glorot, lambda: torch.nn.init.xavier_uniform_(there)),
    )
    for initializer, fill in pairs:
        assert initializer(shape, rng, np.float32).std() == pytest.approx(fill().std().item(), rel=0.05)


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_seed_gives_the_same_weights_in_the_type_asked_for(name, dtype):
    first, again = (INITIALIZERS[name]((5, 4), np.random.default_rng(3), dtype) for _ in range(2))
    assert first.dtype == dtype
    np.testing.assert_array_equal(first, again)
    assert (first != INITIALIZERS[name]((5, 4), np.random.default_rng(4), dtype)).any()
    # One seed gives one network, whatever its type.
    np.testing.assert_array_equal(first, INITIALIZERS[name]((5, 4), np.random.default_rng(3), np.float64).astype(dtype))


def test_names():
    assert [check_initializer(name) for name in INITIALIZERS] == ["he", "glorot"]
    with pytest.raises(OptionError, match="initializer 'lecun' is unknown: choose one of he, glorot"):
        check_initializer("lecun")
