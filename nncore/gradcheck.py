"""Gradient checks: every hand-written backward pass against finite differences, in float64.

**The idea.** For a layer y = f(x, w) and a fixed random array r of y's shape, the number L = sum(r * y) has the
gradient dL/dy = r. So `backward(r)` must return dL/dx and fill in dL/dw, and both can be had without calculus:

    dL/dx along a direction d  ~  (L(x + h d) - L(x - h d)) / (2 h)        (central difference, error O(h^2))

- *by random projection*: one random direction d over all numbers at once checks a whole gradient by one comparison,
  sum(dL/dx * d) against the difference quotient (as HIPS/autograd's `test_util.py` does);
- *element by element*: on small shapes, d is each unit vector in turn, which tells where a gradient is wrong.

**Kinks.** ReLU and max pooling have no derivative where x = 0 or where two numbers tie, and a difference quotient that
straddles such a point is wrong although the gradient is right. Single layers are therefore given inputs that keep a
distance from every kink: distinct numbers, a step apart, in random order, none near zero. In a whole network nobody
chooses the numbers inside, and among its 200,000 ReLUs some are always close to zero. There the step is small (1e-7),
so that few change sides, and the error is the median over several inputs: a kink spoils one input in many, a wrong
gradient spoils all. A step so small leaves few digits of the difference, hence the directions lean towards the
gradient itself (half of it, half random), along which the loss changes most.

**Randomness.** Dropout's mask is a function of a counter in the layer's state, which is put back before each forward
pass, so that every evaluation draws the same mask.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nncore import layers
from nncore.errors import OptionError, ShapeError
from nncore.kernels.conv import choose as convolution
from nncore.layers import Layer
from nncore.losses import MeanSquaredError, SoftmaxCrossEntropy
from nncore.network.models import MODELS
from nncore.network.sequential import Sequential
from nncore.types import Array, Shape

STEP = 1e-5
NETWORK_STEP = 1e-7
TOLERANCE = 1e-6
INPUTS = 5  # for whole networks

Function = Callable[[], float]


class Check(NamedTuple):
    """The outcome for one array of one case."""

    subject: str  # "Conv2D"
    case: str  # "3x3 same, stride 2"
    array: str  # "x" or a parameter's name
    by_projection: float  # relative errors
    by_element: float | None

    @property
    def worst(self) -> float:
        """The larger error of the two."""
        return float(np.maximum(self.by_projection, self.by_element or 0.0))  # unlike max, keeps a NaN

    @property
    def passed(self) -> bool:
        """Whether both ways agree within TOLERANCE."""
        return self.worst <= TOLERANCE  # false for NaN as well


def relative_error(analytic: Array | float, numeric: Array | float) -> float:
    """|a - n| / (|a| + |n|), in the Euclidean norm; two zeros agree."""
    scale = np.linalg.norm(analytic) + np.linalg.norm(numeric)
    return float(np.linalg.norm(analytic - numeric) / scale) if scale else 0.0


def slope(function: Function, array: Array, direction: Array, step: float) -> float:
    """The derivative of function() along a direction in `array`, which is changed in place and put back."""
    original = array.copy()
    array += step * direction
    above = function()
    array[...] = original - step * direction
    below = function()
    array[...] = original
    return (above - below) / (2 * step)


def by_projection(function: Function, array: Array, gradient: Array, rng: np.random.Generator, step: float) -> float:
    """The error of a gradient along one random direction, of length 1, that leans towards the gradient."""
    chance = rng.standard_normal(array.shape)
    direction = chance / np.linalg.norm(chance) + gradient / (np.linalg.norm(gradient) or 1)
    direction /= np.linalg.norm(direction)
    return relative_error(float(np.vdot(gradient, direction)), slope(function, array, direction, step))


def by_element(function: Function, array: Array, gradient: Array, step: float) -> float:
    """The error of a whole gradient, each element's derivative taken on its own."""
    numeric = np.empty_like(gradient)
    direction = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        direction[index] = 1
        numeric[index] = slope(function, array, direction, step)
        direction[index] = 0
    return relative_error(gradient, numeric)


