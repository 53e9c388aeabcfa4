"""Exercise 1: a pooling layer between the mean and the maximum."""

import numpy as np

from nncore.layers.pool import AvgPool2D, _Pool2D
from nncore.types import Array


class L2Pool2D(_Pool2D):
    """The root mean square of each window: y = sqrt((sum over the window of x^2) / (PH * PW)).

    **Backward**: y is the root of a mean m of the squares x^2. By the chain rule, with dm/d(x^2) = 1 / (PH * PW),

        dy/dx = 1 / (2 y) * 1 / (PH * PW) * 2 x

    so dx = x times what average pooling would hand back of dy / y. Where a window is all zeros, the root has no
    derivative; it is taken as 0.

    Source: Sermanet, Chintala & LeCun 2012, "Convolutional neural networks applied to house numbers digit
    classification", on Lp pooling.
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        mean = AvgPool2D(self.pool_size, self.stride)
        y: Array = np.sqrt(mean.forward(x * x, training))
        self.remember(training, x, y, mean)
        return y

    def backward(self, dy: Array) -> Array:
        x, y, mean = self.recall()
        quotient = np.divide(dy, y, out=np.zeros_like(dy), where=y > 0)
        dx: Array = x * mean.backward(quotient)
        return dx
