"""One number of a network, forward or backward: which numbers it was computed from, by which rule, in which lines.

cell = forward_cell(explanation, 0, (12, 9, 3))     # row, column and channel of what the first layer put out
cell.rule                                           # "weighted sum"
(cell.inputs * cell.weights).sum() + cell.bias      # cell.value, up to rounding
"""

import inspect
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nncore.layers import AvgPool2D, BatchNorm, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, Layer, MaxPool2D, ReLU
from nncore.layers.windows import col2im, im2col
from nncore.types import Array, Shape
from webdemo.inside.explain import Explanation

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cell:
    """A number and what it was computed from.

    Attributes:
        rule: how the value follows from the inputs,
            "weighted sum": the sum of inputs * weights, plus bias;
            "normalised": (input - mean) / sqrt(variance + epsilon) * gamma + beta, with these `numbers`;
            "largest": the largest of the inputs;
            "winner": `numbers["dy"]` if this pixel is the largest of the inputs, its window, else 0;
            "gate": the input, dy, if `numbers["y"]` is above 0, else 0;
            "function": a function of the one input;
            "same": the one input itself;
            "other": not told.
        inputs: (KH, KW, C) of a convolution, (PH, PW) of a pooling, (n,) otherwise.
        weights: of the shape of inputs, where there are any.
        corner: row and column of the map below, or of dy, at which a window of inputs begins; may lie in the padding.
        chosen: row and column, within the window, of the largest input.
    """

    value: float
    rule: str
    inputs: Array
    weights: Array | None = None
    bias: float = 0.0
    numbers: dict[str, float] = field(default_factory=dict)
    corner: tuple[int, int] | None = None
    chosen: tuple[int, int] | None = None


@dataclass(frozen=True)
class Source:
    """A function's text as it stands in its file."""

    file: str  # such as "nncore/layers/conv.py"
    line: int
    text: str


def forward_cell(explanation: Explanation, layer: int, at: Shape) -> Cell:
    """How a layer, by its number, computed the cell `at` (row, column, channel), or (unit,), of its output."""
    this, x, y = explanation.network.layers[layer], explanation.outputs[layer][0], explanation.outputs[layer + 1][0]
    value, p = float(y[at]), this.parameters
    match this:
        case Conv2D():
            (top, bottom), (left, right) = this.padding_for(x.shape[:2])
            row, column = at[0] * this.stride[0], at[1] * this.stride[1]
            padded = np.pad(x, ((top, bottom), (left, right), (0, 0)))
            patch = padded[row : row + this.kernel_size[0], column : column + this.kernel_size[1]]
            bias = float(p["bias"][at[2]]) if this.use_bias else 0.0
            return Cell(value, "weighted sum", patch, p["kernel"][..., at[2]], bias, corner=(row - top, column - left))
        case Dense():
            bias = float(p["bias"][at]) if this.use_bias else 0.0
            return Cell(value, "weighted sum", x, p["kernel"][:, at[0]], bias)
        case MaxPool2D() | AvgPool2D():
            row, column = at[0] * this.stride[0], at[1] * this.stride[1]
            window = x[row : row + this.pool_size[0], column : column + this.pool_size[1], at[2]]
            if isinstance(this, MaxPool2D):
                return Cell(value, "largest", window, corner=(row, column), chosen=_largest(window))
            return Cell(value, "weighted sum", window, np.full_like(window, 1 / window.size), corner=(row, column))
        case GlobalAvgPool2D():
            window = x[:, :, at[0]]
            return Cell(value, "weighted sum", window, np.full_like(window, 1 / window.size), corner=(0, 0))
        case BatchNorm():
            numbers = {
                "mean": float(this.state["running_mean"][at[-1]]),
                "variance": float(this.state["running_variance"][at[-1]]),
                "epsilon": this.epsilon,
                "gamma": float(p["gamma"][at[-1]]),
                "beta": float(p["beta"][at[-1]]),
            }
            return Cell(value, "normalised", x[at].reshape(1), numbers=numbers)
        case Dropout() | Flatten():
            return Cell(value, "same", _there(y, at, x))
        case _ if this.is_activation and type(this).__name__ != "Softmax":
            return Cell(value, "function", x[at].reshape(1))
    return Cell(value, "other", x.ravel()[:0])


