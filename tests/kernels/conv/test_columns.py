import numpy as np
import pytest

from nncore import kernels
from nncore.layers import windows

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels.conv import columns as compiled


def geometry(rng, dtype):
    n, height, width, channels = (int(rng.integers(1, high)) for high in (5, 12, 12, 6))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 4, (2, 2)))
    sizes = height + sum(padding[0]), width + sum(padding[1])
    window = tuple(int(rng.integers(1, min(5, size) + 1)) for size in sizes)
    stride = tuple(int(step) for step in rng.integers(1, 5, 2))
    return rng.standard_normal((n, height, width, channels)).astype(dtype), window, stride, padding


def assert_agree(rng, x, window, stride, padding):
    fast, plain = compiled.im2col(x, window, stride, padding), windows.im2col(x, window, stride, padding)
    assert fast.dtype == x.dtype
    np.testing.assert_array_equal(fast, plain)
    columns = rng.standard_normal(plain.shape).astype(x.dtype)
    fast, plain = (f(columns, x.shape, window, stride, padding) for f in (compiled.col2im, windows.col2im))
    assert fast.dtype == x.dtype
    # A pixel is a sum of at most 25 numbers of size 1, taken in another order.
    np.testing.assert_allclose(fast, plain, rtol=0, atol=100 * np.finfo(x.dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", range(8))
def test_random_shapes_agree_with_the_definition(rng, dtype, case):
    assert_agree(rng, *geometry(rng, dtype))


@pytest.mark.parametrize(
    ("shape", "window", "stride", "padding"),
    [
        ((0, 5, 5, 2), (3, 3), (1, 1), ((1, 1), (1, 1))),
        ((1, 1, 1, 1), (1, 1), (1, 1), ((0, 0), (0, 0))),
        ((1, 1, 1, 1), (3, 3), (1, 1), ((1, 1), (1, 1))),
        ((2, 7, 5, 1), (7, 5), (1, 1), ((0, 0), (0, 0))),  # one window, the whole image
        ((2, 7, 5, 3), (2, 2), (3, 4), ((0, 0), (0, 0))),  # gaps between windows, and a last step that does not fit
        ((1, 2, 2, 1), (2, 2), (1, 1), ((5, 0), (0, 5))),  # windows that see nothing but padding
    ],
)
def test_awkward_shapes_agree_with_the_definition(rng, shape, window, stride, padding):
    assert_agree(rng, rng.standard_normal(shape).astype(np.float32), window, stride, padding)


def test_col2im_is_the_transpose_of_im2col(rng):
    # <im2col(x), c> = <x, col2im(c)> for all x and c is what transpose means.
    x, window, stride, padding = geometry(rng, np.float64)
    columns = rng.standard_normal(windows.im2col(x, window, stride, padding).shape)
    left = np.vdot(compiled.im2col(x, window, stride, padding), columns)
    right = np.vdot(x, compiled.col2im(columns, x.shape, window, stride, padding))
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9)
