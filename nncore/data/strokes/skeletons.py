"""How people write the ten digits: one line a style, as the path of the pen.

A style is a share (how common it is among those of its digit) and a path. A path is a row of control points "x,y" in
a box of 100 by 100, y pointing down as in images; " / " lifts the pen and "!" after a point makes it a corner.
`synthetic.py` bends, slants and shakes these paths before it draws them, so that one line stands for many hands.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from nncore.types import Array, Integers, Mask

STYLES: dict[int, tuple[tuple[float, str], ...]] = {
    0: (
        (4, "52,0 24,8 9,36 12,72 36,98 66,94 88,68 88,30 72,6 48,1"),  # closed
        (2, "62,6 36,0 12,22 6,58 22,92 52,100 82,82 90,46 74,14 44,6 26,14"),  # ends past its start
        (1, "74,10 46,0 16,16 6,52 20,90 52,100 82,84 92,48 84,20"),  # open at the top right
        (1, "30,8 10,40 14,80 44,100 78,86 90,48 74,12 50,2"),  # open at the top left
        (1.5, "80,0 44,6 14,28 8,66 30,98 64,94 88,62 84,24 62,8 46,16 58,30 82,14"),  # a loop at the top
        (1, "44,24 56,6 30,4 8,34 12,74 40,100 74,88 90,50 78,16 46,4"),  # begins inside
    ),
    1: (
        (8, "50,0 50,50 50,100"),  # plain
        (2, "46,0 56,50 46,100"),  # bowed
        (1.5, "28,20 54,0! 52,34 51,67 50,100"),  # a short flag
        (0.7, "8,42 34,22 56,0! 54,50 52,100"),  # a long flag
        (1.5, "24,22 52,0! 51,50 50,100 / 8,100 48,98 92,99"),  # a flag and a base
        (0.4, "50,0 50,50 50,100 / 22,100 50,99 78,99"),  # a base only
        (0.4, "32,4 50,0! 50,50 50,100! 66,97"),  # small serifs
    ),
    2: (
        (4, "8,22 26,4 54,0 78,14 76,38 54,62 30,82 6,98! 48,97 92,97"),  # flat base
        (3, "10,18 34,0 64,4 74,26 58,56 30,86 8,96 6,82 24,78 48,90 72,98 96,92"),  # a loop at the foot
        (1.5, "12,22 30,2 62,2 78,22 64,52 40,76 14,98 0,86 14,66 42,72 68,92 98,88"),  # a large loop
        (2, "8,20 28,2 60,2 76,24 60,54 34,80 10,98! 34,88 64,97 94,90"),  # a wavy base
        (1, "8,10 40,4 82,4! 50,46 10,95! 50,94 92,94"),  # like a Z
        (1, "30,30 10,28 14,8 44,0 72,12 74,38 50,66 12,96! 50,95 88,97"),  # begins with a curl
        (1, "6,8 36,4 66,6 70,30 44,64 16,92 30,99 62,96 96,92"),  # a rounded foot
        (1, "26,28 40,4 66,6 68,34 46,68 18,96! 50,92 78,98"),  # a narrow head
        (2.5, "12,20 40,0 74,10 80,36 62,66 34,92 10,100 2,84 20,70 46,74 70,84 98,82"),  # a round head, a loop
        (1, "16,18 46,2 72,18 68,54 46,88 18,100 4,84 20,64 48,72 72,88 96,70"),  # a loop, the tail rising
        (2, "10,16 28,2 48,12 42,44 12,88! 56,84 108,78"),  # a long tail
        (1, "16,10 34,0 50,22 42,56 8,98! 32,80 60,90 88,92"),  # like a lambda
        (2.5, "16,20 38,2 68,8 80,36 66,72 40,98 12,94 6,70 30,56 58,70 90,94"),  # the loop as large as the head
        (1, "14,14 44,2 74,18 80,54 60,90 26,100 8,84 22,64 50,62 78,76"),  # the same, hardly a tail
        (1, "54,0 64,28 58,64 38,96 12,98 8,76 30,60 54,72 84,84"),  # begins at its right, a loop
        (0.7, "44,0 62,26 58,66 34,92 4,97! 44,98 92,94"),  # begins at its right, flat base
    ),
    3: (
        (4, "8,16 32,0 64,4 74,22 58,40 32,47! 62,52 80,70 68,92 36,100 6,90"),  # round
        (2, "8,4 42,3 78,2! 58,22 36,42! 66,48 82,68 68,92 36,100 4,90"),  # flat topped
        (2, "10,14 36,0 66,6 70,26 50,42 30,46 38,36 62,50 80,70 66,94 36,100 8,88"),  # a loop in the middle
        (2, "8,10 38,0 68,8 68,30 46,46 68,58 76,78 52,97 8,96"),  # no notch
        (1, "10,20 34,0 66,8 66,34 36,48! 66,54 78,76 56,98 22,96 8,80 24,72"),  # a curl at the foot
        (1, "2,14 40,0 74,8 60,32 28,50! 60,56 70,78 44,96 0,100"),  # wide
        (1, "20,2 50,0 74,12 68,34 44,46! 74,56 84,78 62,97 30,98"),  # small bows
        (1, "10,14 38,0 62,12 52,36 34,46! 58,50 68,66 52,90 14,100"),  # a weak foot
    ),
    4: (
        (3, "16,4 12,30 8,56! 48,57 90,54 / 76,0 72,50 68,100"),  # open, three straight lines
        (3, "24,2 12,34 20,56 48,56 76,42 / 80,0 72,50 64,100"),  # open, the bar a curve
        (2, "20,4 8,40 26,58 60,48 82,4! 76,50 66,100"),  # one stroke, open
        (1.5, "64,0 34,32 4,66! 48,66 96,64 / 64,0 62,50 60,100"),  # closed
        (1, "60,100 64,50 68,2! 36,32 6,62! 50,63 94,60"),  # closed, one stroke
        (1.5, "14,6 10,46! 48,48 88,44 / 62,18 58,60 54,100"),  # a short stem
        (1, "26,0 18,26 4,50! 50,52 98,46 / 70,10 62,55 50,100"),  # a long bar
        (1, "44,0 22,28 10,50 36,54 78,48 / 66,14 62,56 58,100"),  # nearly closed
        (1, "46,0 28,34 4,70! 46,66 92,62 / 60,24 58,60 56,100"),  # closed, the stem begins below the top
    ),
    5: (
        (3, "26,4 22,24 18,45! 46,37 76,50 80,76 54,98 12,92 / 26,4 56,3 88,1"),  # two strokes
        (3, "88,2 56,3 28,5! 24,25 18,46! 48,38 78,52 78,80 50,99 8,90"),  # one stroke
        (1.5, "28,12 24,28 20,46! 48,38 76,52 76,80 48,98 8,92 / 40,6 68,3 96,0"),  # the roof detached
        (2, "98,0 66,4 36,8! 32,24 28,40! 52,40 64,58 54,82 30,97 0,92"),  # a long roof, a small belly
        (1.5, "82,4 48,1 24,18 34,40 62,54 72,76 50,97 10,94"),  # like an S
        (1, "82,4 54,3 28,5! 26,26 24,44! 52,40 78,58 74,86 44,99 14,90 10,74 28,74"),  # a curl at the foot
        (1, "36,6 30,26 28,40 54,48 70,64 62,86 36,98 6,90 / 36,6 62,5 90,0"),  # no corner above the belly
        (1, "34,0 30,20 26,42! 50,38 70,58 62,88 30,100 6,92"),  # hardly a roof
        (0.7, "30,10 26,26 24,42! 54,42 76,60 70,84 40,98 6,92 / 30,10 52,4 74,8"),  # a short roof
        (1, "88,4 58,0 26,8 14,28 24,42! 52,40 74,58 72,84 44,99 10,90"),  # a round shoulder
    ),
    6: (
        (4, "64,0 36,18 16,48 12,78 34,99 64,92 74,70 54,54 28,62 15,80"),  # plain
        (2, "58,0 28,22 8,58 18,92 50,100 80,84 78,54 50,42 22,54 10,72"),  # a large loop
        (2, "72,0 42,22 18,54 10,84 28,99 52,92 56,74 36,68 14,84"),  # a small loop
        (1, "62,0 26,24 8,60 22,95 54,98 74,76 58,56 36,66 36,82"),  # curled in
        (2, "34,0 20,34 10,70 20,96 52,98 76,80 66,60 38,64 14,84"),  # a straight stem
        (1, "78,6 50,2 20,32 8,68 26,98 60,96 76,74 56,54 24,66"),  # a hooked top
        (1, "44,0 22,32 8,66 12,90 34,92 74,84 96,68 76,56 40,70 10,90"),  # the loop lies flat
        (1, "50,0 30,30 18,62 22,92 44,98 58,78 48,60 24,66 0,80"),  # the loop crosses the stem
        (1.5, "26,0 8,38 6,78 32,99 74,86 86,58 66,46 46,60 44,84"),  # the loop stays away from the stem
        (1, "40,0 14,34 4,72 24,98 66,90 92,62 74,46 46,56 22,84"),  # a wide loop
    ),
    7: (
        (4, "8,5 46,5 84,2! 62,48 42,100"),  # plain
        (2, "6,8 42,6 78,4! 62,30 48,64 44,100"),  # a bent stem
        (1.5, "8,6 46,5 84,3! 62,48 42,100 / 28,52 54,50 84,48"),  # barred
        (2, "12,24 14,4! 46,5 84,2! 60,48 44,100"),  # a serif
        (2, "4,16 18,3 48,9 86,3! 62,48 40,100"),  # a wavy top
        (1.5, "8,12 36,2 68,2 76,22 62,58 46,100"),  # a round shoulder
        (1, "14,30 20,10 52,2 78,4! 72,48 68,100"),  # an upright stem
        (0.7, "8,8 46,6 82,3! 56,50 36,100! / 18,50 50,46 70,54"),  # a slanting bar
        (1, "8,14 16,2 46,7 82,3! 62,48 46,100 / 36,54 58,50 78,52"),  # a wavy top and a bar
        (1, "10,6 46,6 84,4! 66,36 54,66 50,100 / 20,54 56,52 92,50"),  # a bent stem and a long bar
        (0.7, "10,24 12,6! 46,6 82,4! 60,48 46,100 / 32,54 56,50 82,50"),  # a serif and a bar
        (1, "8,36 14,6! 46,8 82,3! 62,48 46,100"),  # a long serif
        (0.7, "18,8 24,26 52,22 82,2! 66,50 56,100"),  # a hanging roof
    ),
    8: (
        (4, "76,14 50,0 24,10 24,32 50,48 76,68 72,92 44,100 18,88 20,66 48,48 74,30 76,12"),  # one stroke
        (2, "84,12 54,0 26,12 30,34 56,54 70,78 50,99 24,90 22,70 46,50 72,30 90,8"),  # open at the top
        (2, "50,46 24,32 24,8 50,0 74,10 74,34 50,47 22,64 20,90 48,100 76,90 78,66 50,46"),  # from the waist
        (1.5, "52,0 28,10 26,34 50,45 74,34 74,10 50,0 / 50,45 20,60 18,88 48,100 80,88 80,60 50,46"),  # two circles
        (1.5, "98,2 58,6 26,14 34,34 58,54 64,80 44,98 24,86 32,64 54,44 78,24 62,6"),  # a long beginning
        (1, "70,20 52,0 26,12 34,38 64,66 62,92 40,98 30,80 46,54 66,30 62,10"),  # narrow
        (1, "26,6 34,36 62,66 66,92 42,100 26,84 40,58 62,34 74,8 46,0 22,10"),  # from the left
        (2, "78,10 52,0 26,12 34,34 58,58 58,88 38,99 22,84 40,56 84,4"),  # straight back up
        (1, "84,6 52,0 20,14 28,36 52,50 60,70 50,92 34,92 30,74 46,54 66,34 88,12"),  # a large head, a small foot
        (1, "70,8 50,2 36,14 46,32 76,60 80,86 48,100 14,90 18,66 44,44 62,26 68,10"),  # a small head, a large foot
        (0.7, "28,2 38,28 60,60 60,88 42,99 26,84 42,56 82,2"),  # a loop and two arms
    ),
    9: (
        (3, "76,14 50,0 20,10 12,36 36,50 64,40 78,12! 76,56 72,100"),  # a straight stem
        (3, "74,16 52,0 22,10 14,38 38,50 66,34 76,10! 68,58 48,100"),  # a slanting stem
        (1.5, "74,16 50,0 20,10 14,38 38,50 66,36 76,10! 78,54 68,90 40,100 16,88"),  # a curled tail
        (1.5, "64,8 44,0 28,12 34,28 56,24 66,6! 62,52 54,100"),  # a tiny head
        (1.5, "72,10 42,2 14,22 18,46 44,50 72,32 / 76,4 72,52 66,100"),  # open at the top
        (1.5, "80,4 46,3 16,18 14,40 40,48 74,30 80,4! 74,52 70,100"),  # a flat top
        (1.5, "70,36 42,48 16,34 24,8 54,0 76,16 78,46 70,76 60,100"),  # a round back
        (1, "78,30 50,38 20,36 12,18 40,2 74,6 80,24 68,60 44,100"),  # a lying head
        (1, "80,14 48,0 14,14 14,40 44,50 78,28! 70,68 48,100"),  # open at the top right, the stem short
        (1.5, "86,24 66,3 32,3 6,22 10,44 42,52 72,38 88,18! 86,58 84,100"),  # a wide head
        (1, "78,10 50,0 22,12 18,34 44,46 72,32 80,12 82,50 66,84 36,100 10,86"),  # no corners, a curled tail
        (1, "74,10 42,0 10,24 8,58 34,74 66,54 80,14! 80,58 82,100"),  # a large head, a short stem
        (1, "62,4 32,10 18,34 36,52 62,40 76,18! 72,60 66,100"),  # open at the top, one stroke
        (1, "68,8 46,0 30,12 36,28 58,26 72,6! 76,50 70,88 40,100 14,86"),  # a tiny head, a curled tail
    ),
}


class Skeletons(NamedTuple):
    """Every style as a linear map from its control points to the points along its path, padded to one size.

    T styles, K control points, P points along the path. A path is `basis @ controls`, whatever was done to the
    controls. Padding repeats the last point with the pen lifted.
    """

    digit: Integers  # (T,)
    share: Array  # (T,), sums to 1 over the styles of a digit
    controls: Array  # (T, K, 2), x and y in 0..1
    straight: Array  # (T, P, K), joins the controls by straight lines
    cornered: Array  # (T, P, K), a curve through the controls that is sharp at corners
    smooth: Array  # (T, P, K), a curve through the controls that has no corners
    pen: Mask  # (T, P), whether the pen is down at this point


@cache
def skeletons(steps: int = 6) -> Skeletons:
    """The table above as arrays, with `steps` points from one control point to the next."""
    rows = [(digit, share, path.split(" / ")) for digit, styles in STYLES.items() for share, path in styles]
    strokes = [[stroke.split() for stroke in path] for _, _, path in rows]
    n_controls = max(sum(map(len, style)) for style in strokes)
    n_points = max(sum((len(stroke) - 1) * steps + 2 for stroke in style) for style in strokes)

    digit = np.array([digit for digit, _, _ in rows])
    share = np.array([share for _, share, _ in rows], np.float64)
    share /= np.bincount(digit, share)[digit]
    controls = np.zeros((len(rows), n_controls, 2))
    bases = np.zeros((3, len(rows), n_points, n_controls))
    pen = np.zeros((len(rows), n_points), np.bool_)
    for t, style in enumerate(strokes):
        first = point = 0
        for stroke in style:
            last, end = first + len(stroke) - 1, point + (len(stroke) - 1) * steps + 1
            controls[t, first : last + 1] = [[float(v) / 100 for v in c.rstrip("!").split(",")] for c in stroke]
            corners = np.array([c.endswith("!") for c in stroke])
            bases[:, t, point:end, first : last + 1] = _curves(corners, steps)
            bases[:, t, end, last] = 1  # one more point, with the pen lifted
            pen[t, point:end] = True
            first, point = last + 1, end + 1
        bases[:, t, point:, last] = 1
    straight, cornered, smooth = bases
    return Skeletons(digit, share, controls, straight, cornered, smooth, pen)


def written(rng: np.random.Generator) -> tuple[int, list[Array]]:
    """A digit in one of the styles, its control points a little astray: the digit and its strokes, each (points, 2)."""
    table = skeletons()
    style = rng.integers(len(table.digit))
    points = table.cornered[style] @ (table.controls[style] + rng.normal(0, 0.03, table.controls[style].shape))
    pen = table.pen[style]
    ends = np.flatnonzero(np.diff(pen)) + 1
    strokes = [s for s, down in zip(np.split(points, ends), np.split(pen, ends), strict=True) if down[0]]
    return int(table.digit[style]), strokes


def _curves(corners: Mask, steps: int) -> Array:
    """The three bases of one stroke: straight, cornered and smooth, (3, points, controls).

    Cubic Hermite curves with the tangents of Catmull and Rom (1974), half the way from the point before to the point
    after; at the ends of a stroke and on either side of a corner the tangent is that of the straight line.
    """
    n = len(corners)
    eye = np.eye(n)
    u = np.arange(steps)[:, None] / steps
    rise, leaving, arriving = 3 * u**2 - 2 * u**3, u**3 - 2 * u**2 + u, u**3 - u**2
    straight, cornered, smooth = [], [], []
    for i in range(n - 1):
        chord = eye[i + 1] - eye[i]
        before = (eye[i + 1] - eye[i - 1]) / 2 if i > 0 else chord
        after = (eye[i + 2] - eye[i]) / 2 if i + 2 < n else chord
        straight.append(eye[i] + u * chord)
        smooth.append(eye[i] + rise * chord + leaving * before + arriving * after)
        before, after = chord if corners[i] else before, chord if corners[i + 1] else after
        cornered.append(eye[i] + rise * chord + leaving * before + arriving * after)
    return np.array([np.concatenate([*curve, eye[-1:]]) for curve in (straight, cornered, smooth)])
