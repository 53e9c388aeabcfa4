"""One digit on its way through a network and back: what a person would watch in order to see how it computes.

    explanation = Explanation(network, image)
    explanation.outputs                 # what each layer made of it
    explanation.trace_back(label=7)     # the gradient of the loss by each of these
    explanation.step(learning_rate=0.01)    # the probabilities after one step of SGD on this digit alone

**Training as prediction.** Layers remember what `backward` needs only in training, where two kinds of them do something
else than at prediction time. The copy of the network that is looked into does neither, so that its numbers are those
that `predict` answers with, up to rounding: dropout leaves out nothing (`Dropout(0)`), and batch normalisation goes by
its running averages, which are constants (`FixedBatchNorm`), and not by the moments of a batch of one. The gradients
are those of that function.
"""

from dataclasses import dataclass

import numpy as np

from nncore.data.dataset import network_input
from nncore.errors import OptionError, ShapeError
from nncore.layers import BatchNorm, Dropout, Layer
from nncore.layers.activations import softmax
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.sequential import Sequential
from nncore.optimizers import SGD
from nncore.types import Array, Bytes

PATCH, STRIDE = 6, 2  # pixels of the square that hides a part of the digit, and from one place to the next


class FixedBatchNorm(BatchNorm):
    """Batch normalisation as at prediction time, y = gamma * z + beta, z = (x - mean) s, with constant mean and s.

    **Backward**: without the detours through mean and variance that `BatchNorm` has to go,

        dgamma = sum of dy * z        dbeta = sum of dy        dx = dy * gamma * s
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.remember(training, x)
        return super().forward(x, training=False)

    def backward(self, dy: Array) -> Array:
        (x,) = self.recall()
        inverse_deviation = 1 / np.sqrt(self.state["running_variance"] + dy.dtype.type(self.epsilon))
        z = (x - self.state["running_mean"]) * inverse_deviation
        axes = tuple(range(dy.ndim - 1))
        self.gradients = {"gamma": (dy * z).sum(axis=axes), "beta": dy.sum(axis=axes)}
        dx: Array = dy * (self.parameters["gamma"] * inverse_deviation)
        return dx


@dataclass(frozen=True)
class Occlusion:
    """How sure the network still is where a part of the digit is hidden."""

    probabilities: (
        Array  # (rows, columns), of one class: the patch's corner stands at (row, column) * STRIDE - PATCH / 2
    )
    unhidden: float  # the same with nothing hidden


class Explanation:
    """A digit, image uint8 (28, 28), in a copy of a network that reads such.

    Attributes:
        network: the copy.
        outputs: its input and what each layer made of it, (1, ...) each: one more than there are layers.
        probabilities: (classes,).
        loss, gradients: after `trace_back`: how wrong that is, and its gradient by each of `outputs`, of the same
            shapes. Those by the parameters are in `network.gradients()`.
    """

    def __init__(self, network: Sequential, image: Bytes) -> None:
        if image.shape != network.input_shape[:2]:
            raise ShapeError(f"expected an image of shape {network.input_shape[:2]}, not {image.shape}")
        self.network = copied(network)
        self.outputs: list[Array] = []
        self.probabilities = self._forward(network_input(image[np.newaxis]))
        self.loss = float("nan")
        self.gradients: list[Array] = []

    def trace_back(self, label: int) -> None:
        """Say what the digit should have been: fills `loss` and `gradients`, from the last layer to the pixels.

        label: a class of the network's, from 0; OptionError otherwise.
        """
        classes = len(self.probabilities)
        if not 0 <= label < classes:
            raise OptionError(f"label must be from 0 to {classes - 1}, the classes of the network, not {label!r}")
        if self.gradients:
            self._forward(self.outputs[0])  # a layer remembers for one backward pass
        loss = SoftmaxCrossEntropy()
        self.loss = loss.forward(self.outputs[-1], np.array([label]))
        self.gradients = [loss.backward()]
        for layer in reversed(self.network.layers):
            self.gradients.insert(0, layer.backward(self.gradients[0]))

    def step(self, learning_rate: float) -> Array:
        """The probabilities (classes,) after one step of plain SGD against the gradient of this digit's loss.

        Needs `trace_back` before it. Changes the parameters of the copy, but neither `outputs` nor `gradients`.
        """
        if not self.gradients:
            raise OptionError("step needs a gradient: call trace_back first")
        SGD(learning_rate, momentum=0).step(self.network.parameters(), self.network.gradients())
        output = self.outputs[0]
        for layer in self.network.layers:
            output = layer.forward(output)
        after: Array = softmax(output)[0]
        return after

    def _forward(self, x: Array) -> Array:
        self.outputs = [self.network.batch(x)]
        for layer in self.network.layers:
            self.outputs.append(layer.forward(self.outputs[-1], training=True))
        probabilities: Array = softmax(self.outputs[-1])[0]
        return probabilities


def copied(network: Sequential) -> Sequential:
    """A network with parameters of its own, that trains as the given one predicts; the layers' names are the same."""
    copy = Sequential([_copied(layer) for layer in network.layers], network.input_shape, seed=None, dtype=network.dtype)
    for ours, layer in zip(copy.layers, network.layers, strict=True):
        ours.parameters = {name: array.copy() for name, array in layer.parameters.items()}
        ours.state = {name: array.copy() for name, array in layer.state.items()}
    copy.names = network.names
    return copy


def _copied(layer: Layer) -> Layer:
    """A layer of that kind, not yet built."""
    if isinstance(layer, Dropout):
        return Dropout(0)
    if isinstance(layer, BatchNorm):
        return FixedBatchNorm(**layer.config())
    return type(layer)(**layer.config())


def occlusion(network: Sequential, image: Bytes, label: int) -> Occlusion:
    """Hide the digit piece by piece: the probability of a class as a blank patch slides over the image (28, 28).

    Where it covers no ink nothing changes, and nothing is computed.
    Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2.
    """
    places = [
        (slice(max(top, 0), top + PATCH), slice(max(left, 0), left + PATCH))
        for top in _corners(image.shape[0])
        for left in _corners(image.shape[1])
    ]
    hiding = [i for i, place in enumerate(places) if image[place].any()]
    images = np.stack([image] * (1 + len(hiding)))
    for hidden, i in zip(images[1:], hiding, strict=True):
        hidden[places[i]] = 0
    shares = softmax(network.predict(network_input(images)))[:, label]
    probabilities = np.full(len(places), shares[0])
    probabilities[hiding] = shares[1:]
    return Occlusion(probabilities.reshape(len(_corners(image.shape[0])), -1), float(shares[0]))


def _corners(length: int) -> range:
    """Where the patch begins, so that its middle goes over the whole image, from edge to edge."""
    return range(-PATCH // 2, length - PATCH // 2 + 1, STRIDE)
