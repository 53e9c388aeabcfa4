"""Batch normalisation: each channel is brought to mean 0 and variance 1, then to what training finds best."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nncore.errors import OptionError
from nncore.layers.base import Layer
from nncore.types import Array, Shape


class BatchNorm(Layer):
    """y = gamma * z + beta with z = (x - mean) / sqrt(var + epsilon), per channel (the last axis). Any shape.

    In training, mean and var are those of the batch, over all axes but the last; m below is how many numbers of a
    channel they are taken over. Running averages of them serve at prediction time:
    running = momentum * running + (1 - momentum) * batch, with the variance's unbiased estimate (m / (m - 1)).

    **Backward**: with s = 1 / sqrt(var + epsilon) and z = (x - mean) s,

        dgamma = sum of dy * z        dbeta = sum of dy        dz = dy * gamma

    x moves z directly, through the mean and through the variance. As sum of z = 0 and mean of z^2 = 1 (less epsilon's
    part), the two detours subtract from dz its mean and its component along z:

        dx = s * (dz - mean(dz) - z * mean(dz * z))

    Source: Ioffe & Szegedy 2015, "Batch normalization", algorithm 1 and the equations of section 3.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise OptionError(f"BatchNorm: momentum must be at least 0 and below 1, not {momentum!r}")
        if not epsilon > 0:
            raise OptionError(f"BatchNorm: epsilon must be above 0, not {epsilon!r}")
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)

    def build(self, input_shape: Shape, rng: "np.random.Generator | None", dtype: DTypeLike) -> None:
        channels = input_shape[-1]
        self.parameters = {"gamma": np.ones(channels, dtype), "beta": np.zeros(channels, dtype)}
        self.state = {"running_mean": np.zeros(channels, dtype), "running_variance": np.ones(channels, dtype)}

    def forward(self, x: Array, training: bool = False) -> Array:
        if not training:
            scale, shift = (array.astype(x.dtype) for array in self.scale_and_shift())
            return x * scale + shift
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
        inverse_deviation = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        z = (x - mean) * inverse_deviation
        self.update_running(mean, variance, count=x.size // x.shape[-1])
        self.remember(training, z, inverse_deviation)
        y: Array = self.parameters["gamma"] * z + self.parameters["beta"]
        return y

    def backward(self, dy: Array) -> Array:
        z, inverse_deviation = self.recall()
        axes = tuple(range(dy.ndim - 1))
        self.gradients = {"gamma": (dy * z).sum(axis=axes), "beta": dy.sum(axis=axes)}
        dz = dy * self.parameters["gamma"]
        dx: Array = inverse_deviation * (dz - dz.mean(axis=axes) - z * (dz * z).mean(axis=axes))
        return dx

    def scale_and_shift(self) -> tuple[Array, Array]:
        """What the layer is at prediction time, y = x * scale + shift: both (C,), in float64."""
        gamma, beta = (self.parameters[name].astype(np.float64) for name in ("gamma", "beta"))
        mean, variance = (self.state[name].astype(np.float64) for name in ("running_mean", "running_variance"))
        scale = gamma / np.sqrt(variance + self.epsilon)
        return scale, beta - mean * scale

    def update_running(self, mean: Array, variance: Array, count: int) -> None:
        """Take in the moments of one more batch, taken over so many numbers of each channel."""
        unbiased = variance * (count / max(1, count - 1))
        for name, batch in (("running_mean", mean), ("running_variance", unbiased)):
            running = self.state[name]
            running += (1 - self.momentum) * (batch - running)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"gamma": input_shape[-1:], "beta": input_shape[-1:]}

    def config(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "epsilon": self.epsilon}
