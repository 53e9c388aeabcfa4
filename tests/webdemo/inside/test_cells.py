"""One number at a time: its inputs and its rule give the engine's number."""

import inspect
import math

import numpy as np
import pytest

from nncore.layers import AvgPool2D, BatchNorm, Conv2D, Dense, Flatten, GlobalAvgPool2D, MaxPool2D, ReLU, Softmax, Tanh
from nncore.network.sequential import Sequential
from tests.webdemo.inside.test_explain import drawn, small
from webdemo.inside.cells import backward_cell, forward_cell, sources
from webdemo.inside.explain import Explanation


def worked_out(cell, at):
    """The value that follows from what the cell tells."""
    n = cell.numbers
    match cell.rule:
        case "weighted sum":
            return (cell.inputs * cell.weights).sum(dtype=np.float64) + cell.bias
        case "normalised":
            return (cell.inputs[0] - n["mean"]) / math.sqrt(n["variance"] + n["epsilon"]) * n["gamma"] + n["beta"]
        case "largest":
            return cell.inputs[cell.chosen]
        case "winner":
            return n["dy"] if (at[0] - cell.corner[0], at[1] - cell.corner[1]) == cell.chosen else 0.0
        case "gate":
            return cell.inputs[0] if n["y"] > 0 else 0.0
        case "same":
            return cell.inputs[0]
    return None


def some(rng, shape, count=12):
    """A few places in an array: its corners and others."""
    ends = [tuple(0 for _ in shape), tuple(length - 1 for length in shape)]
    return ends + [tuple(int(rng.integers(length)) for length in shape) for _ in range(count)]


def explained(network, rng):
    explanation = Explanation(network, drawn(rng))
    explanation.trace_back(6)
    return explanation


def check(network, rng):
    explanation = explained(network, rng)
    for number, layer in enumerate(network.layers):
        for tell, values in (
            (forward_cell, explanation.outputs[number + 1]),
            (backward_cell, explanation.gradients[number]),
        ):
            for at in some(rng, values.shape[1:]):
                cell = tell(explanation, number, at)
                assert cell.value == values[0][at]
                size = abs(cell.inputs * (1 if cell.weights is None else cell.weights)).sum()
                if cell.rule == "normalised":  # a difference, of numbers of these sizes
                    size += sum(map(abs, cell.numbers.values()))
                if cell.rule == "function":
                    y = type(layer)().forward(cell.inputs)
                    assert cell.value == pytest.approx(y[0])
                elif cell.rule != "other":
                    expected = pytest.approx(worked_out(cell, at), rel=1e-5, abs=1e-6 * float(size) + 1e-12)
                    assert cell.value == expected, (layer, tell, at)
    return explanation


def test_every_cell_follows_from_what_it_tells(rng):
    check(small(rng), rng)


def test_in_other_layers_too(rng):
    layers = [Conv2D(3, (3, 2), stride=(2, 1), padding=((2, 0), (1, 1))), Tanh(), AvgPool2D(3, 2), MaxPool2D(3, 1)]
    check(Sequential([*layers, Conv2D(10, 2, padding="same"), GlobalAvgPool2D()], (28, 28, 1)), rng)
    check(Sequential([MaxPool2D(3), Flatten(), Dense(10, use_bias=False), Softmax()], (28, 28, 1)), rng)


def test_where_the_inputs_stand(rng):
    explanation = explained(Sequential([Conv2D(2, 3, padding="same"), ReLU(), Flatten(), Dense(10)], (28, 28, 1)), rng)
    x, dy = explanation.outputs[0][0], explanation.gradients[1][0]
    assert forward_cell(explanation, 0, (0, 5, 1)).corner == (-1, 4)
    cell = forward_cell(explanation, 0, (10, 12, 1))
    np.testing.assert_array_equal(cell.inputs, x[9:12, 11:14])
    cell = backward_cell(explanation, 0, (10, 12, 0))
    top, left = cell.corner
    # The tap (ky, kx) of the window at (i, j) touched the pixel (i + ky, j + kx): dy, turned by half a turn.
    np.testing.assert_array_equal(cell.inputs[::-1, ::-1], dy[top : top + 3, left : left + 3])


def test_a_pixel_that_no_window_saw(rng):
    explanation = explained(Sequential([MaxPool2D(3), Flatten(), Dense(10)], (28, 28, 1)), rng)
    assert backward_cell(explanation, 0, (27, 3, 0)).rule == "other"
    assert backward_cell(explanation, 0, (27, 3, 0)).value == 0


@pytest.mark.parametrize("backward", [False, True])
def test_the_lines_are_those_of_the_file(backward):
    for layer in (Conv2D(3, 3), MaxPool2D(), Dense(4), ReLU(), BatchNorm(), Flatten()):
        own, *others = sources(layer, backward)
        assert own.file == f"nncore/layers/{type(layer).__module__.rpartition('.')[2]}.py"
        assert own.text.startswith(f"def {'backward' if backward else 'forward'}(self")
        lines = inspect.getsource(inspect.getmodule(type(layer))).splitlines()
        assert [line.strip() for line in lines[own.line - 1 :]][: own.text.count("\n") + 1] == [
            line.strip() for line in own.text.splitlines()
        ]
        assert [other.file for other in others] == ["nncore/layers/windows.py"] * isinstance(layer, Conv2D)
