"""Four layers, each with one mistake in its backward pass: the riddles of exercise 2."""

import numpy as np

from nncore.layers import Conv2D, Dense, Dropout, MaxPool2D
from nncore.layers.windows import window_slices
from nncore.types import Array


class First(Dense):
    """A dense layer."""

    def backward(self, dy: Array) -> Array:
        (x,) = self.recall()
        self.gradients["kernel"] = x.T @ dy / len(x)
        self.gradients["bias"] = dy.sum(axis=0)
        dx: Array = dy @ self.parameters["kernel"].T
        return dx


class Second(Dropout):
    """Dropout."""

    def backward(self, dy: Array) -> Array:
        kept, _ = self.recall()
        dx: Array = dy * kept
        return dx


class Third(MaxPool2D):
    """Max pooling."""

    def backward(self, dy: Array) -> Array:
        winners, x_shape = self.recall()
        dx = np.zeros(x_shape, dy.dtype)
        for ky in range(self.pool_size[0]):
            for kx in range(self.pool_size[1]):
                won = winners == ky * self.pool_size[1] + kx
                window = dx[window_slices(ky, kx, dy.shape[1:3], self.stride)]
                window[won] = dy[won]
        return dx


class Fourth(Conv2D):
    """A convolution."""

    def backward(self, dy: Array) -> Array:
        kernel = self.parameters["kernel"]
        self.parameters["kernel"] = kernel[::-1, ::-1].copy()
        dx = super().backward(dy)
        self.parameters["kernel"] = kernel
        return dx
