import numpy as np
import pytest

from nncore import kernels
from nncore.errors import OptionError
from nncore.kernels import reference
from nncore.layers import Dropout
from nncore.network.sequential import Sequential

COUNT = 100_000


def built(rate, rng):
    layer = Dropout(rate)
    layer.build((COUNT,), rng, np.float64)
    return layer


def mask(layer):
    return layer.forward(np.ones((1, COUNT)), training=True)[0] > 0


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_drops_at_the_rate_and_scales_the_rest(rng, rate, dtype):
    layer, x = built(rate, rng), rng.standard_normal((20, COUNT // 20)).astype(dtype)
    y = layer.forward(x, training=True)
    dropped = y == 0
    assert abs(dropped.sum() - rate * COUNT) <= 5 * np.sqrt(COUNT * rate * (1 - rate))
    np.testing.assert_allclose(y[~dropped], x[~dropped] / (1 - rate), rtol=1e-6)
    dy = rng.standard_normal(x.shape).astype(dtype)
    dx = layer.backward(dy)
    np.testing.assert_allclose(dx, np.where(dropped, 0, dy / (1 - rate)), rtol=1e-6)


def test_rate_zero_and_prediction_change_nothing(rng):
    x = rng.standard_normal((3, 4))
    np.testing.assert_array_equal(built(0.0, rng).forward(x, training=True), x)
    np.testing.assert_array_equal(built(0.7, rng).forward(x), x)


def test_passes_and_layers_draw_independent_masks(rng):
    network = Sequential([Dropout(0.5), Dropout(0.5)], (COUNT,), seed=int(rng.integers(2**31)), dtype=np.float64)
    first, second = network.layers
    masks = [mask(first), mask(first), mask(first), mask(second), mask(second)]
    masks.append(np.roll(masks[0], 1))  # neighbours within a mask
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert abs(correlation(a, b)) < 5 / np.sqrt(COUNT)


def test_masks_are_a_function_of_seed_and_count(rng):
    layer = built(0.3, rng)
    begun = layer.state["seed_and_count"].copy()
    masks = [mask(layer) for _ in range(4)]
    assert layer.state["seed_and_count"][1] == begun[1] + 4
    for count, expected in enumerate(masks):
        resumed = Dropout(0.3)
        resumed.state["seed_and_count"] = begun + np.array([0, count], np.uint64)
        np.testing.assert_array_equal(mask(resumed), expected)
    layer.forward(np.ones((1, COUNT)))  # a prediction does not count
    assert layer.state["seed_and_count"][1] == begun[1] + 4


@pytest.mark.parametrize("seed", [0, 2**63 - 1, 2**64 - 1])
def test_masks_are_those_of_the_plain_definition_even_where_the_key_overflows(monkeypatch, seed):
    state = np.array([seed, 2**23 + 1], np.uint64)
    masks = []
    for bernoulli in (kernels.bernoulli, reference.bernoulli):
        monkeypatch.setattr(kernels, "bernoulli", bernoulli)
        layer = Dropout(0.4)
        layer.state["seed_and_count"] = state.copy()
        masks.append([mask(layer), mask(layer)])
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_rates_it_refuses(rate):
    with pytest.raises(OptionError, match="Dropout: rate must be at least 0 and below 1, not"):
        Dropout(rate)
    assert Dropout(0.25).describe() == "Dropout 0.25"
