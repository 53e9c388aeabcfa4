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

**Two ways.** A network trains in fused steps, which compute the same as its layers by other means. So each gradient is
checked twice, against the one difference quotient of the layers as they are written: once as the layers' own
`backward` gives it, and once as the step gives it that trains them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from nncore import kernels, layers
from nncore.errors import OptionError, ShapeError
from nncore.gradcheck_cases import FUSED_BEGINNINGS, FUSED_CASES, LAYER_CASES
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
    written: float  # relative error of the gradient that the layer as written gives
    trained: float | None = None  # the same of the step that trains it; None where it gives none

    @property
    def worst(self) -> float:
        """The larger error of the two."""
        return float(np.maximum(self.written, self.trained or 0.0))  # unlike max, keeps a NaN

    @property
    def passed(self) -> bool:
        """Whether both are within TOLERANCE."""
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


def by_projection(
    function: Function, array: Array, gradients: Sequence[Array], rng: np.random.Generator, step: float
) -> list[float]:
    """The error of each of several gradients along one random direction, of length 1, that leans towards the first."""
    chance = rng.standard_normal(array.shape)
    direction = chance / np.linalg.norm(chance) + gradients[0] / (np.linalg.norm(gradients[0]) or 1)
    direction /= np.linalg.norm(direction)
    numeric = slope(function, array, direction, step)
    return [relative_error(float(np.vdot(gradient, direction)), numeric) for gradient in gradients]


def by_element(function: Function, array: Array, gradients: Sequence[Array], step: float) -> list[float]:
    """The error of each of several whole gradients, each element's derivative taken on its own."""
    numeric = np.empty_like(gradients[0])
    direction = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        direction[index] = 1
        numeric[index] = slope(function, array, direction, step)
        direction[index] = 0
    return [relative_error(gradient, numeric) for gradient in gradients]


def away_from_kinks(shape: Shape, rng: np.random.Generator) -> Array:
    """Distinct numbers in random order, each at least 0.01 from every other and from zero."""
    count = int(np.prod(shape))
    numbers = np.arange(1, count + 1) * (2.0 / max(50, count)) + 0.02
    signed: Array = rng.permutation(numbers) * rng.choice([-1.0, 1.0], count)
    return signed.reshape(shape)


