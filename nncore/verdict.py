"""A stand-in until the rules are here."""

from typing import Literal

from nncore.preprocess import Found
from nncore.types import Array

Verdict = Literal["digit", "unsure", "not a digit"]


def judge(found: Found, probabilities: Array) -> Verdict:
    """Stand-in."""
    return "digit" if probabilities.max() > 0.6 else "unsure"


def candidates(probabilities: Array) -> list[int]:
    """Stand-in."""
    return [int(digit) for digit in probabilities.argsort()[-2:]]
