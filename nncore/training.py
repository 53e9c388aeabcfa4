"""What a training loop needs beside its five lines: measuring, noticing that it broke, stopping on request."""

import math
import signal
from types import FrameType

import numpy as np

from nncore.errors import TrainingError
from nncore.losses import SoftmaxCrossEntropy
from nncore.preprocess import network_input
from nncore.sequential import Sequential
from nncore.types import Array, Bytes


def evaluate(network: Sequential, images: Bytes, labels: Bytes) -> tuple[float, float, Array]:
    """Mean loss, accuracy and logits (N, 10) of the network on images (N, 28, 28), dropout off."""
    logits = network.predict(network_input(images))
    loss = SoftmaxCrossEntropy().forward(logits, labels)
    return loss, float((logits.argmax(axis=1) == labels).mean()), logits


def check_finite(loss: float, network: Sequential, step: int, learning_rate: float) -> None:
    """Raise TrainingError, naming the layer that broke, unless the loss is a number.

    Call it after the backward pass. The gradient travels from the last layer to the first, so the broken gradient
    nearest to the output is where the trouble entered; if a weight is broken too, the step before broke it.
    """
    if math.isfinite(loss):
        return
    broken = [name for name, gradient in network.gradients().items() if not np.isfinite(gradient).all()]
    where = f"the gradient broke first at {broken[-1]}" if broken else "every gradient is still finite"
    spoiled = [name for name, weight in network.parameters().items() if not np.isfinite(weight).all()]
    weights = f"; {spoiled[0]} was already broken by an earlier step" if spoiled else ""
    raise TrainingError(
        f"the loss is {loss} at step {step}, with learning rate {learning_rate:g}: {where}{weights}. "
        f"Try a smaller --learning-rate."
    )


class Interruption:
    """Within its block, Ctrl-C (or a polite kill) no longer stops Python anywhere: it sets `requested`.

    So a training step is never cut in half; the loop looks at `requested` after each. A second Ctrl-C stops at once.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "Interruption":
        self._before = {number: signal.signal(number, self._request) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