class Weighting:
    """The loss L = sum(r * y) for a random array r of y's shape, whose gradient is r."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._r: Any = None

    def forward(self, y: Array) -> float:
        """The loss of an output."""
        if self._r is None:
            self._r = self._rng.standard_normal(y.shape)
        return float(np.vdot(self._r, y))

    def backward(self) -> Array:
        """Its gradient by the output."""
        dy: Array = self._r
        return dy


class Labelled:
    """The loss that networks train with, label smoothing included, for random labels."""

    def __init__(self, rng: np.random.Generator, batch: int) -> None:
        self._loss, self._labels = SoftmaxCrossEntropy(label_smoothing=0.1), rng.integers(0, 10, batch)

    def forward(self, y: Array) -> float:
        """The loss of logits (batch, classes)."""
        return self._loss.forward(y, self._labels)

    def backward(self) -> Array:
        """Its gradient by the logits."""
        return self._loss.backward()


def gradients(network: Sequential, run: Sequence[Layer], loss: Any, x: Array) -> dict[str, Array]:
    """The gradients of x and of every parameter by the backward pass of `run`: the network's layers, or its steps.

    A gradient that `backward` forgets counts as zero, which the check then finds wrong. That of x is missing where the
    first step gives none. The forward pass is done already.
    """
    for layer in network.layers:
        layer.gradients = {}
    dy: Any = loss.backward()
    for layer in reversed(run):
        dy = layer.backward(dy)
    found = {name: network.gradients().get(name, np.zeros_like(p)) for name, p in network.parameters().items()}
    return found if dy is None else {"x": dy, **found}


def check_network(
    network: Sequential, loss: Any, inputs: Sequence[Array], rng: np.random.Generator, elements: bool
) -> dict[str, list[float]]:
    """The relative errors of each array's gradient, as written and as trained: the median over several inputs.

    elements: check single layers, whose inputs keep away from kinks, element by element as well.
    """
    for parameter in network.parameters().values():
        if parameter.ndim == 1:
            parameter += 0.1 * rng.standard_normal(parameter.shape)  # biases start at zero, which would hide mistakes
    state = {name: array.copy() for name, array in network.state().items()}
    x = inputs[0].copy()

    def forward(run: Sequence[Layer]) -> float:
        for name, array in network.state().items():
            array[...] = state[name]
        y = x
        for layer in run:
            y = layer.forward(y, training=True)
        return float(loss.forward(y))

    errors: dict[str, list[list[float]]] = {}
    for values in inputs:
        x[...] = values
        found = []
        for run in (network.layers, network.steps):
            forward(run)
            found.append(gradients(network, run, loss, x))
        for name, array in {"x": x, **network.parameters()}.items():
            both = [each[name] for each in found if name in each]
            if any(gradient.shape != array.shape for gradient in both):
                shapes = " and ".join(str(gradient.shape) for gradient in both)
                raise ShapeError(f"backward gives {name} {array.shape} gradients of shape {shapes}")
            step = STEP if elements else NETWORK_STEP
            found_errors = by_projection(partial(forward, network.layers), array, both, rng, step)
            if elements:
                exact = by_element(partial(forward, network.layers), array, both, step)
                found_errors = np.maximum(found_errors, exact).tolist()
            errors.setdefault(name, []).append(found_errors)
    return {name: np.median(each, axis=0).tolist() for name, each in errors.items()}


def check_layer(case: str, layer: Layer, input_shape: Shape, rng: np.random.Generator, batch: int = 2) -> list[Check]:
    """Check one layer for a batch of inputs (batch, *input_shape): dx and every dparameter."""
    # The layer before it, which changes nothing, makes the step give dx: a network's first step does not.
    network = Sequential([layers.LeakyReLU(1.0), layer], input_shape, dtype=np.float64)
    x = away_from_kinks((batch, *input_shape), rng)
    errors = check_network(network, Weighting(rng), [x], rng, elements=True)
    return [Check(type(layer).__name__, case, name.split(".")[-1], *each) for name, each in errors.items()]


def check_fused(case: str, network: Sequential, rng: np.random.Generator, batch: int = 3) -> list[Check]:
    """Check layers that become fused steps."""
    inputs = [rng.standard_normal((batch, *network.input_shape)) for _ in range(INPUTS)]
    errors = check_network(network, Weighting(rng), inputs, rng, elements=False)
    return [Check("fused", case, name, *each) for name, each in errors.items()]


def check_model(name: str, rng: np.random.Generator, batch: int = 2) -> list[Check]:
    """Check a whole network from MODELS with its loss: dx and every dparameter."""
    network = MODELS[name](seed=int(rng.integers(2**31)), dtype=np.float64)
    inputs = [rng.random((batch, *network.input_shape)) for _ in range(INPUTS)]
    errors = check_network(network, Labelled(rng, batch), inputs, rng, elements=False)
    return [Check(name, "whole network", array, *each) for array, each in errors.items()]


def check_loss(case: str, loss: Any, y: Array, target: Any, rng: np.random.Generator) -> list[Check]:
    """Check a loss's gradient with respect to the network's output y."""

    def function() -> float:
        return float(loss.forward(y, target))

    function()
    dy = [loss.backward()]
    (projected,), (exact,) = by_projection(function, y, dy, rng, STEP), by_element(function, y, dy, STEP)
    return [Check(type(loss).__name__, case, "y", float(np.maximum(projected, exact)))]


LOSSES = ("SoftmaxCrossEntropy", "MeanSquaredError")
SUBJECTS = (*LAYER_CASES, "fused", *LOSSES, *MODELS)


def check(subject: str, seed: int = 0) -> list[Check]:
    """Every check of a layer, of fused steps, of a loss or a network, by its name in SUBJECTS."""
    rng = np.random.default_rng(seed)
    if subject in LAYER_CASES:
        return [c for case, make, shape in LAYER_CASES[subject] for c in check_layer(case, make(), shape, rng)]
    if subject == "fused":
        return [c for case, network in fused_networks().items() for c in check_fused(case, network, rng)]
    if subject == "SoftmaxCrossEntropy":
        plain = check_loss("plain", SoftmaxCrossEntropy(), rng.standard_normal((4, 5)), rng.integers(0, 5, 4), rng)
        smooth = SoftmaxCrossEntropy(label_smoothing=0.2)
        return plain + check_loss("smoothing 0.2", smooth, 3 * rng.standard_normal((3, 4)), rng.integers(0, 4, 3), rng)
    if subject == "MeanSquaredError":
        return check_loss("rows", MeanSquaredError(), rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), rng)
    if subject in MODELS:
        return check_model(subject, rng)
    raise OptionError(f"cannot check {subject!r}: choose among {', '.join(SUBJECTS)}")


def fused_networks(dtype: DTypeLike = np.float64) -> dict[str, Sequential]:
    """A network for each of FUSED_CASES, after a layer that changes nothing, and for each of FUSED_BEGINNINGS."""
    able = kernels.available()
    networks = {}
    for begins, cases in ((False, FUSED_CASES), (True, FUSED_BEGINNINGS)):
        for case, (make, shape, conv) in cases.items():
            before = [] if begins else [layers.LeakyReLU(1.0)]
            networks[case] = Sequential([*before, *make()], shape, 0, dtype, conv if able else "auto")
    return networks
