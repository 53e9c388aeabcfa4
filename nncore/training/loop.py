"""What a training loop needs beside its five lines: measuring, noticing that it broke, stopping on request."""

import math
import signal
import time
from types import FrameType

import numpy as np

from nncore.data.dataset import network_input
from nncore.errors import TrainingError
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.sequential import Sequential
from nncore.types import Array, Bytes


def evaluate(network: Sequential, images: Bytes, labels: Bytes) -> tuple[float, float, Array]:
    """Mean loss, accuracy and logits (N, 10) of the network on images (N, 28, 28), dropout off."""
    logits = network.predict(network_input(images))
    loss = SoftmaxCrossEntropy().forward(logits, labels)
    return loss, float((logits.argmax(axis=1) == labels).mean()), logits


def check_finite(loss: float, network: Sequential, x: Array, step: int, learning_rate: float) -> None:
    """Raise TrainingError unless the loss is a number; x (N, 28, 28, 1) is the batch that it was measured on.

    The batch is sent through the network once more, to say which layer was the first to leave the range of numbers.
    """
    if math.isfinite(loss):
        return
    first = "the loss itself"
    with np.errstate(all="ignore"):
        for name, layer in zip(network.names, network.layers, strict=True):
            if not all(np.isfinite(parameter).all() for parameter in layer.parameters.values()):
                first = f"a weight of {name}"
                break
            x = layer.forward(x)
            if not np.isfinite(x).all():
                first = f"the output of {name}"
                break
    raise TrainingError(
        f"the loss is {loss} at step {step}, with learning rate {learning_rate:g}: the first number to grow beyond all "
        f"bounds is {first}. Try a smaller --learning-rate."
    )


class Interruption:
    """Within its block, Ctrl-C (or a polite kill) no longer stops Python anywhere: it sets `requested`.

    So a training step is never cut in half; the loop looks at `requested` after each. A second Ctrl-C stops at once, if
    it comes a second or more after the first: some programs that start others deliver one signal twice.
    """

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0

    def __enter__(self) -> "Interruption":
        self._before = {number: signal.signal(number, self._request) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested, self._since = True, time.monotonic()
        elif time.monotonic() >= self._since + 1:
            raise KeyboardInterrupt
