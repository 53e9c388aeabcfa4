"""Products of matrices beside NumPy's: random sizes, views, few rows, none at all."""

import numpy as np
import pytest

from nncore import kernels

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels import dense


@pytest.fixture(autouse=True)
def however_small(monkeypatch):
    monkeypatch.setattr(dense, "SMALL", 1)


def check(a, b):
    exact = a.astype(np.float64) @ b.astype(np.float64)
    tolerance = {4: 1e-6, 8: 1e-14}[a.itemsize] * max(1, np.abs(a).max(initial=0) * np.abs(b).max(initial=0) * len(b))
    for y in (dense.matmul(a, b), dense.matmul(b.T, a.T).T):
        assert y.dtype == a.dtype
        np.testing.assert_allclose(y, exact, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_any_size_and_of_views(rng, dtype):
    for _ in range(6):
        rows, depth, columns = rng.integers(1, 150), rng.integers(1, 400), rng.integers(1, 80)
        a, b = rng.standard_normal((rows, depth)).astype(dtype), rng.standard_normal((depth, columns)).astype(dtype)
        check(a, b)
        check(np.asfortranarray(a), np.asfortranarray(b))
        check(a[::2, ::3], b[::3, ::-1])


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9])
def test_few_rows(rng, rows):
    check(rng.standard_normal((rows, 300)).astype(np.float32), rng.standard_normal((300, 33)).astype(np.float32))


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1)])
def test_the_smallest(rng, shape):
    rows, depth, columns = shape
    check(
        rng.standard_normal((rows, depth)).astype(np.float32), rng.standard_normal((depth, columns)).astype(np.float32)
    )
