"""The book's exercises: the solutions do what they are to do, and the riddles are wrong where they are said to be."""

import importlib
import runpy
from pathlib import Path

import numpy as np
import pytest

from nncore import layers
from nncore.gradcheck import LAYER_CASES, check_layer
from nncore.network.models import compact

BOOK = Path(__file__).parents[2] / "docs" / "book"
L2Pool2D = runpy.run_path(str(BOOK / "solutions" / "l2_pool.py"))["L2Pool2D"]
BROKEN = runpy.run_path(str(BOOK / "broken.py"))

# The layer with a mistake, its arguments, an input's shape, the batch, and the arrays whose gradients come out wrong.
RIDDLES = [
    ("First", (3,), (5,), 1, set()),
    ("First", (3,), (5,), 2, {"kernel"}),
    ("Second", (0.0,), (40,), 2, set()),
    ("Second", (0.5,), (40,), 2, {"x"}),
    ("Third", (2,), (6, 6, 2), 2, set()),
    ("Third", (3, 2), (7, 7, 2), 2, {"x"}),
    ("Fourth", (2, 1), (5, 5, 2), 2, set()),
    ("Fourth", (2, 2), (5, 5, 2), 2, {"x"}),
]


@pytest.fixture
def solution(monkeypatch):
    """Import a solution by its name, as a run of its file would."""
    monkeypatch.syspath_prepend(str(BOOK / "solutions"))
    return importlib.import_module


@pytest.mark.parametrize(("case", "like", "shape"), LAYER_CASES["AvgPool2D"], ids=lambda value: str(value)[:20])
def test_l2_pooling_has_the_right_gradient(case, like, shape, rng):
    layer = L2Pool2D(**like().config())
    assert all(check.passed for check in check_layer(case, layer, shape, rng))


def test_l2_pooling_is_the_root_mean_square_of_each_window(rng):
    x = rng.standard_normal((2, 5, 6, 3))
    y = L2Pool2D((2, 3)).forward(x)
    assert y.shape == (2, 2, 2, 3)
    for i in range(2):
        for j in range(2):
            window = x[:, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3]
            np.testing.assert_allclose(y[:, i, j] ** 2, np.mean(window**2, axis=(1, 2)))


def test_l2_pooling_sends_nothing_back_to_a_window_of_zeros():
    layer, x = L2Pool2D(2), np.zeros((1, 2, 4, 1))
    x[0, 0, 2] = 3
    np.testing.assert_array_equal(layer.forward(x, training=True).ravel(), [0, 1.5])
    dx = layer.backward(np.ones((1, 1, 2, 1)))
    np.testing.assert_array_equal(dx.reshape(2, 4), [[0, 0, 0.5, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(("name", "arguments", "shape", "batch", "wrong"), RIDDLES)
def test_a_broken_layer_is_found_where_the_solution_says(name, arguments, shape, batch, wrong, rng):
    layer = BROKEN[name](*arguments)
    assert {check.array for check in check_layer("riddle", layer, shape, rng, batch) if not check.passed} == wrong
    whole = type(layer).__base__(*arguments)
    assert type(whole) is getattr(layers, type(whole).__name__)
    assert all(check.passed for check in check_layer("whole", whole, shape, rng, batch))


def test_a_network_learns_fifty_digits_by_heart_and_more_digits_help(solution):
    marks = solution("overfit").marks
    (loss, accuracy), (other_loss, other_accuracy) = marks(50)
    assert accuracy == 1
    assert loss < 0.01
    assert other_accuracy < 0.75
    assert other_loss > 1
    assert marks(500)[1][1] > other_accuracy + 0.1


@pytest.mark.slow
def test_the_challenger_beats_the_compact_network_with_fewer_parameters(solution):
    contest = solution("contest")
    ours, theirs = contest.challenger(), compact()
    assert ours.count_parameters() < theirs.count_parameters() == 95_642
    assert contest.score(ours) > contest.score(theirs)
