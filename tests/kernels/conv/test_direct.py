import numpy as np
import pytest

from nncore import kernels
from tests.kernels import plain

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels.conv import direct

CASES = [  # kernel size, stride, padding, channels, filters
    ((5, 5), (1, 1), ((2, 2), (2, 2)), 3, 33),
    ((1, 1), (1, 1), ((0, 0), (0, 0)), 17, 64),
    ((1, 1), (3, 2), ((0, 0), (0, 0)), 20, 5),
    ((7, 7), (2, 2), ((3, 3), (3, 3)), 1, 12),
    ((3, 3), (1, 1), ((0, 0), (0, 0)), 1, 64),
    ((3, 3), (2, 1), ((1, 0), (0, 2)), 40, 7),
    ((2, 4), (3, 5), ((0, 3), (4, 0)), 18, 9),
    ((2, 2), (4, 4), ((5, 0), (0, 6)), 21, 2),
    ((3, 2), (1, 1), ((4, 5), (3, 4)), 19, 3),
]


def relative_error(ours, exact):
    assert ours.shape == exact.shape
    return np.sqrt(np.square(ours - exact).mean() / max(np.square(exact).mean(), 1e-30))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_both_passes(rng, case, dtype):
    size, stride, padding, channels, filters = case
    n, height, width = (int(number) for number in rng.integers((1, 7, 7), (5, 15, 15)))
    x = rng.standard_normal((n, height, width, channels)).astype(dtype)
    kernel = rng.standard_normal((*size, channels, filters)).astype(dtype)
    y = direct.forward(x, kernel, stride, padding)
    dy = rng.standard_normal(y.shape).astype(dtype)
    exact = [array.astype(np.float64) for array in (x, kernel, dy)]
    for ours, theirs in zip(
        (y, *direct.backward(x, kernel, dy, stride, padding)),
        (plain.conv2d(*exact[:2], stride, padding), *plain.conv2d_backward(*exact, stride, padding)),
        strict=True,
    ):
        assert ours.dtype == dtype
        assert relative_error(ours, theirs) < 10 * np.finfo(dtype).eps


def test_the_number_of_threads_changes_no_bit_of_y_and_dx(rng):
    numba = pytest.importorskip("numba")
    x, kernel = rng.standard_normal((3, 9, 8, 20)), rng.standard_normal((3, 3, 20, 11))
    before, results = numba.get_num_threads(), []
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            y = direct.forward(x, kernel, (1, 1), ((1, 1), (1, 1)))
            results.append((y, *direct.backward(x, kernel, y, (1, 1), ((1, 1), (1, 1)))))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert relative_error(results[0][2], results[1][2]) < 1e-14
