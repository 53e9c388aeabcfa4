"""Probabilities that mean what they say: of all answers given with 80 %, about 80 % should be right.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.
"""

import numpy as np

from nncore.data.dataset import network_input
from nncore.errors import ShapeError
from nncore.layers.activations import softmax
from nncore.network.sequential import Sequential
from nncore.types import Array, Bytes, Integers

COLDEST, HOTTEST = 0.01, 100.0


def fit_temperature(logits: Array, labels: Integers) -> float:
    """The number by which to divide logits (N, classes) so that their softmax makes labels (N,) most likely.

    Above 1 the network was too sure, below 1 not sure enough; which class is most probable stays the same (section 4.2
    of the paper). The mean of -log p is convex in the inverse of the temperature, so it is least where its slope is 0,
    and that is found by bisection, to six digits. Between COLDEST and HOTTEST: where all are right, or no better than
    chance, there is no least. Raises ShapeError where the arrays do not fit or are empty.
    """
    _check("fit_temperature", logits, labels)
    lead = logits - logits[np.arange(len(logits)), labels].astype(np.float64)[:, None]
    low, high = 1 / HOTTEST, 1 / COLDEST  # inverse temperatures
    while high > (1 + 1e-7) * low:
        middle = np.sqrt(low * high)
        slope = (softmax(middle * lead) * lead).sum(axis=1).mean()
        low, high = (middle, high) if slope < 0 else (low, middle)
    return float(2 / (low + high))


def calibrate(network: Sequential, images: Bytes, labels: Integers) -> None:
    """Divide the network's last weights by the temperature that suits images (N, 28, 28) which it has not learned."""
    temperature = fit_temperature(network.predict(network_input(images)), labels)
    for array in network.layers[-1].parameters.values():
        array /= temperature


def expected_calibration_error(probabilities: Array, labels: Integers, bins: int = 15) -> float:
    """By how much confidence and accuracy differ, 0 to 1, on average over all answers (eq. 5 of the paper).

    probabilities: (N, classes), labels: (N,). Answers are sorted by the probability of the class they name into `bins`
    of equal width, the upper end belonging to each; in every bin the mean probability is held against the share that is
    right. By chance it is a little above 0 for a perfect network, too. Raises ShapeError where the arrays do not fit or
    are empty.
    """
    _check("expected_calibration_error", probabilities, labels)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(place, confidence - right)).sum() / len(labels))


def _check(function: str, scores: Array, labels: Integers) -> None:
    if scores.ndim != 2 or scores.shape[1] == 0 or labels.shape != scores.shape[:1] or len(labels) == 0:
        raise ShapeError(
            f"{function}: got scores of shape {scores.shape} for labels of shape {labels.shape}; expected (N, classes) "
            "for (N,), with N at least 1"
        )
