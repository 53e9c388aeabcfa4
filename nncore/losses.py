"""Losses: one number that says how wrong the network is, and its gradient, with which every backward pass begins."""

import numpy as np

from nncore.errors import OptionError, ShapeError
from nncore.types import Array, Integers


class SoftmaxCrossEntropy:
    """Mean over the batch of -sum over k of t_k log p_k, where p = softmax(logits) and t is the target.

    t is 1 for the true class, 0 for others; with label smoothing s, t = (1 - s) * that + s / classes, so that the
    network is not driven to be infinitely sure.

    **Backward**: log p_k = x_k - log sum of e^x_j, whose derivative by x_j is (k == j) - p_j. As the t_k sum to 1,

        dL/dx_j = (p_j - t_j) / N

    the plain difference between what was said and what is true.

    Source: Goodfellow, Bengio & Courville, "Deep Learning" (2016), section 6.2.2.3; label smoothing: Szegedy et al.
    2016, "Rethinking the inception architecture", section 7.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise OptionError(f"label_smoothing must be at least 0 and below 1, not {label_smoothing!r}")
        self.label_smoothing = label_smoothing

    def forward(self, logits: Array, labels: Integers) -> float:
        """logits: (N, classes); labels: (N,) whole numbers below `classes`. Returns the mean loss."""
        n, classes = _check_batch(logits, labels)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        targets = np.full_like(logits, self.label_smoothing / classes)
        targets[np.arange(n), labels] += 1 - self.label_smoothing
        self._memory = np.exp(log_probabilities), targets
        return float(-(targets * log_probabilities).sum(dtype=np.float64) / n)

    def backward(self) -> Array:
        """dL/dlogits (N, classes) for the batch of the last `forward`."""
        probabilities, targets = self._memory
        dlogits: Array = (probabilities - targets) / len(targets)
        return dlogits


class MeanSquaredError:
    """Mean over all numbers of (y - target)^2. Backward: dL/dy = 2 (y - target) / how many numbers there are."""

    def forward(self, y: Array, targets: Array) -> float:
        """Compare two arrays of one shape."""
        if y.shape != targets.shape:
            raise ShapeError(f"MeanSquaredError compares arrays of one shape, not {y.shape} with {targets.shape}")
        self._difference: Array = y - targets
        return float(np.square(self._difference).mean(dtype=np.float64))

    def backward(self) -> Array:
        """dL/dy for the batch of the last `forward`."""
        dy: Array = self._difference * self._difference.dtype.type(2 / self._difference.size)
        return dy


def _check_batch(logits: Array, labels: Integers) -> tuple[int, int]:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ShapeError(
            f"expected logits (N, classes) and labels (N,), N at least 1: got {logits.shape}, {labels.shape}"
        )
    n, classes = logits.shape
    if labels.min() < 0 or labels.max() >= classes:
        raise ShapeError(f"labels must lie in 0..{classes - 1}, but go from {labels.min()} to {labels.max()}")
    return n, classes
