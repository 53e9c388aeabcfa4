"""Dense: every output sees every input."""

from typing import Any

from nncore.errors import ShapeError
from nncore.layers.base import Layer, positive
from nncore.layers.initializers import check_initializer
from nncore.types import Array, Shape


class Dense(Layer):
    """y = x W + b, x (N, inputs) -> y (N, units), with W (inputs, units) and b (units,).

    **Backward**: y[n, u] = sum over i of x[n, i] W[i, u] + b[u], so

        dW[i, u] = sum over n of x[n, i] dy[n, u]   that is  dW = x^T dy
        db[u]    = sum over n of dy[n, u]
        dx[n, i] = sum over u of dy[n, u] W[i, u]   that is  dx = dy W^T

    Source: Goodfellow, Bengio & Courville, "Deep Learning" (2016), section 6.5.
    """

    def __init__(self, units: int, use_bias: bool = True, initializer: str = "he") -> None:
        super().__init__()
        self.units = positive("Dense", "units", units)
        self.use_bias = use_bias
        self.initializer = check_initializer(initializer)

    def forward(self, x: Array, training: bool = False) -> Array:
        y: Array = x @ self.parameters["kernel"]
        if self.use_bias:
            y += self.parameters["bias"]
        self.remember(training, x)
        return y

    def backward(self, dy: Array) -> Array:
        (x,) = self.recall()
        self.gradients["kernel"] = x.T @ dy
        if self.use_bias:
            self.gradients["bias"] = dy.sum(axis=0)
        dx: Array = dy @ self.parameters["kernel"].T
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ShapeError(
                f"{self.describe()} takes rows (inputs,), but its input is {input_shape}: put Flatten() before"
            )
        return (self.units,)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"kernel": (*input_shape, self.units)}
        return {**shapes, "bias": (self.units,)} if self.use_bias else shapes

    def flops(self, input_shape: Shape) -> int:
        return 2 * input_shape[0] * self.units

    def config(self) -> dict[str, Any]:
        return {"units": self.units, "use_bias": self.use_bias, "initializer": self.initializer}

    def describe(self) -> str:
        return f"Dense {self.units}"
