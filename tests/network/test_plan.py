"""Which layers a plan puts together."""

import copy

import numpy as np
import pytest

from nncore.kernels.conv import choose as convolution
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU
from nncore.network.blocks import BatchNormReLU, ConvReLU, ConvReLUPool, FirstConv, Opening, PoolDropout
from nncore.network.models import MODELS
from nncore.network.plan import Plan, blocks
from nncore.network.sequential import Sequential

needs_winograd = pytest.mark.skipif("winograd" not in convolution.ALGORITHMS, reason="winograd needs Numba")

BLOCKS = BatchNormReLU, ConvReLU, ConvReLUPool, FirstConv, Opening, PoolDropout


def lengths(network):
    return [len(step.layers) if isinstance(step, BLOCKS) else 1 for step in blocks(network.layers, network.shapes)]


@needs_winograd
def test_layers_that_have_a_common_kernel_make_a_block():
    winograd = {"kernel_size": 3, "padding": 1, "algorithm": "winograd"}
    network = Sequential(
        [
            *(Conv2D(20, 3, padding=1), ReLU(), Conv2D(20, **winograd), ReLU(), MaxPool2D(2)),
            *(Conv2D(16, **winograd), ReLU(), MaxPool2D(2), Dropout(0.3), Conv2D(8, 2), ReLU()),
            *(Conv2D(24, 3, use_bias=False, padding=1), BatchNorm(), ReLU(), MaxPool2D(2), Dropout(0.1)),
            *(Flatten(), Dropout(0.5), Dense(10)),
        ],
        (24, 16, 2),
    )
    assert lengths(network) == [5, 4, 2, 1, 2, 2, 1, 1, 1]
    (first, second, *_) = blocks(network.layers, network.shapes)
    assert [type(layer) for layer in first.layers] == [Conv2D, ReLU, Conv2D, ReLU, MaxPool2D]
    assert [type(layer) for layer in second.layers] == [Conv2D, ReLU, MaxPool2D, Dropout]
    assert lengths(MODELS["reference"]()) == [6, 4, 1, 1, 1, 1, 1]
    assert lengths(MODELS["compact"]()) == [3, 3, 1, 1, 1, 1, 1]
    many_taps = Sequential([Conv2D(16, 5, padding="same", algorithm="auto"), ReLU(), MaxPool2D(2)], (24, 24, 40))
    assert [type(step) for step in blocks(many_taps.layers, many_taps.shapes)] == [ConvReLUPool]


NORMALISED = {
    "first, then pooled": [
        *(Conv2D(8, 3, padding="same", use_bias=False), BatchNorm(), ReLU()),
        *(Conv2D(20, 3, padding="same", algorithm="winograd"), BatchNorm(epsilon=0.1), ReLU(), MaxPool2D(2), Flatten()),
        *(Dense(8, use_bias=False), BatchNorm(), Dense(4)),
    ],
    "no activation": [Conv2D(8, (2, 3), 2, ((1, 0), (2, 1)), use_bias=False), BatchNorm(), BatchNorm(0.5, 1e-3)],
    "nothing before it": [BatchNorm(), Conv2D(8, 3), ReLU(), BatchNorm()],
}


@needs_winograd
@pytest.mark.parametrize("name", NORMALISED)
def test_frozen_normalisation_is_part_of_the_weights(rng, tmp_path, name):
    network = Sequential(copy.deepcopy(NORMALISED[name]), (12, 10, 2))
    for array in [*network.parameters().values(), *network.state().values()]:
        array[...] = rng.uniform(0.5, 1.5, array.shape) * (rng.choice([-1, 1], array.shape) if array.ndim > 1 else 1)
    original = {name: array.copy() for name, array in {**network.parameters(), **network.state()}.items()}
    x = rng.standard_normal((70, 12, 10, 2)).astype(np.float32)
    expected = network.forward(x)
    network.freeze()
    for count in (1, 70):
        difference = network.predict(x[:count]) - expected[:count]
        assert np.sqrt(np.square(difference).mean()) < 1e-5 * expected.std()
    kinds = [type(step) for step in network.plan.steps]
    assert (
        kinds
        == {
            "first, then pooled": [ConvReLUPool, Flatten, Dense, Dense],
            "no activation": [Conv2D],
            "nothing before it": [BatchNormReLU, ConvReLU, BatchNormReLU],
        }[name]
    )
    network.save(tmp_path / "frozen.npz")
    again = Sequential.load(tmp_path / "frozen.npz")
    for name, array in {**again.parameters(), **again.state()}.items():
        np.testing.assert_array_equal(array, original[name], err_msg=name)
    alone = Plan(Sequential([Conv2D(4, 3, use_bias=False), BatchNorm(), ReLU(), MaxPool2D(2)], (9, 9, 1)), frozen=True)
    assert [type(step) for step in alone.steps] == [Opening]


class Doubled(Layer):
    """A layer that no plan knows."""

    def forward(self, x, training=False):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def test_every_layer_is_run_once_whatever_it_is():
    network = Sequential([Doubled(), Conv2D(4, 3), Doubled(), ReLU(), Flatten(), Dense(2)], (6, 6, 1))
    assert blocks(network.layers, network.shapes) == network.layers


def test_predictions_are_the_networks(rng):
    network = MODELS["compact"](seed=5)
    x = rng.random((7, 28, 28, 1), np.float32)
    np.testing.assert_allclose(Plan(network).predict(x, batch_size=3), network.forward(x), rtol=1e-4, atol=1e-5)


def test_gradients_are_the_networks(rng):
    networks = [Sequential([Flatten(), Dense(3), ReLU(), Dense(2)], (2, 2, 1), seed=1) for _ in range(2)]
    x, dy = rng.random((5, 2, 2, 1), np.float32), rng.random((5, 2), np.float32)
    for runner in (networks[0], Plan(networks[1])):
        runner.forward(x, training=True)
        runner.backward(dy)
    for name, gradient in networks[0].gradients().items():
        np.testing.assert_allclose(networks[1].gradients()[name], gradient, rtol=1e-5, atol=1e-6, err_msg=name)
