"""Every fused step beside its layers one after the other: the same numbers, masks and gradients.

The gradient check (`tests/test_gradcheck.py`) holds the gradients in float64 against finite differences.
"""

import copy
import importlib

import numpy as np
import pytest

from nncore import kernels
from nncore.gradcheck import fused_networks
from nncore.layers import AvgPool2D, BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.fusion import layers_of, patterns
from nncore.network.sequential import Sequential

pytestmark = pytest.mark.skipif(not kernels.available(), reason="needs Numba")

NETWORKS = fused_networks() if kernels.available() else {}  # float64, as the gradient check compiles them


def assert_close(ours, theirs, name, tolerance=1e-9):
    scale = np.abs(theirs.astype(np.float64)).max() or 1
    np.testing.assert_allclose(ours / scale, theirs / scale, atol=tolerance, err_msg=name)


def both_ways(network, x, dy):
    """What a training pass gives by the layers, and by the steps."""
    results = []
    for way in ("layers", "steps"):
        each, y = copy.deepcopy(network), x
        for layer in getattr(each, way):
            y = layer.forward(y, training=True)
        gradient = dy(y)
        for layer in reversed(getattr(each, way)):
            gradient = layer.backward(gradient)
        results.append(({"y": y, **each.gradients(), **each.state()}, gradient))
    return results


@pytest.mark.parametrize("size", range(6, 24))
def test_the_tile_that_is_named_is_the_one_that_is_used(rng, monkeypatch, size):
    layers = [Conv2D(8, 3), ReLU(), Conv2D(16, 3), ReLU(), MaxPool2D(2)]
    network, used = Sequential(layers, (size, size, 1), conv="winograd"), []
    winograd = importlib.import_module("nncore.kernels.conv.winograd")  # not at the top: there may be no Numba
    for compiled in ("transform_kernel", "write"):
        monkeypatch.setattr(winograd, compiled, lambda *arguments: None)
    monkeypatch.setattr(winograd, "_forward", lambda x, weights, *arguments: used.append(weights.tile))
    network.forward(rng.standard_normal((2, size, size, 1), np.float32))
    assert list(network.algorithms().values()) == [f"winograd F({tile.m}, {tile.r})" for tile in used]


def test_every_pattern_is_among_the_cases():
    cases = {tuple(map(type, layers_of(step))) for network in NETWORKS.values() for step in network.steps}
    alone = {(kind,) for kind in (BatchNorm, MaxPool2D, AvgPool2D, Dense, Dropout)}
    assert {kinds for kinds, _ in patterns()} <= cases | alone


@pytest.mark.parametrize("case", NETWORKS)
@pytest.mark.parametrize("batch", [1, 5])
def test_steps_compute_what_their_layers_do(rng, case, batch):
    network = copy.deepcopy(NETWORKS[case])
    for array in network.parameters().values():
        array += 0.1 * rng.standard_normal(array.shape)
    x = rng.standard_normal((batch, *network.input_shape))
    dy = rng.standard_normal((batch, *network.output_shape))
    (written, dx), (trained, fused_dx) = both_ways(network, x, lambda y: dy)
    for name, expected in written.items():
        assert_close(trained[name], expected, name)
    if fused_dx is not None:
        assert_close(fused_dx, dx, "dx")
    expected = x
    for layer in network.layers:
        expected = layer.forward(expected)
    assert_close(network.predict(x), expected, "prediction")
    network.freeze()
    assert_close(network.predict(x), expected, "frozen prediction")


def test_a_deep_network_of_fused_steps(rng):
    network = Sequential(
        [
            *(
                Conv2D(20, (4, 3), padding=((1, 0), (0, 0))),
                ReLU(),
                Conv2D(20, 3, padding="same"),
                ReLU(),
                MaxPool2D(2),
            ),
            *(Conv2D(16, 3, padding=1), ReLU(), MaxPool2D(2), Dropout(0.3)),
            *(Conv2D(8, 3, padding=((1, 0), (0, 1))), ReLU(), BatchNorm(), Conv2D(9, 3, use_bias=False, padding=1)),
            *(BatchNorm(0.7), ReLU(), MaxPool2D(3, 2), Dropout(0.2), Flatten(), Dropout(0.5), Dense(10)),
        ],
        (28, 28, 2),
        dtype=np.float64,
    )
    x, labels, loss = rng.standard_normal((5, 28, 28, 2)), rng.integers(0, 10, 5), SoftmaxCrossEntropy()
    (written, _), (trained, _) = both_ways(network, x, lambda y: loss.forward(y, labels) and loss.backward())
    for name, expected in written.items():
        assert_close(trained[name], expected, name)
        if "count" in name:
            np.testing.assert_array_equal(trained[name], expected)


def test_no_gradient_without_a_training_pass_before_it():
    network = Sequential([Conv2D(16, 3), ReLU(), MaxPool2D(2)], (8, 8, 16), conv="winograd")
    dy = network.forward(np.ones((2, 8, 8, 16), np.float32), training=True)
    network.backward(dy)
    with pytest.raises(RuntimeError, match=r"FusedConv\.backward needs a forward"):
        network.backward(dy)
