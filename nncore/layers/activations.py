"""Activations: the bends between the layers, without which a network would be one matrix. All keep the shape of x."""

from typing import Any

import numpy as np

from nncore.layers.base import Layer
from nncore.types import Array


class ReLU(Layer):
    """y = max(x, 0). Backward: dx = dy where x > 0, else 0 (at the kink, x = 0, the derivative is taken as 0)."""

    is_activation = True

    def forward(self, x: Array, training: bool = False) -> Array:
        y = np.maximum(x, 0)
        self.remember(training, y)
        return y

    def backward(self, dy: Array) -> Array:
        (y,) = self.recall()
        dx: Array = dy * (y > 0)
        return dx


class LeakyReLU(Layer):
    """y = x where x > 0, else slope * x. Backward: dx = dy times 1 or slope.

    Source: Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".
    """

    is_activation = True

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = float(negative_slope)

    def forward(self, x: Array, training: bool = False) -> Array:
        slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.negative_slope))
        self.remember(training, slope)
        return x * slope

    def backward(self, dy: Array) -> Array:
        (slope,) = self.recall()
        dx: Array = dy * slope
        return dx

    def config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope}

    def describe(self) -> str:
        return f"LeakyReLU {self.negative_slope:g}"


class Sigmoid(Layer):
    """y = 1 / (1 + e^-x). Backward: dy/dx = y (1 - y), so dx = dy * y * (1 - y)."""

    is_activation = True

    def forward(self, x: Array, training: bool = False) -> Array:
        # The same function, 1/2 + tanh(x/2)/2, which overflows nowhere.
        y: Array = 0.5 + 0.5 * np.tanh(0.5 * x)
        self.remember(training, y)
        return y

    def backward(self, dy: Array) -> Array:
        (y,) = self.recall()
        dx: Array = dy * y * (1 - y)
        return dx


class Tanh(Layer):
    """y = tanh(x). Backward: dy/dx = 1 - y^2, so dx = dy * (1 - y^2)."""

    is_activation = True

    def forward(self, x: Array, training: bool = False) -> Array:
        y = np.tanh(x)
        self.remember(training, y)
        return y

    def backward(self, dy: Array) -> Array:
        (y,) = self.recall()
        dx: Array = dy * (1 - y * y)
        return dx


def softmax(logits: Array) -> Array:
    """Probabilities from logits along the last axis: e^x_k / sum over j of e^x_j.

    Subtracting the largest logit changes nothing in the quotient and keeps e^x from overflowing.
    """
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


class Softmax(Layer):
    """y_k = e^x_k / sum over j of e^x_j, along the last axis: positive numbers that sum to 1.

    **Backward**: dy_k/dx_j = y_k ((k == j) - y_j), so dx_j = y_j (dy_j - sum over k of dy_k y_k).

    A classifier trained with `SoftmaxCrossEntropy` needs no Softmax layer: that loss takes logits.
    """

    is_activation = True

    def forward(self, x: Array, training: bool = False) -> Array:
        y = softmax(x)
        self.remember(training, y)
        return y

    def backward(self, dy: Array) -> Array:
        (y,) = self.recall()
        dx: Array = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
        return dx
