"""What a layer is: a function with parameters that also knows its derivative."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nncore.errors import OptionError, ShapeError
from nncore.layers.initializers import INITIALIZERS
from nncore.types import Array, Shape


class Layer:
    """One step of a network. `forward` computes y from x; `backward` turns dL/dy into dL/dx and dL/dparameters.

    The chain rule is the whole story: for a loss L and a layer y = f(x, w),

        dL/dx = (dy/dx)^T dL/dy        dL/dw = (dy/dw)^T dL/dy

    and since dL/dx is the dL/dy of the layer before, walking the layers in reverse gives every gradient.

    Attributes:
        parameters: what training changes, by name.
        gradients: dL/dparameter of the last `backward`, by the same names.
        state: what is kept with the layer but not learned (running statistics, counters).
    """

    is_activation = False  # `summary` prints an activation on the line of the layer before it
    initializer = "he"

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.state: dict[str, np.ndarray[Any, Any]] = {}
        self._memory: Any = None

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape of y for one example's x, both without the batch axis. Raises ShapeError where they cannot fit."""
        return input_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """The shapes of the parameters, nothing allocated."""
        return {}

    def build(self, input_shape: Shape, rng: "np.random.Generator | None", dtype: DTypeLike) -> None:
        """Allocate the parameters: kernels by the layer's initializer, everything else zero.

        Without `rng`, kernels are zero as well: they are going to be read from a file.
        """
        for name, shape in self.parameter_shapes(input_shape).items():
            if name == "kernel" and rng is not None:
                self.parameters[name] = INITIALIZERS[self.initializer](shape, rng, dtype)
            else:
                self.parameters[name] = np.zeros(shape, dtype)

    def forward(self, x: Array, training: bool = False) -> Array:
        """The layer's output for a batch x. Only with `training` is remembered what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def backward(self, dy: Array) -> Array:
        """dL/dx from dL/dy, for the batch of the last forward(x, training=True); fills `gradients`."""
        raise NotImplementedError(f"{type(self).__name__} must define backward")

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""
        return {}

    def flops(self, input_shape: Shape) -> int:
        """Additions and multiplications of one example's forward pass; what is not a product of matrices counts 0."""
        return 0

    def describe(self) -> str:
        """A few words for the summary."""
        return type(self).__name__

    def remember(self, training: bool, *values: Any) -> None:
        """Keep values for `backward`, when training."""
        if training:
            self._memory = values

    def recall(self) -> Any:
        """What the last training `forward` kept, given up: a backward pass follows each forward pass once."""
        if self._memory is None:
            raise RuntimeError(f"{type(self).__name__}.backward needs a forward(x, training=True) before it")
        values, self._memory = self._memory, None
        return values


def require_image(layer: Layer, input_shape: Shape) -> None:
    """Raise ShapeError unless the input of a layer is (height, width, channels)."""
    if len(input_shape) != 3:
        raise ShapeError(f"{layer.describe()} takes images (height, width, channels), but its input is {input_shape}")


def positive(layer: str, name: str, value: Any) -> int:
    """The value as an int, if it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise OptionError(f"{layer}: {name} must be a whole number of at least 1, not {value!r}")
    return int(value)


def pair(layer: str, name: str, value: Any) -> tuple[int, int]:
    """(vertical, horizontal) from one number or two."""
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise OptionError(f"{layer}: {name} must be one number or two (vertical, horizontal), not {value!r}")
    return positive(layer, name, values[0]), positive(layer, name, values[1])
