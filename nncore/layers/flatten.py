"""Flatten: an image becomes a row of numbers, for the dense layers."""

import math

from nncore.layers.base import Layer
from nncore.types import Array, Shape


class Flatten(Layer):
    """Each example as one row, x (N, ...) -> y (N, product of the rest). Backward restores the shape."""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.remember(training, x.shape)
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: Array) -> Array:
        (x_shape,) = self.recall()
        return dy.reshape(x_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)
