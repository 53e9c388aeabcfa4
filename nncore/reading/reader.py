"""From a picture to the digits in it: the network at work, in the page, on the command line and in evaluations alike.

picture file -> ink -> each digit as 28 x 28 -> network -> probabilities -> verdict
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nncore.data.dataset import network_input
from nncore.errors import WeightsError
from nncore.layers.activations import softmax
from nncore.network.sequential import BATCH_SIZE, Sequential
from nncore.reading.ink import read_ink
from nncore.reading.preprocess import Found, find_digits
from nncore.reading.verdict import Verdict, judge
from nncore.types import Array, Bytes


@dataclass(frozen=True)
class Reading:
    """What the network makes of one digit of a picture."""

    digit: int  # the most probable one
    probabilities: Array  # (10,), given that it is a digit
    no_digit: float  # the probability that it is none; 0.0 where the network has no class for that
    verdict: Verdict
    box: tuple[int, int, int, int]  # left, top, width, height in pixels of the picture
    image: Bytes  # (28, 28): what the network saw


class DigitReader:
    """Reads pictures with the network of a weights file. Any number of threads may use it at once.

    To import Numba and its kernels takes longer than to read a few digits without them. So the network runs layer by
    layer, in plain NumPy, until `warm_up` has been called and is done.

    Attributes:
        network: from (28, 28, 1) to 10 logits, or to 11: the last of what is no digit.
        name: the file's, without its ending.

    Raises WeightsError, naming the file, where it cannot be used or its network does not read digits.
    """

    def __init__(self, weights: str | Path) -> None:
        self.network = Sequential.load(weights)
        self.network.freeze()
        self.name = Path(weights).stem
        self._warm = False
        shapes = self.network.input_shape, self.network.output_shape
        if shapes not in (((28, 28, 1), (10,)), ((28, 28, 1), (11,))):
            raise WeightsError(
                f"{weights} holds a network from {self.network.input_shape} to {self.network.output_shape}, "
                "but one that reads digits goes from (28, 28, 1) to (10,), or to (11,) with a class for what is none"
            )

    def warm_up(self) -> None:
        """Import and compile the kernels, for one digit and for many: from then on, they compute."""
        for count in (1, BATCH_SIZE):
            self.network.forward(np.zeros((count, *self.network.input_shape), self.network.dtype))
        self._warm = True

    def read(self, picture: str | Path | BinaryIO) -> list[Reading]:
        """The digits of a picture file in reading order; none where it is blank. DataError where it is no picture."""
        ink, scale = read_ink(picture)
        readings = []
        for reading in self.interpret(find_digits(ink)):
            left, top, width, height = (round(length * scale) for length in reading.box)
            readings.append(replace(reading, box=(left, top, width, height)))
        return readings

    def interpret(self, found: Sequence[Found]) -> list[Reading]:
        """What the network makes of digits that were found, any number of them, of one picture or of many."""
        if not found:
            return []
        logits = self._logits(network_input(np.stack([one.image for one in found])))
        rejecting = logits.shape[1] > 10
        readings = []
        for one, digits, outputs in zip(found, softmax(logits[:, :10]), softmax(logits), strict=True):
            no_digit = float(outputs[10]) if rejecting else None
            verdict = judge(one, digits, no_digit)
            readings.append(Reading(int(digits.argmax()), digits, no_digit or 0.0, verdict, one.box, one.image))
        return readings

    def _logits(self, x: Array) -> Array:
        if self._warm:
            return self.network.predict(x)
        for layer in self.network.layers:
            x = layer.forward(x)
        return x
