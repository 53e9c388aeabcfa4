"""What kernels must compute, by the layers: functions of arrays, for tests to compare with."""

import numpy as np

from nncore.layers import AvgPool2D, BatchNorm, Conv2D, MaxPool2D, ReLU
from nncore.layers.base import Layer


def _conv(kernel, stride, padding):
    kh, kw, _, filters = kernel.shape
    layer = Conv2D(filters, (kh, kw), stride, padding, use_bias=False)
    layer.parameters["kernel"] = kernel
    return layer


def conv2d(x, kernel, stride, padding):
    return _conv(kernel, stride, padding).forward(x)


def conv2d_backward(x, kernel, dy, stride, padding):
    layer = _conv(kernel, stride, padding)
    layer.forward(x, training=True)
    return layer.backward(dy), layer.gradients["kernel"]


def max_pool(x, window, stride, kept=None, scale=1.0):
    """(y, winners), with dropout where `kept` is given."""
    layer = MaxPool2D(window, stride)
    y, (winners, _) = layer.forward(x, training=True), layer.recall()
    if kept is not None:
        y, winners = np.where(kept, y * y.dtype.type(scale), y.dtype.type(0)), np.where(kept, winners, -1)
    return y, winners


def max_pool_backward(dy, winners, x_shape, window, stride, scale=1.0):
    layer = MaxPool2D(window, stride)
    layer.remember(True, winners, x_shape)
    return layer.backward(dy * dy.dtype.type(scale))


def avg_pool(x, window, stride):
    return AvgPool2D(window, stride).forward(x)


def avg_pool_backward(dy, x_shape, window, stride):
    layer = AvgPool2D(window, stride)
    layer.remember(True, x_shape)
    return layer.backward(dy)


def row(layers, x, dy):
    """(y, dx) of layers one after the other, in training."""
    for layer in layers:
        x = layer.forward(x, training=True)
    for layer in reversed(layers):
        dy = layer.backward(dy)
    return x, dy


class Bias(Layer):
    """y = x + bias, along the last axis."""

    def __init__(self, bias):
        super().__init__()
        self.parameters["bias"] = bias

    def forward(self, x, training=False):
        return x + self.parameters["bias"]

    def backward(self, dy):
        self.gradients["bias"] = dy.sum(axis=tuple(range(dy.ndim - 1)))
        return dy


def batch_norm(channels, dtype, epsilon, relu):
    """The layers, built."""
    norm = BatchNorm(epsilon=epsilon)
    norm.build((channels,), None, dtype)
    return [norm, ReLU()] if relu else [norm]