def backward_cell(explanation: Explanation, layer: int, at: Shape) -> Cell:
    """How a layer's backward pass computed the cell `at` of the gradient by its input, from the one by its output, dy.

    Needs `Explanation.trace_back` before it.
    """
    this, x, y = explanation.network.layers[layer], explanation.outputs[layer][0], explanation.outputs[layer + 1][0]
    dx, dy = explanation.gradients[layer][0], explanation.gradients[layer + 1][0]
    value = float(dx[at])
    match this:
        case Conv2D():
            received, corner = _received(dy, this, x.shape, at)
            return Cell(value, "weighted sum", received, this.parameters["kernel"][:, :, at[2], :], corner=corner)
        case Dense():
            return Cell(value, "weighted sum", dy, this.parameters["kernel"][at])
        case MaxPool2D() if this.stride == this.pool_size:
            row, column = at[0] // this.stride[0], at[1] // this.stride[1]
            if row >= dy.shape[0] or column >= dy.shape[1]:  # beyond the last whole window
                return Cell(value, "other", x.ravel()[:0])
            corner = row * this.stride[0], column * this.stride[1]
            window = x[corner[0] : corner[0] + this.pool_size[0], corner[1] : corner[1] + this.pool_size[1], at[2]]
            numbers = {"dy": float(dy[row, column, at[2]])}
            return Cell(value, "winner", window, numbers=numbers, corner=corner, chosen=_largest(window))
        case ReLU():
            return Cell(value, "gate", dy[at].reshape(1), numbers={"y": float(y[at])})
        case BatchNorm():
            deviation = np.sqrt(this.state["running_variance"] + dy.dtype.type(this.epsilon))
            scale = (this.parameters["gamma"] / deviation)[at[-1]]
            return Cell(value, "weighted sum", dy[at].reshape(1), scale.reshape(1))
        case Dropout() | Flatten():
            return Cell(value, "same", _there(dx, at, dy))
    return Cell(value, "other", dy.ravel()[:0])


def sources(layer: Layer, backward: bool) -> list[Source]:
    """The lines that compute a layer: its own, and for a convolution those that lay out its windows as rows."""
    functions: list[Any] = [type(layer).backward if backward else type(layer).forward]
    if isinstance(layer, Conv2D):
        functions.append(col2im if backward else im2col)
    return [_source(function) for function in functions]


def _source(function: Any) -> Source:
    lines, first = inspect.getsourcelines(function)
    file = Path(inspect.getsourcefile(function) or "")
    name = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.name
    return Source(name, first, textwrap.dedent("".join(lines)).rstrip())


def _largest(window: Array) -> tuple[int, int]:
    """Row and column of the largest number, the first in reading order."""
    row, column = divmod(int(window.argmax()), window.shape[1])
    return row, column


def _there(a: Array, at: Shape, b: Array) -> Array:
    """The number, (1,), of b that stands where `at` stands in a, counted in reading order."""
    place = np.ravel_multi_index(at, a.shape)
    return b.reshape(-1)[place : place + 1]


def _received(dy: Array, layer: Conv2D, x_shape: Shape, at: Shape) -> tuple[Array, tuple[int, int]]:
    """What each tap (ky, kx) of the kernel brings back to one pixel, (KH, KW, F), and the first window's place in dy.

    The window (i, j) saw the pixel through the tap (ky, kx) where i * stride + ky is the pixel's row, padding included.
    """
    (top, _), (left, _) = layer.padding_for(x_shape[:2])
    row, column = at[0] + top, at[1] + left
    received = np.zeros((*layer.kernel_size, dy.shape[2]), dy.dtype)
    for ky, kx in np.ndindex(*layer.kernel_size):
        (i, off_i), (j, off_j) = divmod(row - ky, layer.stride[0]), divmod(column - kx, layer.stride[1])
        if off_i == off_j == 0 and 0 <= i < dy.shape[0] and 0 <= j < dy.shape[1]:
            received[ky, kx] = dy[i, j]
    first = -(-(row - layer.kernel_size[0] + 1) // layer.stride[0])
    return received, (first, -(-(column - layer.kernel_size[1] + 1) // layer.stride[1]))
