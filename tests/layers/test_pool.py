import numpy as np
import pytest

from nncore.errors import OptionError, ShapeError
from nncore.layers import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from nncore.network.sequential import Sequential

CASES = range(6)


def random_pool(rng, kind):
    n, height, width, channels = (int(rng.integers(1, high)) for high in (4, 10, 10, 4))
    window = int(rng.integers(1, min(height, 4) + 1)), int(rng.integers(1, min(width, 4) + 1))
    stride = None if rng.random() < 0.3 else tuple(rng.integers(1, 4, 2).tolist())
    return kind(window, stride), rng.standard_normal((n, height, width, channels))


def loops(layer, x, dy):
    """(y, dx) window by window."""
    (ph, pw), (sy, sx) = layer.pool_size, layer.stride
    y, dx = np.zeros_like(dy), np.zeros_like(x)
    for n, i, j, c in np.ndindex(*dy.shape):
        places = [(n, i * sy + ky, j * sx + kx, c) for ky in range(ph) for kx in range(pw)]
        values = [x[place] for place in places]
        if isinstance(layer, MaxPool2D):
            y[n, i, j, c] = max(values)
            dx[places[values.index(max(values))]] += dy[n, i, j, c]
        else:
            y[n, i, j, c] = sum(values) / len(values)
            for place in places:
                dx[place] += dy[n, i, j, c] / len(values)
    return y, dx


@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
@pytest.mark.parametrize("case", CASES)
def test_forward_and_backward_by_loops(rng, kind, case):
    layer, x = random_pool(rng, kind)
    x = np.round(x) if case % 2 else x  # every other time with ties
    y = layer.forward(x, training=True)
    height, width = (len(range(0, x.shape[1 + a] - layer.pool_size[a] + 1, layer.stride[a])) for a in (0, 1))
    dy = rng.standard_normal((len(x), height, width, x.shape[3]))
    expected_y, expected_dx = loops(layer, x, dy)
    np.testing.assert_allclose(y, expected_y, atol=1e-13)
    np.testing.assert_allclose(layer.backward(dy), expected_dx, atol=1e-13)


@pytest.mark.torch
@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
@pytest.mark.parametrize("case", CASES)
def test_forward_and_backward_against_torch(rng, kind, case):
    torch = pytest.importorskip("torch")
    layer, x = random_pool(rng, kind)
    x = np.round(x) if case % 2 else x  # torch, too, takes the first of equal numbers
    y = layer.forward(x, training=True)
    dy = rng.standard_normal(y.shape)
    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    pool = torch.nn.functional.max_pool2d if kind is MaxPool2D else torch.nn.functional.avg_pool2d
    out = pool(images, layer.pool_size, layer.stride)
    out.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(y, out.detach().numpy().transpose(0, 2, 3, 1), atol=1e-13)
    np.testing.assert_allclose(layer.backward(dy), images.grad.numpy().transpose(0, 2, 3, 1), atol=1e-13)


def test_of_equal_numbers_the_first_wins():
    layer = MaxPool2D(2)
    layer.forward(np.full((1, 4, 4, 1), 7.0), training=True)
    dx = layer.backward(np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


def test_a_pixel_collects_from_every_window_it_wins():
    layer = MaxPool2D(2, stride=1)
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 1] = 5
    layer.forward(x, training=True)
    dx = layer.backward(np.array([[1.0, 10], [100, 1000]]).reshape(1, 2, 2, 1))
    assert dx[0, 1, 1, 0] == 1111
    assert dx.sum() == 1111


def test_odd_pixels_at_the_edge_are_left_out(rng):
    x = rng.standard_normal((2, 5, 7, 3))
    for kind in (MaxPool2D, AvgPool2D):
        layer = kind(2)
        y = layer.forward(x, training=True)
        np.testing.assert_array_equal(y, kind(2).forward(x[:, :4, :6]))
        dx = layer.backward(np.ones_like(y))
        assert not dx[:, 4].any()
        assert not dx[:, :, 6].any()
        assert dx.sum() == pytest.approx(y.size)


def test_a_nan_is_not_swept_under_the_carpet(rng):
    x = rng.standard_normal((1, 4, 4, 1))
    x[0, 3, 2] = np.nan
    y = MaxPool2D(2).forward(x)
    np.testing.assert_array_equal(np.isnan(y[0, :, :, 0]), [[False, False], [False, True]])


def test_global_average(rng):
    layer, x, dy = GlobalAvgPool2D(), rng.standard_normal((3, 4, 5, 2)), rng.standard_normal((3, 2))
    y, dx = layer.forward(x, training=True), layer.backward(dy)
    for n, c in np.ndindex(3, 2):
        numbers = [x[n, i, j, c] for i in range(4) for j in range(5)]
        assert y[n, c] == pytest.approx(sum(numbers) / 20)
        assert all(dx[n, i, j, c] == pytest.approx(dy[n, c] / 20) for i in range(4) for j in range(5))
    assert layer.output_shape((4, 5, 2)) == (2,)


@pytest.mark.torch
def test_global_average_against_torch(rng):
    torch = pytest.importorskip("torch")
    layer, x, dy = GlobalAvgPool2D(), rng.standard_normal((3, 6, 5, 4)), rng.standard_normal((3, 4))
    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    out = torch.nn.functional.adaptive_avg_pool2d(images, 1)[:, :, 0, 0]
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.forward(x, training=True), out.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(layer.backward(dy), images.grad.numpy().transpose(0, 2, 3, 1), atol=1e-14)


@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
def test_shapes_and_options_it_takes_and_refuses(kind):
    name = kind.__name__
    assert kind().config() == {"pool_size": (2, 2), "stride": (2, 2)}
    assert kind((3, 2), 1).output_shape((7, 8, 5)) == (5, 7, 5)
    assert kind(3).describe() == f"{name} 3x3"
    assert kind(3, (2, 1)).describe() == f"{name} 3x3, stride 2x1"
    with pytest.raises(ShapeError, match=rf"{name} 3x3 does not fit its input \(2, 9, 1\): the window \(3, 3\)"):
        kind(3).output_shape((2, 9, 1))
    with pytest.raises(ShapeError, match=rf"{name} 2x2 takes images .* its input is \(12,\)"):
        kind().output_shape((12,))
    with pytest.raises(ShapeError, match=rf"^{name.lower()}_2: {name} 2x2 does not fit its input \(1, 1, 3\)"):
        Sequential([kind(), kind()], (3, 3, 3))
    for options in ({"pool_size": 0}, {"pool_size": (2, 2.0)}, {"stride": 0}, {"stride": (1, 2, 3)}):
        with pytest.raises(OptionError, match=f"{name}: {next(iter(options))} must be"):
            kind(**options)
    with pytest.raises(ShapeError, match=r"GlobalAvgPool2D takes images .* its input is \(12,\)"):
        GlobalAvgPool2D().output_shape((12,))
