"""Is it a digit, and which: three verdicts from the shape of the ink and the probabilities of the network.

A network of eleven classes has learnt what is no digit (from `nncore/data/strokes/outliers.py`), and gives it a
probability, from which on it is called so. Percent called no digit, mean over three recognisers, each trained without
another third of the writers: those writers' digits, drawn with pens of 8 to 20 pixels on a pad of 280; MNIST's
validation images; and the mean over the kinds of outliers seen in training and not seen:

    class 10 above   writers   MNIST   seen   unseen
    0.002                2.4     1.5     97       97
    0.005                1.2     1.0     97       95
    0.01                 0.8     0.7     96       95
    0.02                 0.6     0.6     96       95
    0.05                 0.4     0.4     96       94

What it misses are question marks, which it calls a 7, bolts of lightning, a 4, and pieces of noise, a 1.

A network of ten classes knows digits only: it calls a triangle a 0 with 100 %. The rules then catch what is plainly
something else. Percent called no digit, by the reference network; MNIST's test set; a few kinds of outliers:

    rule                     writers   MNIST   what it catches
    much wider than high         0.0     0.3   scribbles 46, signs 20
    filled, or a speck           0.0     0.6   dots 100, filled shapes 79, noise 59
    far too much ink             0.2     0.0   smileys 94, spirals 75, zigzags 56, two digits as one 19
    flat probabilities           0.2     0.0   scribbles 31, filled shapes 18, outlines 13, two digits 12
    all of them                  0.4     0.9   (1.0 with a pen of 8 pixels)

"Unsure" are 0.4 % of the writers' digits that the network of eleven classes reads rightly, and 32 % of those that it
reads wrongly; of ten classes, 2 % and 45 %.
"""

from typing import Literal

import numpy as np

from nncore.reading.preprocess import Found
from nncore.types import Array

Verdict = Literal["digit", "unsure", "not a digit"]

WIDEST = 1.6  # width / height
THICKEST = 0.25  # width of the stroke / longer side
LONGEST = 3.4  # length of the stroke / longer side
REFUSED = 0.05  # the probability of being no digit from which it is called so
FLATTEST = 1.2  # entropy of the probabilities, in nats; that of ten equal ones is 2.3
SURE = 0.75  # the probability from which the network is believed
WORTH_NAMING, MAX_NAMED = 0.1, 3


def judge(found: Found, probabilities: Array, no_digit: float | None = None) -> Verdict:
    """The verdict on one digit that was found.

    probabilities: (10,), the network's, of 0 to 9, given that it is a digit. no_digit: the probability that it is none;
    None where the network has no such class.
    """
    if _is_no_digit(found, probabilities) if no_digit is None else no_digit > REFUSED:
        return "not a digit"
    return "digit" if probabilities.max() >= SURE else "unsure"


def candidates(probabilities: Array) -> list[int]:
    """The digits worth naming where it is unsure, one to three, the most probable first: "might be 4 or 9"."""
    ranked = np.argsort(-probabilities, kind="stable")[:MAX_NAMED]
    return [int(digit) for digit in ranked if digit == ranked[0] or probabilities[digit] >= WORTH_NAMING]


def _is_no_digit(found: Found, probabilities: Array) -> bool:
    """Much wider than high, filled, a speck, with far more ink than a digit needs, or like all digits at once."""
    _, _, width, height = found.box
    thickness, length = stroke_size(found)
    side = max(width, height)
    odd_shape = width > WIDEST * height or thickness > THICKEST * side or length > LONGEST * side
    return odd_shape or _entropy(probabilities) > FLATTEST


def stroke_size(found: Found) -> tuple[float, float]:
    """How thick the stroke is and how long, in pixels, from the area of the ink and its edge.

    A line of length l and thickness t has an area of l t and an edge of nearly 2 l. Edges are counted between pixels,
    across and down, which overrates a line by 4 / pi on average over its directions.
    """
    inked = np.pad(2 * found.ink.astype(np.int64) >= found.ink.max(), 1)
    edge = np.pi / 4 * sum(int(np.diff(inked, axis=axis).sum()) for axis in (0, 1))
    return 2 * int(inked.sum()) / edge, edge / 2


def _entropy(probabilities: Array) -> float:
    return float(-(probabilities * np.log(np.maximum(probabilities, 1e-30))).sum())
