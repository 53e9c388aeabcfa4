"""Which layers are fused."""

import copy

import numpy as np
import pytest

from nncore import kernels
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU
from nncore.network import fusion
from nncore.network.fusion import fuse, layers_of
from nncore.network.models import MODELS
from nncore.network.sequential import Sequential

needs_kernels = pytest.mark.skipif(not kernels.available(), reason="needs Numba")


def lengths(network):
    return [len(layers_of(step)) for step in network.steps]


@needs_kernels
def test_layers_for_which_there_is_a_kernel_become_one_step():
    # What "auto" chooses depends on the processor, so the way is given.
    network = Sequential(
        [
            *(Conv2D(20, 3, padding=1), ReLU(), Conv2D(20, 3), ReLU(), MaxPool2D(2)),
            *(Conv2D(16, 3), ReLU(), MaxPool2D(2), Dropout(0.3), Conv2D(8, 2), ReLU(), MaxPool2D(2, 1)),
            *(Conv2D(24, 3, use_bias=False, padding=1), BatchNorm(), ReLU(), MaxPool2D(2), Dropout(0.1)),
            *(Flatten(), Dropout(0.5), Dense(10)),
        ],
        (24, 22, 2),
        conv="winograd",
    )
    assert lengths(network) == [2, 3, 4, 2, 1, 1, 2, 2, 1, 1, 1]
    assert [layer for step in network.steps for layer in layers_of(step)] == network.layers
    network.conv = "direct"
    vars(network).pop("steps")
    assert lengths(network) == [2, 2, 1, 2, 2, 2, 1, 1, 2, 2, 1, 1, 1]  # pooled by itself


@needs_kernels
@pytest.mark.parametrize(
    ("name", "expected"), [("reference", [6, 4, 1, 1, 1, 1, 1]), ("compact", [3, 3, 1, 1, 1, 1, 1])]
)
def test_a_first_convolution_of_few_taps_exists_in_tiles_only(monkeypatch, name, expected):
    from nncore.kernels.conv import choose

    monkeypatch.setattr(choose, "choose", lambda *shapes: "winograd")
    assert lengths(MODELS[name]()) == expected


NORMALISED = {
    "first, then pooled": [
        *(Conv2D(8, 3, padding="same", use_bias=False), BatchNorm(), ReLU()),
        *(Conv2D(20, 3, padding="same"), BatchNorm(epsilon=0.1), ReLU(), MaxPool2D(2), Flatten()),
        *(Dense(8, use_bias=False), BatchNorm(), Dense(4)),
    ],
    "no activation": [Conv2D(8, (2, 3), 2, ((1, 0), (2, 1)), use_bias=False), BatchNorm(), BatchNorm(0.5, 1e-3)],
    "nothing before it": [BatchNorm(), Conv2D(8, 3), ReLU(), BatchNorm()],
}


@pytest.mark.parametrize("name", NORMALISED)
def test_frozen_normalisation_is_part_of_the_weights(rng, tmp_path, name):
    network = Sequential(copy.deepcopy(NORMALISED[name]), (12, 10, 2))
    for array in [*network.parameters().values(), *network.state().values()]:
        array[...] = rng.uniform(0.5, 1.5, array.shape) * (rng.choice([-1, 1], array.shape) if array.ndim > 1 else 1)
    original = {name: array.copy() for name, array in {**network.parameters(), **network.state()}.items()}
    x = rng.standard_normal((70, 12, 10, 2)).astype(np.float32)
    expected = network.predict(x)
    network.freeze()
    for count in (1, 70):
        difference = network.predict(x[:count]) - expected[:count]
        assert np.sqrt(np.square(difference).mean()) < 1e-5 * expected.std()
    kinds = [type(layer) for step in network.steps for layer in layers_of(step)]
    assert kinds.count(BatchNorm) == {"nothing before it": 2}.get(name, 0)
    network.save(tmp_path / "frozen.npz")
    again = Sequential.load(tmp_path / "frozen.npz")
    for name, array in {**again.parameters(), **again.state()}.items():
        np.testing.assert_array_equal(array, original[name], err_msg=name)


class Doubled(Layer):
    """A layer that fusion does not know."""

    def forward(self, x, training=False):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


class OtherReLU(ReLU):
    """A subclass, which may compute something else."""


def test_an_unknown_layer_is_a_step_by_itself():
    network = Sequential([Doubled(), Conv2D(4, 3), Doubled(), ReLU(), BatchNorm(), OtherReLU()], (6, 6, 1))
    assert lengths(network) == [1] * 6
    for kind, step in zip((Doubled, Doubled, ReLU, OtherReLU), np.array(network.steps)[[0, 2, 3, 5]], strict=True):
        assert type(step) is kind


def test_without_kernels_the_layers_run(monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: False)
    network = MODELS["compact"]()
    assert fuse(network.layers, network.shapes) == network.layers
    assert network.algorithms() == {"conv2d_1": "im2col", "conv2d_2": "im2col"}
    assert fusion.multiplies_by_blas("auto")


@needs_kernels
def test_products_by_blas():
    assert fusion.multiplies_by_blas("im2col")
    assert not fusion.multiplies_by_blas("auto")
