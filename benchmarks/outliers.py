"""Things that people draw and that are no digit, as strokes of a pen on a pad of 280 pixels.

Letters and shapes that are digits just as well have been left out: O, I, l, S, Z, B, G, b, q, a circle. Each kind is a
function from random numbers to strokes in a square from -1 to 1; then the hand does its part, as for digits, and the
drawing is put somewhere on the pad.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nncore.data.skeletons import skeletons
from nncore.types import Array

PAD = 280  # pixels, its side
MARGIN = 10  # pixels along the sides of the pad that the pen's middle keeps clear of
STEP = 0.08  # from one point of a stroke to the next

# The path of the pen as in nncore/data/skeletons.py: corners "x,y" in a box of 100 by 100, " / " lifts the pen
LETTERS = {
    "A": "0,100 45,0 90,100 / 15,62 75,62",
    "E": "75,0 5,0 5,100 80,100 / 5,48 65,48",
    "F": "75,0 5,0 5,100 / 5,46 60,46",
    "H": "5,0 5,100 / 75,0 75,100 / 5,50 75,50",
    "K": "5,0 5,100 / 75,0 5,55 80,100",
    "M": "0,100 12,0 50,70 88,0 100,100",
    "N": "5,100 5,0 75,100 75,0",
    "R": "5,100 5,0 60,5 72,25 60,46 5,52 80,100",
    "T": "0,0 90,0 / 45,0 45,100",
    "V": "0,0 40,100 80,0",
    "W": "0,0 25,100 50,30 75,100 100,0",
    "X": "0,0 80,100 / 80,0 0,100",
    "Y": "0,0 40,45 80,0 / 40,45 40,100",
    "e": "5,55 80,50 75,20 45,5 12,25 5,60 25,92 60,98 85,82",
    "f": "75,8 55,0 38,15 35,100 / 5,42 70,42",
    "k": "10,0 10,100 / 65,40 12,68 70,100",
    "m": "0,100 0,30 / 0,45 22,30 45,45 45,100 / 45,45 70,30 92,45 92,100",
    "p": "5,10 5,100 / 5,20 45,5 72,25 60,52 30,58 5,45",
    "r": "10,30 10,100 / 10,60 35,36 70,36",
    "w": "0,30 22,100 48,45 72,100 98,30",
}
SIGNS = {
    "plus": "0,50 100,50 / 50,0 50,100",
    "hash": "30,0 20,100 / 75,0 65,100 / 0,32 100,32 / 0,68 95,68",
    "question mark": "10,25 25,5 55,0 75,20 65,42 42,55 40,72 / 40,98 41,99",
    "equals": "0,20 100,20 / 0,70 100,70",
    "tick": "0,55 30,100 100,0",
    "arrow": "0,50 100,50 / 65,15 100,50 65,85",
    "heart": "50,100 5,45 8,12 30,5 50,30 72,5 94,12 95,45 50,100",
    "lightning": "55,0 15,55 60,50 25,100",
    "house": "5,100 5,45 50,0 95,45 95,100 5,100 / 38,100 38,70 62,70 62,100",
    "percent": "85,0 10,100 / 18,5 5,20 18,36 32,20 18,5 / 78,62 65,78 78,95 92,78 78,62",
}


class Outlier(NamedTuple):
    """A drawing that is no digit: each stroke (points, 2), x and y in pixels of the pad. A blank one has none."""

    kind: str
    strokes: list[Array]


def outliers(count: int, seed: int, kinds: tuple[str, ...] = ()) -> Iterator[Outlier]:
    """`count` drawings, the kinds in turn; drawing i depends on the seed and on i only. All of KINDS if none are given.

    Every stroke keeps MARGIN away from the sides of the pad.
    """
    names = kinds or tuple(KINDS)
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        kind = names[i % len(names)]
        strokes = KINDS[kind](rng)
        yield Outlier(kind, _onto_pad(strokes, kind, rng) if strokes else [])


def _blank(rng: np.random.Generator) -> list[Array]:
    return []


def _dot(rng: np.random.Generator) -> list[Array]:
    return [rng.normal(0, 0.02, (rng.integers(1, 4), 2))]


def _scribble(rng: np.random.Generator) -> list[Array]:
    time = np.linspace(0, 1, 300)[:, None]
    waves = rng.uniform(2, 9, (5, 2))
    height = rng.uniform(0.3, 1, (5, 2)) * [1, rng.uniform(0.4, 1)]
    swings = np.sin(2 * np.pi * (time[:, None] * waves + rng.random((5, 2)))) * height
    return [swings.sum(axis=1) / 2.5]


def _zigzag(rng: np.random.Generator) -> list[Array]:
    turns = rng.integers(7, 16)
    x = np.linspace(-1, 1, turns) + rng.normal(0, 0.06, turns)
    y = np.where(np.arange(turns) % 2, 1, -1) * rng.uniform(0.5, 1, turns)
    return [_line(np.stack([x, y], axis=1))]


def _spiral(rng: np.random.Generator) -> list[Array]:
    angle = np.linspace(0, 2 * np.pi * rng.uniform(2.5, 5), 200) * rng.choice([-1, 1]) + rng.uniform(0, 2 * np.pi)
    radius = np.linspace(0.05, 1, 200)
    return [_round(angle, radius)]


def _outline(rng: np.random.Generator) -> list[Array]:
    return [_polygon(rng, corners=rng.choice([3, 4, 5]))]


def _filled(rng: np.random.Generator) -> list[Array]:
    edge = _polygon(rng, corners=rng.choice([3, 4, 5, 40]))
    return [np.concatenate([edge * scale for scale in np.linspace(1, 0, 28)])]  # wound inwards, no gaps from 8 px on


def _polygon(rng: np.random.Generator, corners: int) -> Array:
    """A triangle, a square, a star of five points, or with many corners an ellipse."""
    count = 10 if corners == 5 else corners
    angle = 2 * np.pi * np.arange(count + 1) / count + (np.pi / 4 if corners == 4 else -np.pi / 2)
    radius = np.where((np.arange(count + 1) % 2 == 1) & (corners == 5), 0.42, 1)
    return _line(_round(angle, radius) * [rng.uniform(0.75, 1), 1])


def _smiley(rng: np.random.Generator) -> list[Array]:
    angle = np.linspace(0, 2 * np.pi * rng.uniform(0.97, 1.05), 60) + rng.uniform(0, 2 * np.pi)
    eyes = [_line(np.array([[x, -0.4], [x, -0.4 + rng.uniform(0.01, 0.2)]])) for x in (-0.35, 0.35)]
    smile = _round(np.linspace(0.85, 0.15, 20) * np.pi, rng.uniform(0.45, 0.6) * np.ones(20))
    return [_round(angle, np.ones(60)), *eyes, smile * [1, rng.choice([1, 1, 1, -0.5])] + [0, 0.05]]


def _noise(rng: np.random.Generator) -> list[Array]:
    starts = rng.uniform(-1, 1, (rng.integers(15, 60), 1, 2))
    return list(starts + rng.normal(0, 0.07, (len(starts), 2, 2)))


def _letter(rng: np.random.Generator) -> list[Array]:
    return _path(rng.choice(list(LETTERS.values())))


def _sign(rng: np.random.Generator) -> list[Array]:
    return _path(rng.choice(list(SIGNS.values())))


def _path(text: str) -> list[Array]:
    strokes = [[corner.split(",") for corner in stroke.split()] for stroke in text.split(" / ")]
    return [_line(np.array(stroke, np.float64) / 50 - 1) for stroke in strokes]


def _two_digits(rng: np.random.Generator) -> list[Array]:
    """Two digits side by side, the second moved to the left until it touches the first."""
    first, second = _digit(rng), _digit(rng)
    fixed, moved = np.concatenate(first), np.concatenate(second)
    moved = moved + np.array([1, rng.normal(0, 0.08)])
    # Ink touches where the pen's middle passes closer than its width, here that of a pen of 8 pixels at the least
    while np.hypot(*(fixed[:, None] - moved).transpose(2, 0, 1)).min() > 0.04:
        moved = moved - [0.02, 0]
    return first + np.split(moved, np.cumsum([len(stroke) for stroke in second])[:-1])


def _digit(rng: np.random.Generator) -> list[Array]:
    table = skeletons()
    t = rng.integers(len(table.digit))
    points = table.cornered[t] @ (table.controls[t] + rng.normal(0, 0.03, table.controls[t].shape))
    ends = np.flatnonzero(np.diff(table.pen[t])) + 1
    return [s for s, pen in zip(np.split(points, ends), np.split(table.pen[t], ends), strict=True) if pen[0]]


KINDS: dict[str, Callable[[np.random.Generator], list[Array]]] = {
    "blank": _blank,
    "dot": _dot,
    "scribble": _scribble,
    "zigzag": _zigzag,
    "spiral": _spiral,
    "outline": _outline,
    "filled shape": _filled,
    "smiley": _smiley,
    "noise": _noise,
    "letter": _letter,
    "sign": _sign,
    "two digits": _two_digits,
}


def _round(angle: Array, radius: Array) -> Array:
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)


def _line(corners: Array) -> Array:
    """The straight lines from corner to corner as points: (C, 2) -> (P, 2)."""
    pieces = [np.linspace(a, b, max(int(np.hypot(*(b - a)) / STEP), 1), endpoint=False) for a, b in pairwise(corners)]
    return np.concatenate([*pieces, corners[-1:]])


def _onto_pad(strokes: list[Array], kind: str, rng: np.random.Generator) -> list[Array]:
    """Bend and turn a drawing as a hand would, scale its longer side to 45 to 85 % of the pad, and put it there."""
    points = np.concatenate(strokes)
    waves, phase = rng.normal(0, 1.5, (2, 4)), rng.uniform(0, 2 * np.pi, 4)
    points = points + np.sin(points @ waves + phase) @ rng.normal(0, 0.03, (4, 2))
    angle = rng.normal(0, 0.1)
    points = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    low, high = points.min(axis=0), points.max(axis=0)
    size = PAD * (0.01 if kind == "dot" else rng.uniform(0.45, 0.85))
    scale = size / max(*(high - low), 1e-9) if len(points) > 1 else 0
    points = (points - low) * scale
    room = PAD - 2 * MARGIN - points.max(axis=0)
    points = points + MARGIN + rng.random(2) * room
    return np.split(points, np.cumsum([len(stroke) for stroke in strokes])[:-1])
