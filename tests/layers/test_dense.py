import numpy as np
import pytest

from nncore.errors import OptionError, ShapeError
from nncore.layers import Dense, Flatten
from nncore.network.sequential import Sequential


def random_dense(rng, use_bias):
    n, inputs, units = (int(size) for size in rng.integers(1, 8, 3))
    layer = Dense(units, use_bias)
    layer.build((inputs,), rng, np.float64)
    if use_bias:
        layer.parameters["bias"] += rng.standard_normal(units)
    return layer, rng.standard_normal((n, inputs)), rng.standard_normal((n, units))


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("case", range(4))
def test_forward_and_backward_by_loops(rng, case, use_bias):
    layer, x, dy = random_dense(rng, use_bias)
    w, b = layer.parameters["kernel"], layer.parameters.get("bias", np.zeros(layer.units))
    y, dx, dw, db = np.zeros_like(dy), np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n, u in np.ndindex(*dy.shape):
        y[n, u] = b[u]
        db[u] += dy[n, u]
        for i in range(x.shape[1]):
            y[n, u] += x[n, i] * w[i, u]
            dx[n, i] += dy[n, u] * w[i, u]
            dw[i, u] += dy[n, u] * x[n, i]
    np.testing.assert_allclose(layer.forward(x, training=True), y, atol=1e-13)
    np.testing.assert_allclose(layer.backward(dy), dx, atol=1e-13)
    np.testing.assert_allclose(layer.gradients.pop("kernel"), dw, atol=1e-13)
    if use_bias:
        np.testing.assert_allclose(layer.gradients.pop("bias"), db, atol=1e-13)
    assert not layer.gradients


@pytest.mark.torch
@pytest.mark.parametrize("case", range(3))
def test_forward_and_backward_against_torch(rng, case):
    torch = pytest.importorskip("torch")
    layer, x, dy = random_dense(rng, use_bias=True)
    rows = torch.tensor(x, requires_grad=True)
    kernel = torch.tensor(layer.parameters["kernel"].T, requires_grad=True)
    bias = torch.tensor(layer.parameters["bias"], requires_grad=True)
    out = torch.nn.functional.linear(rows, kernel, bias)
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.forward(x, training=True), out.detach().numpy(), atol=1e-13)
    np.testing.assert_allclose(layer.backward(dy), rows.grad.numpy(), atol=1e-13)
    np.testing.assert_allclose(layer.gradients["kernel"], kernel.grad.numpy().T, atol=1e-13)
    np.testing.assert_allclose(layer.gradients["bias"], bias.grad.numpy(), atol=1e-13)


def test_starting_weights(rng):
    for initializer, variance in (("he", 2 / 400), ("glorot", 2 / 600)):
        layer = Dense(200, initializer=initializer)
        layer.build((400,), rng, np.float32)
        assert not layer.parameters["bias"].any()
        assert layer.parameters["kernel"].var() == pytest.approx(variance, rel=0.03)


def test_shapes_and_options_it_refuses():
    assert Dense(5).output_shape((7,)) == (5,)
    assert Dense(5).flops((7,)) == 70
    assert Dense(5).describe() == "Dense 5"
    with pytest.raises(ShapeError, match=r"^dense_1: Dense 5 takes rows .* is \(4, 4, 1\): put Flatten\(\) before"):
        Sequential([Dense(5)], (4, 4, 1))
    assert Sequential([Flatten(), Dense(5)], (4, 4, 1)).output_shape == (5,)
    for units in (0, -3, 2.0, None, True):
        with pytest.raises(OptionError, match="Dense: units must be a whole number of at least 1, not"):
            Dense(units)
    with pytest.raises(OptionError, match="initializer 'ones' is unknown: choose one of he, glorot"):
        Dense(5, initializer="ones")
