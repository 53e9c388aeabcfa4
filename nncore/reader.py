"""From a picture to the digits in it: the network at work, in the page, on the command line and in evaluations alike.

picture file -> ink -> each digit as 28 x 28 -> network -> probabilities -> verdict
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nncore.errors import WeightsError
from nncore.layers.activations import softmax
from nncore.pictures import read_ink
from nncore.preprocess import find_digits, network_input
from nncore.sequential import Sequential
from nncore.types import Array, Bytes
from nncore.verdict import Verdict, judge


@dataclass(frozen=True)
class Reading:
    """What the network makes of one digit of a picture."""

    digit: int  # the most probable one
    probabilities: Array  # (10,)
    verdict: Verdict
    box: tuple[int, int, int, int]  # left, top, width, height in pixels of the picture
    image: Bytes  # (28, 28): what the network saw


class DigitReader:
    """Reads pictures with the network of a weights file. Any number of threads may use it at once.

    Attributes:
        network: from (28, 28, 1) to 10 logits.
        name: the file's, without its ending.

    Raises WeightsError, naming the file, where it cannot be used or its network does not read digits.
    """

    def __init__(self, weights: str | Path) -> None:
        self.network = Sequential.load(weights)
        self.network.freeze()
        self.name = Path(weights).stem
        if (self.network.input_shape, self.network.output_shape) != ((28, 28, 1), (10,)):
            raise WeightsError(
                f"{weights} holds a network from {self.network.input_shape} to {self.network.output_shape}, "
                "but one that reads digits goes from (28, 28, 1) to (10,)"
            )

    def read(self, picture: str | Path | BinaryIO) -> list[Reading]:
        """The digits of a picture file in reading order; none where it is blank. DataError where it is no picture."""
        ink, scale = read_ink(picture)
        found = find_digits(ink)
        if not found:
            return []
        images = network_input(np.stack([one.image for one in found]))
        logits = self.network.predict(images)
        readings = []
        for one, probabilities in zip(found, softmax(logits), strict=True):
            left, top, width, height = (round(length * scale) for length in one.box)
            verdict = judge(one, probabilities)
            readings.append(
                Reading(int(probabilities.argmax()), probabilities, verdict, (left, top, width, height), one.image)
            )
        return readings
