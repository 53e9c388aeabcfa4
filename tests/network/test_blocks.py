"""A network in blocks beside the same network layer by layer: the same numbers, masks and gradients."""

import copy

import numpy as np
import pytest

from nncore.kernels.conv import choose as convolution
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.plan import Plan
from nncore.network.sequential import Sequential

needs_winograd = pytest.mark.skipif("winograd" not in convolution.ALGORITHMS, reason="winograd needs Numba")


def deep(seed=0, dtype=np.float64):
    """Every kind of block, with what cannot be one between them."""
    return Sequential(
        [
            Conv2D(20, (4, 3), padding=((1, 0), (0, 0))),
            ReLU(),
            Conv2D(20, 3, padding="same", algorithm="winograd"),
            ReLU(),
            MaxPool2D(2),
            Conv2D(16, 3, padding=1, algorithm="winograd"),
            ReLU(),
            MaxPool2D(2),
            Dropout(0.3),
            Conv2D(8, 3, padding=((1, 0), (0, 1)), algorithm="winograd"),
            ReLU(),
            BatchNorm(),
            Conv2D(9, 3, use_bias=False, padding=1),
            BatchNorm(0.7),
            ReLU(),
            Conv2D(24, 3, use_bias=False, padding=1),
            ReLU(),
            MaxPool2D(3, 2),
            Dropout(0.2),
            Flatten(),
            Dropout(0.5),
            Dense(10),
        ],
        (26, 18, 2),
        seed,
        dtype,
    )


@needs_winograd
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_numbers_masks_and_gradients_are_those_of_the_layers(rng, batch, dtype):
    by_layers, in_blocks = deep(dtype=dtype), deep(dtype=dtype)
    plan = Plan(in_blocks)
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    for _ in range(2):  # the second time with other masks
        x = rng.standard_normal((batch, *by_layers.input_shape)).astype(dtype)
        labels = rng.integers(0, 10, batch)
        results = []
        for runner, network in ((by_layers, by_layers), (plan, in_blocks)):
            loss = SoftmaxCrossEntropy()
            logits = runner.forward(x, training=True)
            loss.forward(logits, labels)
            runner.backward(loss.backward())
            results.append({"logits": logits, **network.gradients(), **network.state()})
        for name, expected in results[0].items():
            scale = np.abs(expected.astype(np.float64)).max() or 1
            np.testing.assert_allclose(results[1][name] / scale, expected / scale, atol=tolerance, err_msg=name)
        for name, array in results[0].items():
            if "count" in name:
                np.testing.assert_array_equal(results[1][name], array)
    x = rng.standard_normal((batch, *by_layers.input_shape)).astype(dtype)
    np.testing.assert_allclose(plan.forward(x), by_layers.forward(x), rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("algorithm", ["im2col", "reference"])
def test_a_convolution_by_another_algorithm_runs_layer_by_layer(rng, algorithm):
    networks = [
        Sequential([Conv2D(4, 3, algorithm=algorithm), ReLU(), MaxPool2D(2), Dropout(0.2)], (9, 8, 2), seed=4)
        for _ in range(2)
    ]
    x = rng.standard_normal((3, 9, 8, 2)).astype(np.float32)
    plan = Plan(networks[1])
    y = networks[0].forward(x, training=True)
    np.testing.assert_array_equal(plan.forward(x, training=True), y)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    networks[0].backward(dy)
    plan.backward(dy)
    for name, gradient in networks[0].gradients().items():
        np.testing.assert_allclose(networks[1].gradients()[name], gradient, rtol=1e-4, atol=1e-5)


BEGINNINGS = {
    "alone": [Conv2D(5, 3, padding=((1, 0), (2, 1)))],
    "alone, with stride": [Conv2D(5, 3, stride=2, padding="same", use_bias=False), ReLU()],
    "many taps": [Conv2D(5, (6, 7), padding="same"), ReLU(), MaxPool2D(2)],
    "with ReLU": [Conv2D(5, (2, 3), padding="same"), ReLU(), MaxPool2D(3)],
    "pooled": [Conv2D(5, 3, padding="same"), ReLU(), MaxPool2D(2), Conv2D(3, 2), ReLU()],
    "pooled, with dropout": [Conv2D(5, 3), ReLU(), MaxPool2D(2), Dropout(0.4)],
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_what_a_network_begins_with(rng, beginning):
    networks = [Sequential(copy.deepcopy(BEGINNINGS[beginning]), (9, 8, 2), seed=7, dtype=np.float64) for _ in range(2)]
    plan, x = Plan(networks[1]), rng.standard_normal((3, 9, 8, 2))
    for array in networks[0].parameters().values():
        array += 0.1 * rng.standard_normal(array.shape)
    networks[1].assign({**networks[0].parameters(), **networks[0].state()})
    y = networks[0].forward(x, training=True)
    np.testing.assert_allclose(plan.forward(x, training=True), y, rtol=1e-12, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    networks[0].backward(dy)
    plan.backward(dy)
    for name, gradient in networks[0].gradients().items():
        np.testing.assert_allclose(networks[1].gradients()[name], gradient, rtol=1e-10, atol=1e-10, err_msg=name)


@needs_winograd
def test_no_gradient_without_a_training_pass_before_it():
    plan = Plan(Sequential([Conv2D(16, 3, algorithm="winograd"), ReLU()], (8, 8, 16)))
    x = np.ones((2, 8, 8, 16), np.float32)
    dy = plan.forward(x, training=True)
    plan.backward(dy)
    with pytest.raises(RuntimeError, match="needs a forward"):
        plan.backward(dy)


@pytest.mark.parametrize("relu", [[], [ReLU()]])
def test_the_gradients_of_normalisation_by_small_steps(rng, relu):
    network = Sequential([BatchNorm(0.5, 1e-3), *relu], (3, 2, 4), dtype=np.float64)
    (norm, *_), plan = network.layers, Plan(network)
    for array in norm.parameters.values():
        array += 0.3 * rng.standard_normal(4)
    x, weighting = rng.standard_normal((2, 5, 3, 2, 4))
    plan.forward(x, training=True)
    (block,) = plan.steps
    gradients = {"x": block.backward(weighting), **norm.gradients}
    for name, array in {"x": x, **norm.parameters}.items():
        direction = rng.standard_normal(array.shape)
        sums = []
        for step in (1e-6, -2e-6):  # there, and as far to the other side
            array += step * direction
            sums.append(np.vdot(weighting, plan.forward(x, training=True)))
        array += 1e-6 * direction
        assert (sums[0] - sums[1]) / 2e-6 == pytest.approx(np.vdot(gradients[name], direction), rel=1e-5, abs=1e-6)
