import numpy as np
import pytest

from nncore.errors import OptionError
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.models import MODELS, compact, reference
from nncore.optimizers import Adam


def train(network, images, labels, steps, optimizer=None):
    loss, optimizer = SoftmaxCrossEntropy(), optimizer or Adam()
    for _ in range(steps):
        loss.forward(network.forward(images, training=True), labels)
        network.backward(loss.backward())
        optimizer.step(network.parameters(), network.gradients())
    return network


def random_batch(rng, n):
    return rng.random((n, 28, 28, 1), np.float32), rng.permutation(np.arange(n) % 10)


def test_parameters_and_shapes_counted_by_hand():
    convolutions = (9 * 1 + 1) * 64 + (9 * 64 + 1) * 128 + (9 * 128 + 1) * 128
    network = reference()
    assert network.count_parameters() == convolutions + (5 * 5 * 128 + 1) * 256 + (256 + 1) * 10 == 1_044_106
    assert network.shapes[0] == (28, 28, 1)
    assert (5, 5, 128) in network.shapes  # 28 -> 26 -> 24 -> 12 -> 10 -> 5
    assert network.output_shape == (10,)

    small = compact()
    assert small.count_parameters() == 160 + (9 * 16 + 1) * 32 + (5 * 5 * 32 + 1) * 112 + (112 + 1) * 10
    assert small.output_shape == (10,)
    assert small.count_parameters() == pytest.approx(0.1 * network.count_parameters(), rel=0.1)


@pytest.mark.parametrize("name", MODELS)
def test_seed_type_and_algorithm_reach_the_network(rng, name):
    network, same, other = MODELS[name](seed=1), MODELS[name](seed=1, conv="im2col"), MODELS[name](seed=2)
    for key, array in network.parameters().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, same.parameters()[key])
        assert array.ndim == 1 or (array != other.parameters()[key]).mean() > 0.9
    assert MODELS[name](dtype=np.float64).predict(np.zeros((1, 28, 28, 1))).dtype == np.float64
    x = rng.random((2, 28, 28, 1), np.float32)
    np.testing.assert_allclose(network.predict(x), same.predict(x), atol=1e-4)
    with pytest.raises(OptionError, match="convolution algorithm 'fft' is unknown"):
        MODELS[name](conv="fft")


@pytest.mark.parametrize("name", MODELS)
def test_logits_start_at_a_size_from_which_training_can_go(rng, name):
    logits = MODELS[name](seed=int(rng.integers(2**31))).predict(rng.random((32, 28, 28, 1), np.float32))
    assert 0.05 < logits.std() < 5


def test_the_same_seed_gives_the_same_weights_after_training(rng):
    images, labels = random_batch(rng, 16)
    first, again, other = (train(compact(seed), images, labels, steps=5) for seed in (7, 7, 8))
    for key, array in first.parameters().items():
        np.testing.assert_array_equal(array, again.parameters()[key])
        assert (array != other.parameters()[key]).any()
    for key, array in first.state().items():
        np.testing.assert_array_equal(array, again.state()[key])


def test_a_network_learns_32_random_images_by_heart(rng):
    images, labels = random_batch(rng, 32)
    network, optimizer = compact(seed=int(rng.integers(2**31))), Adam(0.003)
    while (network.predict(images).argmax(axis=1) != labels).any():
        assert optimizer.steps < 300
        train(network, images, labels, 10, optimizer)
