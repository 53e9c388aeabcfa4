import numpy as np
import pytest

from nncore.errors import OptionError
from nncore.kernels import convolution
from nncore.kernels.convolution import ALGORITHMS

OTHERS = [name for name in ALGORITHMS if name != "reference"]


def geometry(rng, dtype):
    n, height, width, channels, filters = (int(rng.integers(1, high)) for high in (6, 12, 12, 6, 8))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2)))
    sizes = height + sum(padding[0]), width + sum(padding[1])
    window = tuple(int(rng.integers(1, min(5, size) + 1)) for size in sizes)
    stride = tuple(int(step) for step in rng.integers(1, 4, 2))
    x = rng.standard_normal((n, height, width, channels)).astype(dtype)
    return x, rng.standard_normal((*window, channels, filters)).astype(dtype), stride, padding


def assert_agree(rng, algorithm, x, kernel, stride, padding):
    reference = ALGORITHMS["reference"]
    expected = reference.forward(x, kernel, stride, padding)
    y = algorithm.forward(x, kernel, stride, padding)
    dy = rng.standard_normal(y.shape).astype(x.dtype)
    pairs = zip(
        (y, *algorithm.backward(x, kernel, dy, stride, padding)),
        (expected, *reference.backward(x, kernel, dy, stride, padding)),
        strict=True,
    )
    for fast, plain in pairs:
        assert fast.dtype == x.dtype
        # Sums of up to some thousand products of size 1: their rounding errors grow like the root of their number.
        np.testing.assert_allclose(fast, plain, rtol=0, atol=500 * np.finfo(x.dtype).eps)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", range(8))
def test_every_algorithm_computes_what_the_reference_does(rng, name, dtype, case):
    assert_agree(rng, ALGORITHMS[name], *geometry(rng, dtype))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_empty_batch(name):
    x, kernel = np.zeros((0, 6, 5, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    padding = ((1, 1), (1, 1))
    y = ALGORITHMS[name].forward(x, kernel, (2, 2), padding)
    assert y.shape == (0, 3, 3, 4)
    dx, dw = ALGORITHMS[name].backward(x, kernel, y, (2, 2), padding)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros_like(kernel))


@pytest.mark.parametrize("column_bytes", [1, 3 * 4 * 4 * 18 * 8, 10**9])  # one, three and all images at a time
def test_the_batch_may_be_cut_anywhere(rng, monkeypatch, column_bytes):
    monkeypatch.setattr(convolution, "COLUMN_BYTES", column_bytes)
    x, kernel = rng.standard_normal((8, 6, 6, 2)), rng.standard_normal((3, 3, 2, 4))
    assert_agree(rng, ALGORITHMS["im2col"], x, kernel, (1, 1), ((0, 0), (0, 0)))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_arrays_that_do_not_lie_in_one_piece_and_inputs_untouched(rng, name):
    algorithm, arguments = ALGORITHMS[name], ((1, 2), ((1, 0), (0, 2)))
    x = rng.standard_normal((3, 7, 6, 5)).transpose(1, 2, 3, 0)[::2]
    kernel = rng.standard_normal((4, 3, 2, 3)).T
    y = algorithm.forward(x, kernel, *arguments)
    dy = rng.standard_normal(y.shape[::-1]).T
    copies = [array.copy() for array in (x, kernel, dy)]
    straight = algorithm.forward(*copies[:2], *arguments), *algorithm.backward(*copies, *arguments)
    for ours, theirs in zip((y, *algorithm.backward(x, kernel, dy, *arguments)), straight, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    for array, copy in zip((x, kernel, dy), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_names():
    assert convolution.choose("auto") in ALGORITHMS.values()
    for name in ALGORITHMS:
        assert convolution.check_algorithm(name) == name
        assert convolution.choose(name) is ALGORITHMS[name]
    assert convolution.check_algorithm("auto") == "auto"
    with pytest.raises(OptionError, match="'fft' is unknown: choose auto, im2col, reference"):
        convolution.check_algorithm("fft")
