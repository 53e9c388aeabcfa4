import numpy as np
import pytest

from nncore.errors import OptionError
from nncore.layers import Dropout
from nncore.layers.dropout import bernoulli
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


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_rates_it_refuses(rate):
    with pytest.raises(OptionError, match="Dropout: rate must be at least 0 and below 1, not"):
        Dropout(rate)
    assert Dropout(0.25).describe() == "Dropout 0.25"


def splitmix64(seed, count):
    """The generator as its authors write it: a state that grows by a constant, and a mix of it."""
    state, words = seed, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        words.append(z ^ (z >> 31))
    return words


def test_bernoulli_is_splitmix64(rng):
    # The published first words for the seed 1234567.
    assert splitmix64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    for key in (0, 1234567, 2**64 - 1, int(rng.integers(2**63))):
        probability = rng.random()
        expected = [(word >> 32) < round(probability * 2**32) for word in splitmix64(key, 24)]
        np.testing.assert_array_equal(bernoulli((2, 3, 4), probability, key).ravel(), expected)


@pytest.mark.parametrize("probability", [0.0, 1.0, 0.1, 0.75])
def test_bernoulli_is_true_as_often_as_it_should_be(rng, probability):
    count = 200_000
    hits = bernoulli((count,), probability, int(rng.integers(2**63))).sum()
    assert abs(hits - count * probability) <= 5 * np.sqrt(count * probability * (1 - probability))
