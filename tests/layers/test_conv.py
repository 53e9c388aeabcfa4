import math

import numpy as np
import pytest

from nncore.errors import OptionError, ShapeError
from nncore.layers import Conv2D
from nncore.network.sequential import Sequential

CASES = range(6)


def random_conv(rng, case):
    """A layer and a batch that fits it: each kind of padding in turn, everything else at random."""
    height, width, channels, filters = (int(rng.integers(1, high)) for high in (10, 10, 5, 6))
    padding = [
        "valid",
        "same",
        int(rng.integers(0, 4)),
        tuple(rng.integers(0, 4, 2).tolist()),
        tuple(map(tuple, rng.integers(0, 4, (2, 2)).tolist())),
    ][case % 5]
    kernel_size = int(rng.integers(1, min(height, 5) + 1)), int(rng.integers(1, min(width, 5) + 1))
    stride = tuple(rng.integers(1, 4, 2).tolist())
    layer = Conv2D(filters, kernel_size, stride, padding, use_bias=case != 3)
    layer.build((height, width, channels), rng, np.float64)
    if layer.use_bias:
        layer.parameters["bias"] += rng.standard_normal(filters)
    return layer, rng.standard_normal((int(rng.integers(1, 4)), height, width, channels))


def pixels(layer, size):
    """The padding in pixels; "same" by the rule as TensorFlow's documentation states it (tf.nn, "Notes on padding")."""
    if layer.padding == "valid":
        return ((0, 0), (0, 0))
    if layer.padding != "same":
        return layer.padding
    sides = []
    for length, window, stride in zip(size, layer.kernel_size, layer.stride, strict=True):
        total = max(window - stride, 0) if length % stride == 0 else max(window - length % stride, 0)
        sides.append((total // 2, total - total // 2))
    return tuple(sides)


def loops(layer, x, dy):
    """(y, dx, dw, db), one product at a time."""
    w, (sy, sx), (kh, kw) = layer.parameters["kernel"], layer.stride, layer.kernel_size
    (top, bottom), (left, right) = pixels(layer, x.shape[1:3])
    n, height, width, channels = x.shape
    oh, ow = len(range(0, height + top + bottom - kh + 1, sy)), len(range(0, width + left + right - kw + 1, sx))
    assert dy.shape == (n, oh, ow, layer.filters)
    bias = layer.parameters.get("bias", np.zeros(layer.filters))
    y, dx, dw, db = np.zeros_like(dy), np.zeros_like(x), np.zeros_like(w), np.zeros(layer.filters)
    for image, i, j, f in np.ndindex(*dy.shape):
        y[image, i, j, f] = bias[f]
        db[f] += dy[image, i, j, f]
        for ky, kx, c in np.ndindex(kh, kw, channels):
            row, column = i * sy + ky - top, j * sx + kx - left
            if 0 <= row < height and 0 <= column < width:
                y[image, i, j, f] += x[image, row, column, c] * w[ky, kx, c, f]
                dx[image, row, column, c] += dy[image, i, j, f] * w[ky, kx, c, f]
                dw[ky, kx, c, f] += dy[image, i, j, f] * x[image, row, column, c]
    return y, dx, dw, db


def assert_equal_results(layer, ours, theirs):
    (y, dx), (their_y, their_dx, their_dw, their_db) = ours, theirs
    np.testing.assert_allclose(y, their_y, atol=1e-11)
    np.testing.assert_allclose(dx, their_dx, atol=1e-11)
    np.testing.assert_allclose(layer.gradients["kernel"], their_dw, atol=1e-11)
    assert ("bias" in layer.gradients) == ("bias" in layer.parameters) == layer.use_bias
    if layer.use_bias:
        np.testing.assert_allclose(layer.gradients["bias"], their_db, atol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_forward_and_backward_by_loops(rng, case):
    layer, x = random_conv(rng, case)
    y = layer.forward(x, training=True)
    dy = rng.standard_normal((len(x), *layer.output_shape(x.shape[1:])))
    assert_equal_results(layer, (y, layer.backward(dy)), loops(layer, x, dy))


@pytest.mark.torch
@pytest.mark.parametrize("case", range(12))
def test_forward_and_backward_against_torch(rng, case):
    torch = pytest.importorskip("torch")
    layer, x = random_conv(rng, case)
    y = layer.forward(x, training=True)
    dy = rng.standard_normal(y.shape)
    ours = y, layer.backward(dy)

    images = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    kernel = torch.tensor(layer.parameters["kernel"].transpose(3, 2, 0, 1).copy(), requires_grad=True)
    bias = torch.tensor(layer.parameters.get("bias", np.zeros(layer.filters)), requires_grad=True)
    (top, bottom), (left, right) = pixels(layer, x.shape[1:3])
    padded = torch.nn.functional.pad(images, (left, right, top, bottom))
    out = torch.nn.functional.conv2d(padded, kernel, bias, layer.stride)
    out.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
    theirs = (
        out.detach().numpy().transpose(0, 2, 3, 1),
        images.grad.numpy().transpose(0, 2, 3, 1),
        kernel.grad.numpy().transpose(2, 3, 1, 0),
        bias.grad.numpy(),
    )
    assert_equal_results(layer, ours, theirs)


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 4, 5, 9])
def test_same_padding_gives_the_input_over_the_stride_rounded_up(stride, size):
    for window in (1, 2, 3, 4, 7):
        layer = Conv2D(1, window, stride, "same")
        assert layer.output_shape((size, size + 1, 1)) == (math.ceil(size / stride), math.ceil((size + 1) / stride), 1)


def test_same_padding_puts_the_odd_pixel_at_the_bottom_and_the_right():
    layer = Conv2D(1, 2, padding="same")
    layer.build((2, 2, 1), np.random.default_rng(0), np.float64)
    layer.parameters["kernel"][...] = np.array([[1, 10], [100, 1000]]).reshape(2, 2, 1, 1)
    y = layer.forward(np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(y[0, :, :, 0], [[4321, 402], [43, 4]])


def test_shapes_it_takes_and_refuses():
    assert Conv2D(8, 3, 2, ((0, 1), (2, 0))).output_shape((10, 11, 4)) == (5, 6, 8)
    with pytest.raises(
        ShapeError, match=r"Conv2D 8, 5x3 valid does not fit its input \(4, 9, 1\): the window \(5, 3\)"
    ):
        Conv2D(8, (5, 3)).output_shape((4, 9, 1))
    with pytest.raises(ShapeError, match=r"Conv2D 8, 5x5 valid takes images .* its input is \(784,\)"):
        Conv2D(8, 5).output_shape((784,))
    with pytest.raises(ShapeError, match=r"^conv2d_2: Conv2D 4, 3x3 valid, stride 2x1 .* \(2, 2, 8\)"):
        Sequential([Conv2D(8, 3), Conv2D(4, 3, (2, 1))], (4, 4, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 0}, "Conv2D: filters must be a whole number of at least 1, not 0"),
        ({"filters": 2.5}, "Conv2D: filters"),
        ({"kernel_size": (3, 0)}, "Conv2D: kernel_size"),
        ({"kernel_size": (3, 3, 3)}, "Conv2D: kernel_size must be one number or two"),
        ({"stride": -1}, "Conv2D: stride"),
        ({"padding": "full"}, "Conv2D: padding must be 'valid', 'same', a number of pixels, .* not 'full'"),
        ({"padding": -1}, "Conv2D: padding"),
        ({"padding": 1.5}, "Conv2D: padding"),
        ({"padding": (1, 2, 3)}, "Conv2D: padding"),
        ({"padding": ((1, 2, 3), (1, 2))}, "Conv2D: padding"),
        ({"padding": ()}, "Conv2D: padding"),
        ({"padding": None}, "Conv2D: padding"),
        ({"padding": True}, "Conv2D: padding"),
        ({"initializer": "zeros"}, "initializer 'zeros' is unknown: choose one of he, glorot"),
    ],
)
def test_options_it_refuses(options, message):
    with pytest.raises(OptionError, match=message):
        Conv2D(**{"filters": 4, "kernel_size": 3, **options})


def test_starting_weights(rng):
    layer = Conv2D(64, 3, initializer="he")
    layer.build((28, 28, 32), rng, np.float32)
    assert not layer.parameters["bias"].any()
    # Variance 2 / fan_in; the estimate from 18,432 numbers is good to about one per cent.
    assert layer.parameters["kernel"].var() == pytest.approx(2 / (9 * 32), rel=0.06)
    layer = Conv2D(64, 3, initializer="glorot", use_bias=False)
    layer.build((28, 28, 32), rng, np.float32)
    assert layer.parameters["kernel"].var() == pytest.approx(2 / (9 * 32 + 9 * 64), rel=0.06)
    assert list(layer.parameters) == ["kernel"]


def test_flops_are_those_of_the_loops():
    layer = Conv2D(5, (3, 2), (2, 1))
    products = sum(1 for _ in np.ndindex(*layer.output_shape((9, 8, 4)), 3, 2, 4))
    assert layer.flops((9, 8, 4)) == 2 * products
    assert layer.describe() == "Conv2D 5, 3x2 valid, stride 2x1"
