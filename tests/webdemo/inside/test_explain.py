"""What is told of one digit: the engine's own numbers, forward, backward and after a step."""

import numpy as np
import pytest

from nncore.data.dataset import network_input
from nncore.errors import OptionError, ShapeError
from nncore.gradcheck import relative_error, slope
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from nncore.layers.activations import softmax
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.models import MODELS
from nncore.network.sequential import Sequential
from nncore.optimizers import SGD
from webdemo.inside.explain import PATCH, STRIDE, Explanation, FixedBatchNorm, copied, occlusion


def small(rng, dtype=np.float32):
    """Every kind of layer that the named networks have, with moments as after a training."""
    layers = [Conv2D(6, 3, use_bias=False), BatchNorm(), ReLU(), MaxPool2D(2), Dropout(0.3)]
    layers += [Conv2D(5, 3, padding="same", stride=2), ReLU(), Flatten(), Dense(12), ReLU(), Dropout(0.5), Dense(10)]
    network = Sequential(layers, (28, 28, 1), seed=int(rng.integers(2**31)), dtype=dtype)
    norm = layers[1]
    for array in [*norm.parameters.values(), *norm.state.values()]:
        array[...] = rng.uniform(0.2, 2, array.shape)
    # With a bias of 0, what sees only zeros would put out 0, just where a ReLU has no derivative.
    for name, array in network.parameters().items():
        if name.endswith("bias"):
            array[...] = rng.uniform(0.1, 0.5, array.shape)
    return network


def drawn(rng):
    image = np.zeros((28, 28), np.uint8)
    image[5:24, 8:20] = rng.integers(0, 256, (19, 12))
    return image


def predicted(network, image):
    return softmax(network.predict(network_input(image[np.newaxis])))[0]


@pytest.mark.parametrize("name", MODELS)
def test_the_numbers_are_those_of_the_prediction(rng, name):
    network, image = MODELS[name](seed=4), drawn(rng)
    network.freeze()
    explanation = Explanation(network, image)
    np.testing.assert_allclose(explanation.probabilities, predicted(network, image), atol=1e-5)
    assert [output.shape[1:] for output in explanation.outputs] == network.shapes
    x = network_input(image[np.newaxis])
    for layer, output in zip(network.layers, explanation.outputs[1:], strict=True):
        x = layer.forward(x)
        np.testing.assert_allclose(output, x, atol=1e-4 * abs(x).max())


def test_the_gradients_are_those_that_finite_differences_find(rng):
    # Without a blank pixel: in blank windows all numbers tie, and a pooling has no derivative there.
    network, image = small(rng, np.float64), rng.integers(1, 256, (28, 28), np.uint8)
    explanation = Explanation(network, image)
    explanation.trace_back(3)
    loss = SoftmaxCrossEntropy()
    # From each place on through the rest of the network, as it predicts; steps too small to turn a ReLU or a pool.
    for start, gradient in enumerate(explanation.gradients):
        x = explanation.outputs[start].copy()

        def rest(x=x, start=start):
            for layer in network.layers[start:]:
                x = layer.forward(x)
            return loss.forward(x, np.array([3]))

        direction = gradient + rng.standard_normal(gradient.shape) * np.linalg.norm(gradient) / np.sqrt(gradient.size)
        direction *= x != 0  # a window that a ReLU has left full of zeros ties, too
        assert relative_error(np.vdot(gradient, direction), slope(rest, x, direction, 1e-6)) < 1e-6, start


def test_the_parameters_gradients_are_those_that_finite_differences_find(rng):
    network, image = small(rng, np.float64), drawn(rng)
    explanation = Explanation(network, image)
    explanation.trace_back(8)
    x, loss = network_input(image[np.newaxis]), SoftmaxCrossEntropy()
    gradients = explanation.network.gradients()
    assert gradients.keys() == network.parameters().keys()
    for name, parameter in network.parameters().items():
        gradient = gradients[name]
        numeric = slope(lambda: loss.forward(network.forward(x), np.array([8])), parameter, gradient, 1e-7)
        assert relative_error(np.vdot(gradient, gradient), numeric) < 1e-5, name


