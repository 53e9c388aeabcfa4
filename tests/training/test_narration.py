import re

import numpy as np
import pytest

from nncore.layers import Dense, Flatten, Layer, ReLU
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.models import MODELS
from nncore.network.sequential import Sequential
from nncore.optimizers import SGD, Adam, AdamW, Optimizer
from nncore.training.narration import WIDTH, describe_step, describe_steps

NUMBER = r"(-?[\d.]+(?:e[+-]\d+)?)"


@pytest.fixture
def batch(rng):
    return rng.random((6, 28, 28, 1), np.float32), rng.integers(0, 10, 6)


def layer_by_layer(network, x, y):
    """Shapes and norms of what each layer takes and returns forward and backward, by the engine."""
    rows, loss = {}, SoftmaxCrossEntropy()
    for name, layer in zip(network.names, network.layers, strict=True):
        taken, x = x, layer.forward(x, training=True)
        rows[name, "x", "y"] = taken, x
    mean = loss.forward(x, y)
    dy = loss.backward()
    for name, layer in reversed(list(zip(network.names, network.layers, strict=True))):
        taken, dy = dy, layer.backward(dy)
        rows[name, "dy", "dx"] = taken, dy
    return rows, mean, x


def test_the_numbers_are_the_engines(batch):
    x, y = batch
    network = MODELS["compact"](seed=5)
    text = describe_step(network, SoftmaxCrossEntropy(), Adam(), x, y, 0.001)
    rows, mean, logits = layer_by_layer(network, x, y)

    found = re.findall(rf"^  (\w+) +(d?x|dy) (\(.*?\)) -> (d?[xy]) (\(.*?\)) +norm +{NUMBER} -> +{NUMBER}$", text, re.M)
    assert [(name, taken, returned) for name, taken, _, returned, *_ in found] == list(rows)
    for name, first, first_shape, second, second_shape, *norms in found:
        arrays = rows[name, first, second]
        assert [first_shape, second_shape] == [str(array.shape) for array in arrays]
        np.testing.assert_allclose([float(norm) for norm in norms], [np.linalg.norm(a) for a in arrays], rtol=1e-3)

    gradients = re.findall(rf"^ {{15}}d(\w+) (\(.*\)), norm {NUMBER}$", text, re.M)
    expected = [(key, array) for layer in reversed(network.layers) for key, array in layer.gradients.items()]
    assert [(key, shape) for key, shape, _ in gradients] == [(key, str(array.shape)) for key, array in expected]
    np.testing.assert_allclose([float(norm) for *_, norm in gradients], [np.linalg.norm(a) for _, a in expected], 1e-3)

    assert float(re.search(rf"batch is {NUMBER}\. ", text)[1]) == pytest.approx(mean, rel=1e-3)
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if re.match(r"  (logit|p) +-?\d", line)}
    np.testing.assert_allclose([float(cell) for cell in lines["logit"]], logits[0], atol=6e-4)
    own = float(lines["p"][int(y[0])])
    assert f"-log {own:.4f} = " in text


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.1),
        lambda: SGD(0.1, nesterov=True, weight_decay=0.3),
        lambda: Adam(weight_decay=0.3),
        lambda: AdamW(weight_decay=0.3),
    ],
)
def test_the_weights_step_by_hand_is_the_optimizers(batch, make):
    """In the first step, and in one that finds something remembered."""
    x, y = batch
    network, optimizer, loss = MODELS["compact"](seed=5), make(), SoftmaxCrossEntropy()
    for step in (1, 2):
        text = describe_step(network, loss, optimizer, x, y, 0.01)
        logits = x
        for layer in network.layers:  # as it is described: where steps round otherwise, another pixel may win a window
            logits = layer.forward(logits, training=True)
        loss.forward(logits, y)
        dy = loss.backward()
        for layer in reversed(network.layers):
            dy = layer.backward(dy)
        before = network.parameters()["conv2d_1.kernel"].copy()
        gradient = network.gradients()["conv2d_1.kernel"].copy()
        optimizer.step(network.parameters(), network.gradients(), 0.01)
        after = network.parameters()["conv2d_1.kernel"]

        assert f" Step {step} " in text
        place = tuple(map(int, re.search(r"^conv2d_1\.kernel\[(.*)\]\.$", text, re.M)[1].split(",")))
        old, slope = (float(re.search(rf"^  {what} += {NUMBER}$", text, re.M)[1]) for what in ("weight .*", "grad.*g"))
        assert old == pytest.approx(before[place], rel=1e-6)
        assert slope == pytest.approx(gradient[place], rel=1e-3)
        by_hand = float(re.search(rf"= {NUMBER}, the new weight$", text, re.M)[1])
        by_optimizer = float(re.search(rf"The optimizer has made it {NUMBER} ", text)[1])
        assert by_hand == pytest.approx(by_optimizer, rel=1e-6)
        assert by_optimizer == pytest.approx(after[place], rel=1e-4)
        assert abs(by_optimizer - old) > 1e-4


def test_nothing_is_changed(batch):
    network, optimizer, loss = MODELS["compact"](), Adam(), SoftmaxCrossEntropy()
    before = {name: array.copy() for name, array in {**network.parameters(), **network.state()}.items()}
    describe_step(network, loss, optimizer, *batch, 0.01)
    assert (optimizer.steps, optimizer.state, network.gradients(), vars(loss)) == (0, {}, {}, {"label_smoothing": 0.0})
    for name, array in {**network.parameters(), **network.state()}.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("model", MODELS)
def test_lines_fit_the_terminal(rng, model):
    x, y = rng.random((2, 28, 28, 1), np.float32), np.array([7, 0])
    text = describe_step(MODELS[model](), SoftmaxCrossEntropy(0.05), SGD(0.1), x, y, 0.01)
    assert max(map(len, text.splitlines())) == WIDTH
    assert "label smoothing" in text


def test_the_loss_of_a_picture_with_label_smoothing(batch):
    text = describe_step(
        MODELS["compact"](seed=5), SoftmaxCrossEntropy(0.3), SGD(0.1), batch[0][:1], batch[1][:1], 0.01
    )
    own = re.search(rf"sum of all t log p: {NUMBER}\.$", text, re.M)[1]
    assert f"The mean over the 1 images of the batch is {own}. " in text


class Twice(Layer):
    """y = 2 x: what a reader has added."""

    def forward(self, x, training=False):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


class Plain(Optimizer):
    """w = w - rate g."""

    def update(self, name, parameter, gradient, learning_rate):
        parameter -= learning_rate * gradient


def test_what_is_new_is_told_by_its_docstring(batch):
    network = Sequential([Flatten(), Twice(), Dense(10), ReLU()], (28, 28, 1))
    text = describe_step(network, SoftmaxCrossEntropy(), Plain(0.1), *batch, 0.1)
    assert text.count("y = 2 x: what a reader has added.") == 2
    assert "w = w - rate g." in text
    nothing_to_learn = Sequential([Flatten()], (2, 5, 1))
    assert "has no weights" in describe_step(
        nothing_to_learn, SoftmaxCrossEntropy(), Plain(0.1), batch[0][:, :2, :5], batch[1], 1
    )


def test_the_steps_of_a_training(rng):
    first, second = describe_steps("compact", 2, "synthetic", None, seed=3)
    assert " Step 1 " in first
    assert " Step 2 " in second
    losses = [re.search(r"of the batch is (\d\.\d+)", text)[1] for text in (first, second)]
    assert losses[0] != losses[1]
