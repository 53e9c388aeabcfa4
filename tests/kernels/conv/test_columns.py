import numpy as np
import pytest

from nncore import kernels
from nncore.kernels import reference


def geometry(rng, dtype):
    n, height, width, channels = (int(rng.integers(1, high)) for high in (5, 12, 12, 6))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 4, (2, 2)))
    sizes = height + sum(padding[0]), width + sum(padding[1])
    window = tuple(int(rng.integers(1, min(5, size) + 1)) for size in sizes)
    stride = tuple(int(step) for step in rng.integers(1, 5, 2))
    return rng.standard_normal((n, height, width, channels)).astype(dtype), window, stride, padding


def assert_agree(rng, x, window, stride, padding):
    fast, plain = kernels.im2col(x, window, stride, padding), reference.im2col(x, window, stride, padding)
    assert fast.dtype == x.dtype
    np.testing.assert_array_equal(fast, plain)
    columns = rng.standard_normal(plain.shape).astype(x.dtype)
    fast, plain = (f(columns, x.shape, window, stride, padding) for f in (kernels.col2im, reference.col2im))
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
    columns = rng.standard_normal(reference.im2col(x, window, stride, padding).shape)
    left = np.vdot(kernels.im2col(x, window, stride, padding), columns)
    right = np.vdot(x, kernels.col2im(columns, x.shape, window, stride, padding))
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9)


def test_images_that_do_not_lie_in_one_piece_and_inputs_untouched(rng):
    x = rng.standard_normal((3, 4, 6, 5)).transpose(2, 0, 3, 1)[::2, :, ::-1]
    before = x.copy()
    arguments = (2, 2), (1, 2), ((1, 0), (0, 1))
    columns = kernels.im2col(x, *arguments)
    np.testing.assert_array_equal(columns, kernels.im2col(before, *arguments))
    np.testing.assert_array_equal(x, before)
    kept = columns.copy()
    kernels.col2im(columns, x.shape, *arguments)
    np.testing.assert_array_equal(columns, kept)
