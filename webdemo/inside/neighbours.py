"""Which digits look alike to a network: those for which its last dense layer is given much the same numbers."""

import numpy as np

from nncore.data.dataset import network_input
from nncore.layers import Dense
from nncore.network.sequential import Sequential
from nncore.types import Array, Bytes, Integers


class Neighbours:
    """A collection of digits, images uint8 (N, 28, 28) and labels (N,), by their features.

    Attributes:
        features: (N, F).
    """

    def __init__(self, network: Sequential, images: Bytes, labels: Integers) -> None:
        self.images, self.labels = images, labels
        self._before = before_last_dense(network)
        self.features = self._features(images)
        self._squares: Array = np.square(self.features).sum(axis=1)

    def nearest(self, image: Bytes, count: int) -> tuple[Integers, Array]:
        """The numbers of those that lie closest to an image (28, 28), and how far away, the closest first.

        |a - b|^2 = |a|^2 - 2 ab + |b|^2, so that no difference with each of them has to be kept.
        """
        one = self._features(image[np.newaxis])[0]
        squares = np.maximum(self._squares - 2 * (self.features @ one) + one @ one, 0)
        numbers = np.argsort(squares, kind="stable")[:count]
        return numbers, np.sqrt(squares[numbers])

    def _features(self, images: Bytes) -> Array:
        outputs = self._before.predict(network_input(images))
        return outputs.reshape(len(images), -1)


def before_last_dense(network: Sequential) -> Sequential:
    """The layers before the last dense one (all, where there is none), with the same parameters; it only predicts."""
    last = max((i for i, layer in enumerate(network.layers) if isinstance(layer, Dense)), default=len(network.layers))
    layers = [type(layer)(**layer.config()) for layer in network.layers[:last]]
    before = Sequential(layers, network.input_shape, seed=None, dtype=network.dtype)
    for ours, layer in zip(before.layers, network.layers, strict=False):
        ours.parameters = {name: array.view() for name, array in layer.parameters.items()}
        ours.state = {name: array.view() for name, array in layer.state.items()}
    before.freeze()
    return before