def test_what_it_should_have_been(rng):
    network, image = small(rng), drawn(rng)
    explanation = Explanation(network, image)
    for label in (2, 9, 2):  # as often as one likes
        explanation.trace_back(label)
        p = explanation.probabilities
        assert explanation.loss == pytest.approx(-np.log(p[label]), rel=1e-4)
        np.testing.assert_allclose(explanation.gradients[-1][0], p - np.eye(10)[label], atol=1e-6)
    again = Explanation(network, image)
    again.trace_back(2)
    for one, other in zip(explanation.gradients, again.gradients, strict=True):
        np.testing.assert_array_equal(one, other)
    for label in (-1, 10):
        with pytest.raises(OptionError, match="from 0 to 9"):
            explanation.trace_back(label)


def test_the_step_is_a_step_of_sgd(rng):
    network, image = small(rng), drawn(rng)
    before = {name: array.copy() for name, array in network.parameters().items()}
    explanation = Explanation(network, image)
    with pytest.raises(OptionError, match="trace_back"):
        explanation.step(0.1)
    explanation.trace_back(5)
    outputs = [output.copy() for output in explanation.outputs]
    after = explanation.step(0.001)
    for name, array in network.parameters().items():
        np.testing.assert_array_equal(array, before[name])  # the step was taken in a copy
    for kept, output in zip(outputs, explanation.outputs, strict=True):
        np.testing.assert_array_equal(kept, output)
    assert after[5] > explanation.probabilities[5]
    SGD(0.001).step(network.parameters(), explanation.network.gradients())
    np.testing.assert_allclose(after, predicted(network, image), atol=1e-6)


def test_without_batch_normalisation_and_dropout_it_is_a_step_of_training(rng):
    layers = [Conv2D(4, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(10)]
    network, image = Sequential(layers, (28, 28, 1), seed=1), drawn(rng)
    explanation = Explanation(network, image)
    explanation.trace_back(0)
    after = explanation.step(0.05)
    x, loss = network_input(image[np.newaxis]), SoftmaxCrossEntropy()
    loss.forward(network.forward(x, training=True), np.array([0]))
    network.backward(loss.backward())
    SGD(0.05).step(network.parameters(), network.gradients())
    np.testing.assert_allclose(after, predicted(network, image), atol=1e-5)


def test_an_image_of_another_size_is_refused(rng):
    with pytest.raises(ShapeError, match=r"\(28, 28\)"):
        Explanation(small(rng), np.zeros((28, 27), np.uint8))


def test_a_copy_shares_nothing(rng):
    network = small(rng)
    network.freeze()
    copy = copied(network)
    assert copy.names == network.names
    for ours, theirs in zip(copy.parameters().values(), network.parameters().values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.flags.writeable
        assert not np.shares_memory(ours, theirs)
    assert isinstance(copy.layers[1], FixedBatchNorm)


def test_occlusion_is_what_the_network_says_of_the_hidden_digit(rng):
    network, image = small(rng), drawn(rng)
    hidden = occlusion(network, image, 4)
    assert hidden.unhidden == pytest.approx(predicted(network, image)[4], abs=1e-6)
    for row, column in [(0, 0), *rng.integers(0, len(hidden.probabilities), (12, 2))]:
        covered = image.copy()
        top, left = row * STRIDE - PATCH // 2, column * STRIDE - PATCH // 2
        covered[max(top, 0) : top + PATCH, max(left, 0) : left + PATCH] = 0
        assert hidden.probabilities[row, column] == pytest.approx(predicted(network, covered)[4], abs=1e-5)
    assert hidden.probabilities[-1, -1] == pytest.approx(hidden.unhidden, abs=1e-7)
    blank = occlusion(network, np.zeros_like(image), 4)
    assert np.ptp(blank.probabilities) == 0
