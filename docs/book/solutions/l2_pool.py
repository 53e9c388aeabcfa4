"""Exercise 1: a pooling layer between the mean and the maximum."""

import numpy as np

from nncore import kernels
from nncore.layers.pool import _Pool2D
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
        y: Array = np.sqrt(kernels.avg_pool(x * x, self.pool_size, self.stride))
        self.remember(training, x, y)
        return y

    def backward(self, dy: Array) -> Array:
        x, y = self.recall()
        quotient = np.divide(dy, y, out=np.zeros_like(dy), where=y > 0)
        dx: Array = x * kernels.avg_pool_backward(quotient, x.shape, self.pool_size, self.stride)
        return dx