def away_from_kinks(shape: Shape, rng: np.random.Generator) -> Array:
    """Distinct numbers in random order, each at least 0.01 from every other and from zero."""
    count = int(np.prod(shape))
    numbers = np.arange(1, count + 1) * (2.0 / max(50, count)) + 0.02
    signed: Array = rng.permutation(numbers) * rng.choice([-1.0, 1.0], count)
    return signed.reshape(shape)


def _paired(parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> list[tuple[str, Array, Array]]:
    """Each parameter with its gradient; one that `backward` forgot counts as zero, which the check then finds wrong."""
    return [(name, array, gradients.get(name, np.zeros_like(array))) for name, array in parameters.items()]


def check_layer(case: str, layer: Layer, input_shape: Shape, rng: np.random.Generator, batch: int = 2) -> list[Check]:
    """Check one layer for a batch of inputs (batch, *input_shape): dx and every dparameter."""
    network = Sequential([layer], input_shape, dtype=np.float64)
    x = away_from_kinks((batch, *input_shape), rng)
    for parameter in layer.parameters.values():
        parameter += 0.1 * rng.standard_normal(parameter.shape)  # biases start at zero, which would hide mistakes
    weighting = rng.standard_normal((batch, *network.output_shape))
    state = {name: array.copy() for name, array in network.state().items()}

    def function() -> float:
        for name, array in network.state().items():
            array[...] = state[name]
        return float(np.vdot(weighting, network.forward(x, training=True)))

    function()
    dx = network.backward(weighting)
    arrays = [("x", x, dx), *_paired(layer.parameters, layer.gradients)]
    for name, array, gradient in arrays:
        if gradient.shape != array.shape:
            raise ShapeError(
                f"{type(layer).__name__}.backward gives {name} {array.shape} a gradient of shape {gradient.shape}"
            )
    return [
        Check(
            type(layer).__name__,
            case,
            name,
            by_projection(function, array, gradient, rng, STEP),
            by_element(function, array, gradient, STEP),
        )
        for name, array, gradient in arrays
    ]


def check_loss(case: str, loss: Any, y: Array, target: Any, rng: np.random.Generator) -> list[Check]:
    """Check a loss's gradient with respect to the network's output y."""

    def function() -> float:
        return float(loss.forward(y, target))

    function()
    dy = loss.backward()
    errors = by_projection(function, y, dy, rng, STEP), by_element(function, y, dy, STEP)
    return [Check(type(loss).__name__, case, "y", *errors)]


def check_network(name: str, rng: np.random.Generator) -> list[Check]:
    """Check a whole network from MODELS with its loss, batch of two: dx and every dparameter, by projection."""
    network = MODELS[name](seed=int(rng.integers(2**31)), dtype=np.float64)
    for parameter in network.parameters().values():
        if parameter.ndim == 1:
            parameter += 0.1 * rng.standard_normal(parameter.shape)
    x: Array = np.empty((2, *network.input_shape))
    labels = rng.integers(0, 10, 2)
    loss = SoftmaxCrossEntropy(label_smoothing=0.1)
    state = {key: array.copy() for key, array in network.state().items()}

    def function() -> float:
        for key, array in network.state().items():
            array[...] = state[key]
        return loss.forward(network.forward(x, training=True), labels)

    errors: dict[str, list[float]] = {}
    for _ in range(INPUTS):
        x[...] = rng.random(x.shape)
        function()
        dx = network.backward(loss.backward())
        for key, array, gradient in [("x", x, dx), *_paired(network.parameters(), network.gradients())]:
            errors.setdefault(key, []).append(by_projection(function, array, gradient, rng, NETWORK_STEP))
    return [Check(name, "whole network", key, float(np.median(each)), None) for key, each in errors.items()]


Case = tuple[str, Callable[[], Layer], Shape]

LAYER_CASES: dict[str, list[Case]] = {
    "Conv2D": [
        ("3x3 valid", lambda: layers.Conv2D(3, 3), (5, 6, 2)),
        ("3x3 same, stride 2", lambda: layers.Conv2D(2, 3, stride=2, padding="same"), (5, 6, 3)),
        (
            "2x3 explicit, stride 3x2, no bias",
            lambda: layers.Conv2D(2, (2, 3), (3, 2), ((1, 0), (2, 1)), False),
            (7, 6, 2),
        ),
        ("1x1", lambda: layers.Conv2D(4, 1), (3, 3, 1)),
        ("5x5, padding 2", lambda: layers.Conv2D(2, 5, padding=2), (5, 5, 1)),
        ("3x2, stride 2x1, nine channels", lambda: layers.Conv2D(2, (3, 2), (2, 1), 1), (4, 4, 9)),
    ],
    "MaxPool2D": [
        ("2x2", lambda: layers.MaxPool2D(2), (5, 4, 3)),
        ("3x2, stride 2x1, overlapping", lambda: layers.MaxPool2D((3, 2), (2, 1)), (6, 5, 2)),
    ],
    "AvgPool2D": [
        ("2x2", lambda: layers.AvgPool2D(2), (5, 4, 3)),
        ("3x2, stride 2x1, overlapping", lambda: layers.AvgPool2D((3, 2), (2, 1)), (6, 5, 2)),
    ],
    "GlobalAvgPool2D": [("4x3", lambda: layers.GlobalAvgPool2D(), (4, 3, 2))],
    "Flatten": [("image", lambda: layers.Flatten(), (3, 2, 2))],
    "Dense": [
        ("7 to 4", lambda: layers.Dense(4), (7,)),
        ("3 to 5, no bias", lambda: layers.Dense(5, use_bias=False), (3,)),
    ],
    "Dropout": [("rate 0.4", lambda: layers.Dropout(0.4), (4, 3, 2)), ("rate 0", lambda: layers.Dropout(0.0), (5,))],
    "BatchNorm": [
        ("image", lambda: layers.BatchNorm(), (3, 4, 2)),
        ("rows", lambda: layers.BatchNorm(epsilon=0.1), (5,)),
    ],
    "ReLU": [("image", lambda: layers.ReLU(), (3, 4, 2))],
    "LeakyReLU": [("slope 0.1", lambda: layers.LeakyReLU(0.1), (3, 4, 2))],
    "Sigmoid": [("image", lambda: layers.Sigmoid(), (3, 4, 2))],
    "Tanh": [("image", lambda: layers.Tanh(), (3, 4, 2))],
    "Softmax": [
        ("rows", lambda: layers.Softmax(), (6,)),
        ("channels of an image", lambda: layers.Softmax(), (2, 2, 3)),
    ],
}

LOSSES = ("SoftmaxCrossEntropy", "MeanSquaredError")
SUBJECTS = (*LAYER_CASES, *LOSSES, *MODELS)


def check(subject: str, seed: int = 0) -> list[Check]:
    """Every check of a layer, loss or network, by its name in SUBJECTS."""
    rng = np.random.default_rng(seed)
    if subject in LAYER_CASES:
        cases = LAYER_CASES[subject] + (_conv2d_by_every_algorithm() if subject == "Conv2D" else [])
        return [c for case, make, shape in cases for c in check_layer(case, make(), shape, rng)]
    if subject == "SoftmaxCrossEntropy":
        plain = check_loss("plain", SoftmaxCrossEntropy(), rng.standard_normal((4, 5)), rng.integers(0, 5, 4), rng)
        smooth = SoftmaxCrossEntropy(label_smoothing=0.2)
        return plain + check_loss("smoothing 0.2", smooth, 3 * rng.standard_normal((3, 4)), rng.integers(0, 4, 3), rng)
    if subject == "MeanSquaredError":
        return check_loss("rows", MeanSquaredError(), rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), rng)
    if subject in MODELS:
        return check_network(subject, rng)
    raise OptionError(f"cannot check {subject!r}: choose among {', '.join(SUBJECTS)}")


def _conv2d_by_every_algorithm() -> list[Case]:
    return [
        (f"3x3, {name}", partial(layers.Conv2D, 3, 3, 1, ((1, 0), (0, 2)), algorithm=name), (5, 4, 2))
        for name in convolution.ALGORITHMS
    ]
