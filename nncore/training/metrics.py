"""How good the predictions are: accuracy, the confusion matrix, and how sure one may be of either."""

import math

import numpy as np
from numpy.typing import NDArray

from nncore.errors import DataError, ShapeError
from nncore.types import Array, Integers


def accuracy(logits_or_predictions: Array | Integers, labels: Integers) -> float:
    """The share of examples whose class is right, 0 to 1.

    logits_or_predictions: scores (N, classes), of which the largest counts (the first of equals), or classes (N,).
    labels: (N,). Raises ShapeError where they do not fit or are empty.
    """
    predictions = logits_or_predictions
    if predictions.ndim == 2 and predictions.shape[1] > 0:
        predictions = predictions.argmax(axis=1)
    if predictions.shape != labels.shape or labels.ndim != 1 or len(labels) == 0:
        raise ShapeError(
            f"accuracy: got predictions of shape {logits_or_predictions.shape} for labels of shape {labels.shape}; "
            "expected (N, classes) or (N,) for (N,), with N at least 1"
        )
    return float((predictions == labels).mean())


def confusion_matrix(labels: Integers, predictions: Integers, classes: int = 10) -> NDArray[np.int64]:
    """How often each class was taken for each other: (classes, classes), a row a true class, a column a predicted one.

    labels, predictions: integers (N,) from 0 to classes - 1; N may be 0. Raises ShapeError or DataError otherwise.
    """
    if labels.ndim != 1 or labels.shape != predictions.shape:
        raise ShapeError(
            f"confusion_matrix: labels have shape {labels.shape}, predictions {predictions.shape}; expected (N,) twice"
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        if len(values) and not 0 <= values.min() <= values.max() < classes:
            raise DataError(
                f"confusion_matrix: {name} run from {values.min()} to {values.max()}; expected 0 to {classes - 1}"
            )
    pairs = labels.astype(np.int64) * classes + predictions
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def precision_recall(confusion: NDArray[np.int64]) -> tuple[Array, Array]:
    """Of each class (classes,): the share of predictions of it that are right, and the share of its examples found.

    A class never predicted has precision 0 and a class without examples recall 0, as in scikit-learn.
    """
    right = confusion.diagonal()
    predicted, existing = confusion.sum(axis=0), confusion.sum(axis=1)
    return right / np.maximum(predicted, 1), right / np.maximum(existing, 1)


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, having seen `correct` of `total`; (0, 1) where nothing was seen.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). Unlike the
    normal approximation it stays within 0 to 1 and is right where nearly all are correct.
    """
    if not 0 <= correct <= total:
        raise DataError(f"wilson_interval: got {correct} correct of {total}; expected 0 <= correct <= total")
    if total == 0:
        return 0.0, 1.0
    z = 1.959963984540054  # 97.5 % of a standard normal distribution lies below
    share = correct / total
    centre = share + z**2 / (2 * total)
    margin = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)
