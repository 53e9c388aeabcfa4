"""Things that people draw and that are no digit, as strokes of a pen on a pad of 280 pixels.

What may just as well be a digit has been left out, such as a circle. Each kind is a function from random numbers to
strokes in a square from -1 to 1; then the hand does its part, as for digits, and the drawing is put somewhere on the
pad. A recogniser learns to refuse the kinds of SEEN; those of UNSEEN tell what it does with a thing it never met.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nncore.data.strokes.glyphs import LETTERS, NEW_LETTERS, NEW_SIGNS, SIGNS
from nncore.data.strokes.skeletons import written
from nncore.types import Array

PAD = 280  # pixels, its side
MARGIN = 10  # pixels along the sides of the pad that the pen's middle keeps clear of
STEP = 0.08  # from one point of a stroke to the next


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


def _glyph(table: dict[str, str]) -> Callable[[np.random.Generator], list[Array]]:
    """One of the table's letters or signs, its corners as they stand there or rounded."""
    paths = [
        [[corner.split(",") for corner in stroke.split()] for stroke in path.split(" / ")] for path in table.values()
    ]

    def draw(rng: np.random.Generator) -> list[Array]:
        corners = [np.array(stroke, np.float64) / 50 - 1 for stroke in paths[rng.integers(len(paths))]]
        rounded = rng.random() < 0.5
        corners = [stroke + rng.normal(0, 0.05, stroke.shape) for stroke in corners]
        return [curve(stroke) if rounded else _line(stroke) for stroke in corners]

    return draw


def _doodle(rng: np.random.Generator) -> list[Array]:
    """A line that wanders about, with more turns than any digit has."""
    return [curve(rng.uniform(-1, 1, (rng.integers(8, 16), 2)))]


def _polyline(rng: np.random.Generator) -> list[Array]:
    return [_line(rng.uniform(-1, 1, (rng.integers(6, 12), 2)))]


def _twigs(rng: np.random.Generator) -> list[Array]:
    """Short strokes, straight or bent, each growing from somewhere on those before."""
    strokes: list[Array] = []
    points = np.zeros((1, 2))
    for _ in range(rng.integers(4, 9)):
        steps = rng.normal(0, 0.4, (rng.integers(1, 4), 2)).cumsum(axis=0)
        strokes.append(curve(points[rng.integers(len(points))] + np.concatenate([np.zeros((1, 2)), steps])))
        points = np.concatenate(strokes)
    return strokes


def _hatching(rng: np.random.Generator) -> list[Array]:
    """Lines side by side, crossed by others."""
    places = np.linspace(-1, 1, rng.integers(3, 7))
    across = [_line(np.array([[-1, at], [1, at]]) + rng.normal(0, 0.06, (2, 2))) for at in places]
    down = [stroke[:, ::-1] * rng.uniform(0.6, 1) for stroke in across]
    return across + down


def _rings(rng: np.random.Generator) -> list[Array]:
    """Circles within or across one another."""
    angle = np.linspace(0, 2 * np.pi, 50)
    if rng.random() < 0.5:
        return [
            _round(angle, np.full(50, radius)) for radius in np.linspace(rng.uniform(0.2, 0.5), 1, rng.integers(2, 5))
        ]
    middles = rng.uniform(-0.8, 0.8, (rng.integers(3, 6), 2))
    return [_round(angle, np.full(50, rng.uniform(0.3, 0.6))) + middle for middle in middles]


def _wheel(rng: np.random.Generator) -> list[Array]:
    """A ring with spokes, or with some smaller rings in it."""
    rim = _round(np.linspace(0, 2 * np.pi, 60), np.ones(60))
    if rng.random() < 0.5:
        angles = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi, rng.integers(3, 9), endpoint=False)
        hub, end = rng.choice([0, 0.3]), rng.uniform(0.6, 1)
        return [rim, *(_line(_round(np.full(2, angle), np.array([hub, end]))) for angle in angles)]
    small = _round(np.linspace(0, 2 * np.pi, 20), np.full(20, rng.uniform(0.04, 0.22)))
    return [rim, *(small + middle for middle in rng.uniform(-0.55, 0.55, (rng.integers(2, 7), 2)))]


def _framed(rng: np.random.Generator) -> list[Array]:
    """A digit or a letter in a ring or a box."""
    inner = written(rng)[1] if rng.random() < 0.6 else _glyph(LETTERS)(rng)
    points = np.concatenate(inner)
    middle, side = (points.min(axis=0) + points.max(axis=0)) / 2, np.ptp(points, axis=0).max()
    frame = _round(np.linspace(0, 2 * np.pi, 60), np.ones(60)) if rng.random() < 0.6 else _polygon(rng, corners=4)
    return [frame, *((stroke - middle) / side * rng.uniform(0.9, 1.2) for stroke in inner)]


