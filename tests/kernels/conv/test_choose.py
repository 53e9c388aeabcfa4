import numpy as np
import pytest

from nncore import kernels
from nncore.errors import OptionError, ShapeError
from tests.kernels import plain

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels.conv import choose, direct, im2col, winograd
from nncore.kernels.conv.choose import ALGORITHMS


def geometry(rng, dtype, name):
    n, height, width, channels, filters = (int(rng.integers(1, high)) for high in (6, 12, 12, 6, 8))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2)))
    sizes = height + sum(padding[0]), width + sum(padding[1])
    window = tuple(int(rng.integers(1, min(5, size) + 1)) for size in sizes)
    stride = tuple(int(step) for step in rng.integers(1, 4, 2))
    if name == "winograd":  # 3x3 kernels, and a tile size that other tests compile as well
        window, stride, height, width = (3, 3), (1, 1), 8 - sum(padding[0]), 8 - sum(padding[1])
    x = rng.standard_normal((n, height, width, channels)).astype(dtype)
    return x, rng.standard_normal((*window, channels, filters)).astype(dtype), stride, padding


def assert_agree(rng, algorithm, x, kernel, stride, padding):
    expected = plain.conv2d(x, kernel, stride, padding)
    y = algorithm.forward(x, kernel, stride, padding)
    dy = rng.standard_normal(y.shape).astype(x.dtype)
    pairs = zip(
        (y, *algorithm.backward(x, kernel, dy, stride, padding)),
        (expected, *plain.conv2d_backward(x, kernel, dy, stride, padding)),
        strict=True,
    )
    for fast, exact in pairs:
        assert fast.dtype == x.dtype
        # Sums of up to some thousand products of size 1: their rounding errors grow like the root of their number.
        # Winograd's are some ten times larger.
        units = 5000 if algorithm is winograd else 500
        np.testing.assert_allclose(fast, exact, rtol=0, atol=units * np.finfo(x.dtype).eps)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", range(4))
def test_every_algorithm_computes_what_the_layer_does(rng, name, dtype, case):
    assert_agree(rng, ALGORITHMS[name], *geometry(rng, dtype, name))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_empty_batch(name):
    x, kernel = np.zeros((0, 4, 4, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    stride, padding = (1, 1) if name == "winograd" else (2, 2), ((1, 1), (1, 1))
    y = ALGORITHMS[name].forward(x, kernel, stride, padding)
    assert y.shape == ((0, 4, 4, 4) if name == "winograd" else (0, 2, 2, 4))
    dx, dw = ALGORITHMS[name].backward(x, kernel, y, stride, padding)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros_like(kernel))


@pytest.mark.parametrize("column_bytes", [1, 3 * 4 * 4 * 18 * 8, 10**9])  # one, three and all images at a time
def test_the_batch_may_be_cut_anywhere(rng, monkeypatch, column_bytes):
    monkeypatch.setattr(im2col, "COLUMN_BYTES", column_bytes)
    x, kernel = rng.standard_normal((8, 6, 6, 2)), rng.standard_normal((3, 3, 2, 4))
    assert_agree(rng, im2col, x, kernel, (1, 1), ((0, 0), (0, 0)))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_arrays_that_do_not_lie_in_one_piece_and_inputs_untouched(rng, name):
    algorithm, arguments = ALGORITHMS[name], ((1, 1) if name == "winograd" else (1, 2), ((1, 0), (0, 2)))
    x = rng.standard_normal((3, 7, 6, 4)).transpose(3, 1, 2, 0)[::2]
    kernel = rng.standard_normal((4, 3, 3, 3)).T if name == "winograd" else rng.standard_normal((4, 3, 2, 3)).T
    y = algorithm.forward(x, kernel, *arguments)
    dy = rng.standard_normal(y.shape[::-1]).T
    copies = [array.copy() for array in (x, kernel, dy)]
    straight = algorithm.forward(*copies[:2], *arguments), *algorithm.backward(*copies, *arguments)
    for ours, theirs in zip((y, *algorithm.backward(x, kernel, dy, *arguments)), straight, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    for array, copy in zip((x, kernel, dy), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_what_winograd_does_not_serve():
    for name in ALGORITHMS:
        choose.check(name, (3, 3), (1, 1))
    choose.check("auto", (5, 5), (2, 2))
    for size, stride, words in (((3, 3), (2, 1), "3x3 and stride 2x1"), ((5, 3), (1, 1), "5x3 and stride 1x1")):
        with pytest.raises(OptionError, match=f"'winograd' is for .* 7x7 and stride 1, not for {words}"):
            choose.check("winograd", size, stride)


VALID, ONE = ((0, 0), (0, 0)), ((1, 1), (1, 1))


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
@pytest.mark.parametrize(
    ("expected", "x", "kernel", "stride", "padding"),
    [
        ("winograd", (128, 26, 26, 64), (3, 3, 64, 128), (1, 1), VALID),
        ("winograd", (128, 12, 12, 128), (3, 3, 128, 128), (1, 1), VALID),
        ("winograd", (128, 13, 13, 16), (3, 3, 16, 32), (1, 1), VALID),
        ("winograd", (128, 7, 7, 64), (3, 3, 64, 64), (1, 1), ONE),
        ("direct", (128, 28, 28, 1), (3, 3, 1, 64), (1, 1), VALID),
        ("direct", (128, 28, 28, 4), (3, 3, 4, 16), (1, 1), ONE),
        ("direct", (1, 12, 12, 128), (3, 3, 128, 128), (1, 1), VALID),
        ("direct", (128, 26, 26, 64), (3, 3, 64, 128), (2, 2), VALID),
        ("winograd", (128, 26, 26, 64), (5, 5, 64, 128), (1, 1), VALID),
        ("direct", (128, 26, 26, 64), (5, 3, 64, 128), (1, 1), VALID),
        ("direct", (128, 26, 26, 64), (1, 1, 64, 128), (1, 1), VALID),
    ],
)
def test_what_was_measured_to_be_the_fastest_is_chosen(monkeypatch, vector_bytes, expected, x, kernel, stride, padding):
    monkeypatch.setattr(direct, "VECTOR_BYTES", vector_bytes)  # whatever the processor
    assert choose.choose.__wrapped__(x, kernel, stride, padding) == expected


@pytest.mark.parametrize("name", ["direct", "winograd"])
def test_arrays_that_do_not_fit_each_other(rng, name):
    """These kernels work on raw memory, so they look at what they are given."""
    algorithm, geometry = ALGORITHMS[name], ((1, 1), ((0, 0), (0, 0)))
    x, kernel = rng.standard_normal((2, 8, 8, 3)), rng.standard_normal((3, 3, 3, 4)).astype(np.float32)
    y = algorithm.forward(x, kernel, *geometry)  # of one type after all
    np.testing.assert_allclose(y, plain.conv2d(x, kernel, *geometry), atol=1e-12)
    with pytest.raises(ShapeError, match=r"x must have the shape \(2, 8, 8, 3\), not \(2, 8, 8, 2\)"):
        algorithm.forward(x[..., :2], kernel, *geometry)
    with pytest.raises(ShapeError, match=r"dy must have the shape \(2, 6, 6, 4\), not \(2, 6, 6, 3\)"):
        algorithm.backward(x, kernel, y[..., :3], *geometry)
    with pytest.raises(OptionError, match="x must be float32 or float64, not int64"):
        algorithm.forward(x.astype(np.int64), kernel, *geometry)
