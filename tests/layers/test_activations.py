import math

import numpy as np
import pytest

from nncore.layers import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from nncore.layers.activations import softmax

# Layer, y and dy/dx of one number, torch's function.
ELEMENTWISE = {
    "ReLU": (ReLU, lambda x: x if x > 0 else 0.0, lambda x: float(x > 0), "relu"),
    "LeakyReLU": (
        lambda: LeakyReLU(0.2),
        lambda x: x if x > 0 else 0.2 * x,
        lambda x: 1.0 if x > 0 else 0.2,
        "leaky_relu",
    ),
    "Sigmoid": (
        Sigmoid,
        lambda x: 1 / (1 + math.exp(-x)),
        lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2,
        "sigmoid",
    ),
    "Tanh": (Tanh, math.tanh, lambda x: 1 / math.cosh(x) ** 2, "tanh"),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_forward_and_backward_one_number_at_a_time(rng, name):
    make, value, derivative, _ = ELEMENTWISE[name]
    layer, x, dy = make(), 3 * rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 4, 2))
    x[0, 0] = 0.0
    y, dx = layer.forward(x, training=True), layer.backward(dy)
    for index in np.ndindex(*x.shape):
        assert y[index] == pytest.approx(value(x[index]), abs=1e-14)
        assert dx[index] == pytest.approx(dy[index] * derivative(x[index]), abs=1e-14)


@pytest.mark.torch
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_forward_and_backward_against_torch(rng, name):
    torch = pytest.importorskip("torch")
    make, _, _, function = ELEMENTWISE[name]
    layer, x, dy = make(), 3 * rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 4, 2))
    x[0, 0] = 0.0
    tensor = torch.tensor(x, requires_grad=True)
    function = getattr(torch, function, None) or getattr(torch.nn.functional, function)
    out = function(tensor, 0.2) if name == "LeakyReLU" else function(tensor)
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.forward(x, training=True), out.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(layer.backward(dy), tensor.grad.numpy(), atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_huge_numbers_infinities_and_nan(name, dtype):
    make, value, _, _ = ELEMENTWISE[name]
    x = np.array([[-1e30, -800, 0, 800, 1e30, np.inf, -np.inf, np.nan]], dtype)
    limits = {"Sigmoid": [0, 0, 0.5, 1, 1, 1, 0], "Tanh": [-1, -1, 0, 1, 1, 1, -1]}
    expected = limits.get(name) or [value(float(number)) for number in x[0, :7]]
    layer = make()
    y = layer.forward(x, training=True)[0]  # without a warning
    np.testing.assert_allclose(y[:7], expected, rtol=1e-6)
    assert np.isnan(y[7])
    assert np.isfinite(layer.backward(np.ones_like(x))[0, :7]).all()


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 2, 5), (3, 1)])
def test_softmax_by_loops(rng, shape):
    layer, x, dy = Softmax(), 4 * rng.standard_normal(shape), rng.standard_normal(shape)
    y, dx = layer.forward(x, training=True), layer.backward(dy)
    np.testing.assert_array_equal(softmax(x), y)
    for row in np.ndindex(*shape[:-1]):
        powers = [math.exp(number) for number in x[row]]
        p = [power / sum(powers) for power in powers]
        assert list(y[row]) == pytest.approx(p, rel=1e-12)
        for j in range(shape[-1]):
            expected = sum(dy[row][k] * p[k] * ((k == j) - p[j]) for k in range(shape[-1]))
            assert dx[row][j] == pytest.approx(expected, abs=1e-13)


@pytest.mark.torch
def test_softmax_against_torch(rng):
    torch = pytest.importorskip("torch")
    layer, x, dy = Softmax(), 4 * rng.standard_normal((3, 2, 5)), rng.standard_normal((3, 2, 5))
    tensor = torch.tensor(x, requires_grad=True)
    out = torch.softmax(tensor, dim=-1)
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.forward(x, training=True), out.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(layer.backward(dy), tensor.grad.numpy(), atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_huge_logits(dtype):
    y = softmax(np.array([[1e30, 0, -1e30], [-1e30, -1e30, -1e30], [700, 700, 0]], dtype))
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]], rtol=1e-6, atol=1e-12)


def test_what_they_tell_of_themselves():
    assert LeakyReLU().config() == {"negative_slope": 0.01}
    assert LeakyReLU(0.2).describe() == "LeakyReLU 0.2"
    assert all(layer.is_activation for layer in (ReLU, LeakyReLU, Sigmoid, Tanh, Softmax))