def _crossed_out(rng: np.random.Generator) -> list[Array]:
    """A digit that somebody thought better of."""
    _, digit = written(rng)
    points = np.concatenate(digit)
    low, high = points.min(axis=0), points.max(axis=0)
    if rng.random() < 0.5:
        ends = np.array([[[0, 0], [1, 1]], [[1, 0], [0, 1]]])
        return digit + [_line(low + (high - low) * (cross + rng.normal(0, 0.08, (2, 2)))) for cross in ends]
    turns = rng.integers(6, 11)
    x = np.where(np.arange(turns) % 2, 1.15, -0.15) + rng.normal(0, 0.08, turns)
    y = np.linspace(rng.uniform(0.1, 0.3), rng.uniform(0.6, 0.9), turns)
    return [*digit, _line(low + (high - low) * np.stack([x, y], axis=1))]


def _two_digits(rng: np.random.Generator) -> list[Array]:
    """Two digits side by side, the second moved to the left until it touches the first."""
    (_, first), (_, second) = written(rng), written(rng)
    fixed, moved = np.concatenate(first), np.concatenate(second)
    moved = moved + np.array([1, rng.normal(0, 0.08)])
    # Ink touches where the pen's middle passes closer than its width, here that of a pen of 8 pixels at the least
    while np.hypot(*(fixed[:, None] - moved).transpose(2, 0, 1)).min() > 0.04:
        moved = moved - [0.02, 0]
    return first + np.split(moved, np.cumsum([len(stroke) for stroke in second])[:-1])


SEEN: dict[str, Callable[[np.random.Generator], list[Array]]] = {
    "dot": _dot,
    "scribble": _scribble,
    "zigzag": _zigzag,
    "doodle": _doodle,
    "polyline": _polyline,
    "twigs": _twigs,
    "hatching": _hatching,
    "rings": _rings,
    "wheel": _wheel,
    "framed": _framed,
    "outline": _outline,
    "filled shape": _filled,
    "noise": _noise,
    "letter": _glyph(LETTERS),
    "sign": _glyph(SIGNS),
    "two digits": _two_digits,
    "crossed-out digit": _crossed_out,
}
UNSEEN: dict[str, Callable[[np.random.Generator], list[Array]]] = {
    "blank": _blank,
    "spiral": _spiral,
    "smiley": _smiley,
    "new letter": _glyph(NEW_LETTERS),
    "new sign": _glyph(NEW_SIGNS),
}
KINDS = SEEN | UNSEEN


def _round(angle: Array, radius: Array) -> Array:
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)


def _line(corners: Array) -> Array:
    """The straight lines from corner to corner as points: (C, 2) -> (P, 2)."""
    pieces = [np.linspace(a, b, max(int(np.hypot(*(b - a)) / STEP), 1), endpoint=False) for a, b in pairwise(corners)]
    return np.concatenate([*pieces, corners[-1:]])


def curve(corners: Array) -> Array:
    """A smooth line through the corners (Catmull & Rom, 1974): (C, 2) -> (P, 2)."""
    a, b, c, d = (
        np.concatenate([corners[:1], corners, corners[-1:]])[k : k + len(corners) - 1, None] for k in range(4)
    )
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    points = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([points.reshape(-1, 2), corners[-1:]])


def _onto_pad(strokes: list[Array], kind: str, rng: np.random.Generator) -> list[Array]:
    """Bend and turn a drawing as a hand would, scale its longer side to 45 to 85 % of the pad, and put it there."""
    points = np.concatenate(strokes)
    waves, phase = rng.normal(0, 1.5, (2, 4)), rng.uniform(0, 2 * np.pi, 4)
    points = points + np.sin(points @ waves + phase) @ rng.normal(0, 0.03, (4, 2))
    points = points * [np.exp(rng.normal(0, 0.12)), 1] + points[:, 1:] * [rng.normal(0, 0.12), 0]
    angle = rng.normal(0, 0.1)
    points = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    low, high = points.min(axis=0), points.max(axis=0)
    size = PAD * (0.01 if kind == "dot" else rng.uniform(0.45, 0.85))
    scale = size / max(*(high - low), 1e-9) if len(points) > 1 else 0
    points = (points - low) * scale
    room = PAD - 2 * MARGIN - points.max(axis=0)
    points = points + MARGIN + rng.random(2) * room
    return np.split(points, np.cumsum([len(stroke) for stroke in strokes])[:-1])
