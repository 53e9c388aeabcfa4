from fractions import Fraction

import numpy as np
import pytest

from nncore.kernels.conv.cook_toom import POINTS, apply, cook_toom, transpose


def fractions(rng, *shape):
    flat = [Fraction(int(n), int(d)) for n, d in zip(*rng.integers(1, 99, (2, int(np.prod(shape)))), strict=True)]
    return np.array(flat, dtype=object).reshape(shape)


TILES = [(n - r + 1, r) for n in POINTS for r in range(2, n)]


@pytest.mark.parametrize(("m", "r"), TILES)
def test_it_filters_exactly(rng, m, r):
    a, g, b = (np.array(matrix, dtype=object) for matrix in cook_toom(m, r))
    n = m + r - 1
    d, taps = fractions(rng, n), fractions(rng, r)
    assert (a.shape, g.shape, b.shape) == ((n, m), (n, r), (n, n))
    assert (a.T @ ((g @ taps) * (b.T @ d))).tolist() == [d[i : i + r] @ taps for i in range(m)]


@pytest.mark.parametrize(("m", "r"), TILES)
def test_shared_sums_change_nothing(rng, m, r):
    for matrix in cook_toom(m, r):
        for each in (matrix, transpose(matrix)):
            plain = np.array(each, dtype=object)
            tile = fractions(rng, plain.shape[1], plain.shape[1])
            assert [apply(each, row) for row in tile] == (tile @ plain.T).tolist()


@pytest.mark.parametrize(("m", "r"), TILES)
def test_the_second_point_sums_a_tile(m, r):
    """The bias's gradient is read off there."""
    assert set(cook_toom(m, r)[0][1]) == {1}


class Counted:
    """Counts additions; a product that is added at once costs nothing more on most machines."""

    additions = 0

    def __add__(self, other):
        Counted.additions += 1
        return self

    __sub__ = __add__

    def __mul__(self, other):
        return self


@pytest.mark.parametrize(("m", "row_by_row", "shared"), [(2, 2, 2), (4, 12, 10), (5, 20, 14), (6, 30, 18)])
def test_shared_sums_save_additions(m, row_by_row, shared):
    a = cook_toom(m, 3)[0]
    assert sum(sum(map(bool, row)) - 1 for row in a) == row_by_row
    Counted.additions = 0
    apply(a, [Counted()] * m)
    assert Counted.additions == shared
