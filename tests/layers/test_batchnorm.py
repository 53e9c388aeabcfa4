import math

import numpy as np
import pytest

from nncore.errors import OptionError
from nncore.layers import BatchNorm

SHAPES = [(5, 3), (4, 3, 2), (3, 4, 5, 2), (2, 1, 1, 3)]


def built(shape, rng, momentum=0.8, epsilon=1e-3):
    layer = BatchNorm(momentum, epsilon)
    layer.build(shape[1:], rng, np.float64)
    layer.parameters["gamma"] += 0.3 * rng.standard_normal(shape[-1])
    layer.parameters["beta"] += rng.standard_normal(shape[-1])
    return layer


@pytest.mark.parametrize("shape", SHAPES)
def test_forward_by_loops(rng, shape):
    layer, x = built(shape, rng), 3 * rng.standard_normal(shape) + 5
    y = layer.forward(x, training=True)
    predicted = layer.forward(x)
    for c in range(shape[-1]):
        numbers = [float(number) for number in x[..., c].ravel()]
        mean = sum(numbers) / len(numbers)
        variance = sum((number - mean) ** 2 for number in numbers) / len(numbers)
        gamma, beta = layer.parameters["gamma"][c], layer.parameters["beta"][c]
        expected = [gamma * (number - mean) / math.sqrt(variance + 1e-3) + beta for number in numbers]
        np.testing.assert_allclose(y[..., c].ravel(), expected, atol=1e-12)

        running_mean = 0.8 * 0 + 0.2 * mean
        running_variance = 0.8 * 1 + 0.2 * variance * len(numbers) / (len(numbers) - 1)
        assert layer.state["running_mean"][c] == pytest.approx(running_mean)
        assert layer.state["running_variance"][c] == pytest.approx(running_variance)
        expected = [gamma * (number - running_mean) / math.sqrt(running_variance + 1e-3) + beta for number in numbers]
        np.testing.assert_allclose(predicted[..., c].ravel(), expected, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_backward_by_the_derivative_of_every_output_by_every_input(rng, shape):
    layer, x, dy = built(shape, rng), rng.standard_normal(shape), rng.standard_normal(shape)
    layer.forward(x, training=True)
    dx = layer.backward(dy)
    for c in range(shape[-1]):
        numbers, gradients = x[..., c].ravel(), dy[..., c].ravel()
        m, gamma = len(numbers), layer.parameters["gamma"][c]
        mean, deviation = numbers.mean(), math.sqrt(numbers.var() + 1e-3)
        expected = np.zeros(m)
        for k in range(m):
            for j in range(m):
                # y_k = gamma (x_k - mean) / deviation + beta, differentiated by x_j with the quotient rule
                ddeviation = (numbers[j] - mean) / m / deviation
                dz = ((k == j) - 1 / m) / deviation - (numbers[k] - mean) * ddeviation / deviation**2
                expected[j] += gradients[k] * gamma * dz
        np.testing.assert_allclose(dx[..., c].ravel(), expected, atol=1e-11)
        z = (numbers - mean) / deviation
        assert layer.gradients["gamma"][c] == pytest.approx(sum(gradients * z), abs=1e-12)
        assert layer.gradients["beta"][c] == pytest.approx(sum(gradients), abs=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(6, 3), (3, 4, 5, 2)])
def test_several_training_steps_and_prediction_against_torch(rng, shape):
    torch = pytest.importorskip("torch")
    layer = built(shape, rng)
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    theirs = kind(shape[-1], eps=1e-3, momentum=0.2).double()
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(layer.parameters["gamma"]))
        theirs.bias.copy_(torch.tensor(layer.parameters["beta"]))

    def channels_first(array):
        return torch.tensor(np.moveaxis(array, -1, 1).copy())

    def channels_last(tensor):
        return np.moveaxis(tensor.detach().numpy(), 1, -1)

    for _ in range(3):
        x, dy = rng.standard_normal((2, *shape))
        images = channels_first(2 * x - 1).requires_grad_()
        theirs.zero_grad()
        out = theirs(images)
        out.backward(channels_first(dy))
        np.testing.assert_allclose(layer.forward(2 * x - 1, training=True), channels_last(out), atol=1e-12)
        np.testing.assert_allclose(layer.backward(dy), channels_last(images.grad), atol=1e-12)
        np.testing.assert_allclose(layer.gradients["gamma"], theirs.weight.grad, atol=1e-12)
        np.testing.assert_allclose(layer.gradients["beta"], theirs.bias.grad, atol=1e-12)
    np.testing.assert_allclose(layer.state["running_mean"], theirs.running_mean, atol=1e-13)
    np.testing.assert_allclose(layer.state["running_variance"], theirs.running_var, atol=1e-13)
    theirs.eval()
    np.testing.assert_allclose(layer.forward(x), channels_last(theirs(channels_first(x))), atol=1e-12)


def test_a_channel_that_never_changes_and_a_batch_of_one_stay_finite(rng):
    layer = built((2, 3), rng)
    for x in (np.full((4, 3), 7.0), rng.standard_normal((1, 3))):
        np.testing.assert_allclose(layer.forward(x, training=True), np.tile(layer.parameters["beta"], (len(x), 1)))
        assert np.isfinite(layer.backward(rng.standard_normal(x.shape))).all()
    assert all(np.isfinite(array).all() for array in layer.state.values())


def test_starts_as_the_identity_of_what_is_already_normal(rng):
    layer = BatchNorm()
    layer.build((4, 4, 2), rng, np.float32)
    x = rng.standard_normal((3, 4, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(layer.forward(x), x, rtol=1e-4)


@pytest.mark.parametrize(("name", "value"), [("momentum", 1), ("momentum", -0.1), ("epsilon", 0), ("epsilon", -1)])
def test_options_it_refuses(name, value):
    with pytest.raises(OptionError, match=f"BatchNorm: {name} must be .* not {value}"):
        BatchNorm(**{name: value})
