"""Pooling: an image is made smaller by keeping one number of each window."""

import math
from typing import Any

import numpy as np

from nncore.errors import ShapeError
from nncore.layers.base import Layer, pair, require_image
from nncore.layers.windows import output_size, window_slices
from nncore.types import Array, Pair, Shape


class _Pool2D(Layer):
    """What max and average pooling share: windows, x (N, H, W, C) -> y (N, OH, OW, C).

    Args:
        pool_size: the window's size, one number or (height, width).
        stride: the window's step; by default the window's size, so that windows tile the image. Pixels beyond the last
            whole window are left out.
    """

    def __init__(self, pool_size: int | Pair = 2, stride: int | Pair | None = None) -> None:
        super().__init__()
        name = type(self).__name__
        self.pool_size = pair(name, "pool_size", pool_size)
        self.stride = self.pool_size if stride is None else pair(name, "stride", stride)

    def output_shape(self, input_shape: Shape) -> Shape:
        require_image(self, input_shape)
        height, width, channels = input_shape
        size = output_size((height, width), self.pool_size, self.stride)
        if min(size) < 1:
            raise ShapeError(
                f"{self.describe()} does not fit its input {input_shape}: the window {self.pool_size} "
                f"is larger than the image"
            )
        return *size, channels

    def config(self) -> dict[str, Any]:
        return {"pool_size": self.pool_size, "stride": self.stride}

    def describe(self) -> str:
        stride = "" if self.stride == self.pool_size else f", stride {self.stride[0]}x{self.stride[1]}"
        return f"{type(self).__name__} {self.pool_size[0]}x{self.pool_size[1]}{stride}"


class MaxPool2D(_Pool2D):
    """The largest value of each window: y = max over the window of x.

    **Backward**: only the winner of a window influenced y, with derivative 1; so dy goes to the winner and the others
    get nothing. Where several are largest, max has no derivative; the first in reading order is taken as the winner.
    A pixel that wins several overlapping windows collects from each.
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        size = output_size(x.shape[1:3], self.pool_size, self.stride)
        y = np.full((len(x), *size, x.shape[3]), -np.inf, x.dtype)
        winners = np.zeros(y.shape, np.int32)  # the winner's place in its window, counted in reading order
        for place, (ky, kx) in enumerate(np.ndindex(*self.pool_size)):
            pixel = x[window_slices(ky, kx, size, self.stride)]
            larger = (pixel > y) | np.isnan(pixel)  # a NaN must show, not vanish
            y[larger], winners[larger] = pixel[larger], place
        self.remember(training, winners, x.shape)
        return y

    def backward(self, dy: Array) -> Array:
        winners, x_shape = self.recall()
        dx = np.zeros(x_shape, dy.dtype)
        for place, (ky, kx) in enumerate(np.ndindex(*self.pool_size)):
            dx[window_slices(ky, kx, dy.shape[1:3], self.stride)] += dy * (winners == place)
        return dx


class AvgPool2D(_Pool2D):
    """The mean of each window: y = (sum over the window of x) / (PH * PW).

    **Backward**: each pixel had the weight 1 / (PH * PW), so each gets that share of dy.
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        size = output_size(x.shape[1:3], self.pool_size, self.stride)
        y = np.zeros((len(x), *size, x.shape[3]), x.dtype)
        for ky, kx in np.ndindex(*self.pool_size):
            y += x[window_slices(ky, kx, size, self.stride)]
        self.remember(training, x.shape)
        y /= math.prod(self.pool_size)
        return y

    def backward(self, dy: Array) -> Array:
        (x_shape,) = self.recall()
        dx, share = np.zeros(x_shape, dy.dtype), dy / dy.dtype.type(math.prod(self.pool_size))
        for ky, kx in np.ndindex(*self.pool_size):
            dx[window_slices(ky, kx, dy.shape[1:3], self.stride)] += share
        return dx


class GlobalAvgPool2D(Layer):
    """The mean of each channel over the whole image, x (N, H, W, C) -> y (N, C).

    **Backward**: every pixel had the weight 1 / (H * W), so dx = dy / (H * W) everywhere.

    Source: Lin, Chen & Yan 2013, "Network in network", section 3.2.
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.remember(training, x.shape)
        y: Array = x.mean(axis=(1, 2))
        return y

    def backward(self, dy: Array) -> Array:
        (x_shape,) = self.recall()
        _, height, width, _ = x_shape
        dx = np.empty(x_shape, dy.dtype)
        dx[:] = (dy / (height * width))[:, np.newaxis, np.newaxis, :]
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        require_image(self, input_shape)
        return input_shape[2:]
