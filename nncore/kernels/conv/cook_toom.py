"""The matrices of Winograd's minimal filtering, in exact fractions, and how to apply them with few operations.

The Cook-Toom algorithm multiplies two polynomials, g with r coefficients and h with m: it evaluates both at n points,
multiplies the values, and interpolates the n = m + r - 1 coefficients of the product. With matrices, that is
B ((G g) * (A h)): A and G evaluate, B interpolates. (The divisions of the interpolation are done within G.)

For a fixed g, the product is linear in h. The transpose of that linear map takes n numbers d to m numbers y, and is a
filter with r taps. Transposing the factors from right to left gives it by n products instead of m r:

    y_i = sum over k of g_k d_(i+k)  =  [A^T ((G g) * (B^T d))]_i          for i < m

The functions below work on anything that can be added, subtracted and multiplied by a fraction: on fractions, on NumPy
arrays, and on the SIMD vectors of `simd`, for which to compute means to emit machine code.

Source: Lavin & Gray 2015, "Fast algorithms for convolutional neural networks", arXiv 1509.09308; Blahut, "Fast
algorithms for signal processing" (2010), section 5.2.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]

HALF = Fraction(1, 2)
POINTS: dict[int, tuple[int | Fraction, ...]] = {
    4: (0, 1, -1),
    5: (0, 1, -1, 2),
    6: (0, 1, -1, 2, -HALF),
    7: (0, 1, -1, HALF, -HALF, 2),
    8: (0, 1, -1, 2, -2, HALF, -HALF),
}
"""Where polynomials are evaluated, besides infinity, for n inputs. Small numbers and their reciprocals keep rounding
errors small; pairs p, -p share work. Point 1 stands at index 1: its powers are all 1, so row 1 of A sums a tile up, and
`winograd` takes the gradient of the bias from it."""


def cook_toom(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """A (n, m), G (n, r) and B (n, n) of F(m, r), with n = m + r - 1."""
    points = [Fraction(p) for p in POINTS[m + r - 1]]
    others = [[q for q in points if q != p] for p in points]
    a = [[p**i for i in range(m)] for p in points]
    g = [[p**k / math.prod(p - q for q in rest) for k in range(r)] for p, rest in zip(points, others, strict=True)]
    b_transposed = [[*_coefficients(rest), Fraction(0)] for rest in others]
    at_infinity = (
        [Fraction(0)] * (m - 1) + [Fraction(1)],
        [Fraction(0)] * (r - 1) + [Fraction(1)],
        _coefficients(points),
    )
    a, g, b_transposed = ([*rows, last] for rows, last in zip((a, g, b_transposed), at_infinity, strict=True))
    return _frozen(a), _frozen(g), transpose(b_transposed)


def transpose(matrix: Sequence[Sequence[Fraction]]) -> Matrix:
    """Rows become columns."""
    return _frozen(zip(*matrix, strict=True))


def apply(matrix: Matrix, values: Sequence[Any]) -> list[Any]:
    """Matrix @ values, with the sums shared that rows or columns have in common up to signs.

    Two columns such as (1, 2, 4) and (1, -2, 4) see their inputs x and y only as x + y and x - y, so these are computed
    first. Two such rows are E + O and E - O, with E the sum over the entries in which they agree and O over the others.
    """
    rows, inputs = [list(row) for row in matrix], list(values)
    for a, b in _mirrored(list(zip(*rows, strict=True))):
        inputs[a], inputs[b] = inputs[a] + inputs[b], inputs[a] - inputs[b]
        for row in rows:
            row[a], row[b] = (row[a], Fraction(0)) if row[a] == row[b] else (Fraction(0), row[a])
    outputs = {}
    for a, b in _mirrored(rows):
        even = _weighted_sum([x if x == y else Fraction(0) for x, y in zip(rows[a], rows[b], strict=True)], inputs)
        odd = _weighted_sum([x if x != y else Fraction(0) for x, y in zip(rows[a], rows[b], strict=True)], inputs)
        outputs[a], outputs[b] = even + odd, even - odd
    return [outputs[i] if i in outputs else _weighted_sum(row, inputs) for i, row in enumerate(rows)]


def _weighted_sum(weights: Sequence[Fraction], values: Sequence[Any]) -> Any:
    """The sum of weight * value: zeros left out, and a term of weight 1 first, which then needs no product."""
    terms = sorted(
        ((w, v) for w, v in zip(weights, values, strict=True) if w), key=lambda term: (abs(term[0]) != 1, term[0] < 0)
    )
    (weight, value), *rest = terms
    total = value if weight == 1 else value * weight
    for weight, value in rest:
        total = total + value if weight == 1 else total - value if weight == -1 else total + value * weight
    return total


def _mirrored(rows: Sequence[Sequence[Fraction]]) -> Iterator[tuple[int, int]]:
    """Pairs of rows, no row in two of them, that agree in some entries and are opposite in all others."""
    taken: set[int] = set()
    for a, b in itertools.combinations(range(len(rows)), 2):
        entries = [(x, y) for x, y in zip(rows[a], rows[b], strict=True) if x or y]
        agree = [x == y for x, y in entries]
        if not {a, b} & taken and all(abs(x) == abs(y) for x, y in entries) and any(agree) and not all(agree):
            taken |= {a, b}
            yield a, b


def _coefficients(roots: Sequence[Fraction]) -> list[Fraction]:
    """The polynomial that is the product of all (t - root), lowest power first."""
    polynomial = [Fraction(1)]
    for root in roots:
        polynomial = [
            above - root * here
            for above, here in zip([Fraction(0), *polynomial], [*polynomial, Fraction(0)], strict=True)
        ]
    return polynomial


def _frozen(rows: Any) -> Matrix:
    return tuple(tuple(row) for row in rows)
