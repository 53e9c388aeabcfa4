import numpy as np
import pytest

from nncore.data.dataset import network_input
from nncore.layers import Conv2D, GlobalAvgPool2D, ReLU
from nncore.network.sequential import Sequential
from tests.webdemo.inside.test_explain import drawn, small
from webdemo.inside.neighbours import Neighbours, before_last_dense


def test_the_nearest_are_those_of_the_smallest_distances(rng):
    network = small(rng)
    images = np.stack([drawn(rng) for _ in range(30)])
    neighbours = Neighbours(network, images, np.arange(30))
    x = network_input(images)
    for layer in network.layers[:-1]:
        x = layer.forward(x)
    np.testing.assert_allclose(neighbours.features, x, atol=1e-4 * abs(x).max())
    numbers, distances = neighbours.nearest(images[4], 7)
    expected = np.linalg.norm(x - x[4], axis=1)
    assert numbers[0] == 4
    np.testing.assert_allclose(distances, np.sort(expected)[:7], rtol=1e-3, atol=1e-2 * expected.max())
    np.testing.assert_allclose(expected[numbers], distances, rtol=1e-3, atol=1e-2 * expected.max())


def test_a_network_without_a_dense_layer_is_taken_whole(rng):
    network = Sequential([Conv2D(10, 3), ReLU(), GlobalAvgPool2D()], (28, 28, 1))
    assert before_last_dense(network).output_shape == (10,)


def test_the_network_itself_is_left_as_it_was(rng):
    network = small(rng)
    before = before_last_dense(network)
    assert all(array.flags.writeable for array in network.parameters().values())
    with pytest.raises(ValueError, match="read-only"):
        next(iter(before.parameters().values()))[...] = 0
