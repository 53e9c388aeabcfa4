import math

import numpy as np
import pytest

from nncore.errors import OptionError, ShapeError
from nncore.losses import MeanSquaredError, SoftmaxCrossEntropy


def batch(rng):
    n, classes = int(rng.integers(1, 7)), int(rng.integers(2, 12))
    return 3 * rng.standard_normal((n, classes)), rng.integers(0, classes, n)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("case", range(3))
def test_cross_entropy_by_loops(rng, case, smoothing):
    logits, labels = batch(rng)
    n, classes = logits.shape
    loss, expected = SoftmaxCrossEntropy(smoothing), 0.0
    value, dlogits = loss.forward(logits, labels), loss.backward()
    for i in range(n):
        powers = [math.exp(x) for x in logits[i]]
        for k in range(classes):
            p = powers[k] / sum(powers)
            target = smoothing / classes + (1 - smoothing if k == labels[i] else 0)
            expected -= target * math.log(p) / n
            assert dlogits[i, k] == pytest.approx((p - target) / n, abs=1e-14)
    assert value == pytest.approx(expected, rel=1e-12)
    assert type(value) is float


@pytest.mark.torch
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_cross_entropy_against_torch(rng, smoothing):
    torch = pytest.importorskip("torch")
    logits, labels = batch(rng)
    tensor = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(tensor, torch.tensor(labels), label_smoothing=smoothing)
    expected.backward()
    loss = SoftmaxCrossEntropy(smoothing)
    assert loss.forward(logits, labels) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(loss.backward(), tensor.grad.numpy(), atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_extreme_logits(dtype):
    loss, logits = SoftmaxCrossEntropy(), np.array([[1e4, 0, -1e4], [5, 5, 5]], dtype)
    assert loss.forward(logits, np.array([0, 1])) == pytest.approx(math.log(3) / 2, rel=1e-6)
    np.testing.assert_allclose(loss.backward(), [[0, 0, 0], [1 / 6, -1 / 3, 1 / 6]], atol=1e-7)
    assert loss.forward(logits, np.array([2, 1])) == pytest.approx((2e4 + math.log(3)) / 2, rel=1e-6)
    np.testing.assert_allclose(loss.backward()[0], [0.5, 0, -0.5], atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_kept_and_inputs_left_alone(rng, dtype):
    logits, labels = batch(rng)
    for loss, y, target in (
        (SoftmaxCrossEntropy(0.1), logits.astype(dtype), labels.astype(np.uint8)),
        (MeanSquaredError(), logits.astype(dtype), rng.standard_normal(logits.shape).astype(dtype)),
    ):
        copies = y.copy(), target.copy()
        value = loss.forward(y, target)
        dy = loss.backward()
        assert (dy.shape, dy.dtype) == (y.shape, dtype)
        assert value == pytest.approx(type(loss)(**vars_of(loss)).forward(y.astype(np.float64), target), rel=1e-5)
        np.testing.assert_array_equal(y, copies[0])
        np.testing.assert_array_equal(target, copies[1])


def vars_of(loss):
    return {name: value for name, value in vars(loss).items() if not name.startswith("_")}


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ((3, 4), [0, 1], r"logits \(N, classes\) and labels \(N,\), N at least 1: got \(3, 4\), \(2,\)"),
        ((3,), [0, 1, 2], r"got \(3,\), \(3,\)"),
        ((3, 4), [[0], [1], [2]], r"got \(3, 4\), \(3, 1\)"),
        ((0, 4), [], r"got \(0, 4\), \(0,\)"),
        ((2, 4), [0, 4], r"labels must lie in 0..3, but go from 0 to 4"),
        ((2, 4), [-1, 2], r"labels must lie in 0..3, but go from -1 to 2"),
    ],
)
def test_cross_entropy_refuses_what_does_not_fit(logits, labels, message):
    with pytest.raises(ShapeError, match=message):
        SoftmaxCrossEntropy().forward(np.zeros(logits), np.array(labels, int))


@pytest.mark.parametrize("smoothing", [-0.1, 1, float("nan")])
def test_label_smoothing_it_refuses(smoothing):
    with pytest.raises(OptionError, match="label_smoothing must be at least 0 and below 1, not"):
        SoftmaxCrossEntropy(smoothing)


@pytest.mark.parametrize("shape", [(4, 3), (1,), (2, 3, 4)])
def test_mean_squared_error_by_loops(rng, shape):
    y, target = rng.standard_normal((2, *shape))
    loss = MeanSquaredError()
    value, dy = loss.forward(y, target), loss.backward()
    assert value == pytest.approx(sum((y[i] - target[i]) ** 2 for i in np.ndindex(*shape)) / y.size)
    for i in np.ndindex(*shape):
        assert dy[i] == pytest.approx(2 * (y[i] - target[i]) / y.size)


@pytest.mark.torch
def test_mean_squared_error_against_torch(rng):
    torch = pytest.importorskip("torch")
    y, target = rng.standard_normal((2, 4, 3))
    tensor = torch.tensor(y, requires_grad=True)
    expected = torch.nn.functional.mse_loss(tensor, torch.tensor(target))
    expected.backward()
    loss = MeanSquaredError()
    assert loss.forward(y, target) == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(loss.backward(), tensor.grad.numpy(), atol=1e-15)


def test_mean_squared_error_refuses_shapes_that_would_broadcast():
    with pytest.raises(ShapeError, match=r"compares arrays of one shape, not \(4, 3\) with \(3,\)"):
        MeanSquaredError().forward(np.zeros((4, 3)), np.zeros(3))
