"""Digits drawn by program, so that training runs where no data set can be had.

Each image begins as a path from `skeletons.py`, one of the styles in which people write its digit. The hand then does
its part: control points stray, curves tighten or slacken, the whole is stretched, slanted, turned and bent. A round pen
of uneven pressure follows the path, and the drawing is placed as MNIST places its own: the longer side of the ink is
20 pixels, its centre of mass is put in the middle of 28x28 to the nearest pixel.
"""

from functools import cache

import numpy as np

from nncore import kernels
from nncore.data.skeletons import Skeletons, skeletons
from nncore.errors import OptionError
from nncore.types import Array, Bytes, Integers, Mask

SIZE, BOX = 28, 20  # pixels: the image, and the square that the ink just fits
BLOCK = 1000  # images that share one random generator: image i depends on the seed and on i, not on how many follow


def synthetic_digits(count: int, seed: int) -> tuple[Bytes, Bytes]:
    """Draw `count` digits: images (count, 28, 28), 0 paper to 255 ink, and labels (count,), both uint8.

    The same seed gives the same digits, and a larger count only adds to them. Every thousand holds a hundred of each
    digit, shuffled. Raises OptionError if count or seed is negative.
    """
    for name, value in (("count", count), ("seed", seed)):
        if value < 0:
            raise OptionError(f"synthetic digits: {name} is {value}; give 0 or more")
    images, labels = np.empty((count, SIZE, SIZE), np.uint8), np.empty(count, np.uint8)
    for start in range(0, count, BLOCK):
        block = slice(start, min(start + BLOCK, count))
        images[block], labels[block] = _block(np.random.default_rng([seed, start // BLOCK]), block.stop - start)
    return images, labels


_skeletons = cache(skeletons)


def _block(rng: np.random.Generator, count: int) -> tuple[Bytes, Bytes]:
    """The first `count` digits of a block. All random numbers are drawn for the whole block, whatever the count."""
    table = _skeletons()
    labels = rng.permutation(np.arange(BLOCK) % 10)
    style = _styles(table, labels, rng)
    points = _paths(table, style, rng)
    radius, softness = _pen(table.pen[style], rng)
    points = _fit_box(points, radius, softness)
    tone = rng.uniform(0.9, 1.2, (BLOCK, 1, 1))  # the ink of some pens does not quite cover, that of others floods
    grain = rng.normal(1, 0.03, (BLOCK, BOX, BOX))
    points, radius, softness = (a[:count].astype(np.float32) for a in (points, radius, softness))
    ink = kernels.draw_strokes(points, radius, softness, BOX)
    ink = np.minimum(ink * tone[:count] * grain[:count], 1)
    ink *= 255 / np.maximum(ink.max((1, 2), keepdims=True), 1e-6)
    return _place(np.rint(ink).astype(np.uint8)), labels[:count].astype(np.uint8)


def _styles(table: Skeletons, labels: Integers, rng: np.random.Generator) -> Integers:
    """A style for each label, by the shares of the table: (N,) -> (N,)."""
    ends = np.cumsum(table.share)  # the styles of digit d lie between d and d + 1
    return np.minimum(np.searchsorted(ends, labels + rng.random(len(labels)), side="right"), len(ends) - 1)


def _paths(table: Skeletons, style: Integers, rng: np.random.Generator) -> Array:
    """Paths as somebody might have drawn them, (N, P, 2) in units of about 1, their middle near 0."""
    n = len(style)

    def each(draw: Array) -> Array:
        return draw[:, None, None]

    care = each(rng.lognormal(np.log(0.04), 0.4, n))  # how far control points stray
    controls = table.controls[style] + care * rng.normal(size=(n, *table.controls.shape[1:]))
    straight, cornered, smooth = (b[style] @ controls for b in (table.straight, table.cornered, table.smooth))
    rounding = each(rng.random(n) ** 2)
    curvature = each(rng.uniform(0.5, 1.15, n))
    curve = cornered + rounding * (smooth - cornered)
    points = _wobble(straight + curvature * (curve - straight) - 0.5, rng)

    width = np.exp(rng.normal(np.log(0.75), 0.2, n))
    slant, angle = rng.normal(0.15, 0.25, n), rng.normal(0, 0.12, n)
    cos, sin = np.cos(angle), np.sin(angle)
    stretch = np.array([[width, -slant], [0 * width, 0 * width + 1]])
    turn = np.array([[cos, -sin], [sin, cos]])
    drawn: Array = points @ np.einsum("ijn,jkn->nki", turn, stretch)
    return drawn


def _wobble(points: Array, rng: np.random.Generator) -> Array:
    """Bend the plane by a few long random waves."""
    n, waves = len(points), 4
    direction = rng.normal(0, 3, (n, waves, 2))
    phase = rng.uniform(0, 2 * np.pi, (n, waves))
    height = rng.normal(0, 0.03, (n, waves, 2))
    wave: Array = np.sin(points @ direction.transpose(0, 2, 1) + phase[:, None]) @ height
    bent: Array = points + wave
    return bent


def _pen(down: Mask, rng: np.random.Generator) -> tuple[Array, Array]:
    """Radius at each point (N, P), 0 where lifted, and softness of the edge (N,), in pixels of the final image."""
    n, p = down.shape
    width = np.clip(rng.normal(2.6, 0.7, n), 1.2, 5)
    along = np.arange(p)
    cycle, phase = rng.uniform(20, 60, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
    pressure = 1 + rng.uniform(0, 0.2, (n, 1)) * np.sin(2 * np.pi * along / cycle + phase)
    pressure += rng.normal(0, 0.04, (n, p))
    return np.where(down, np.maximum(width[:, None] / 2 * pressure, 0.3), 0), np.asarray(rng.uniform(0.9, 1.6, n))


def _fit_box(points: Array, radius: Array, softness: Array) -> Array:
    """Scale and shift paths so that the longer side of the ink, edges included, just fits the BOX."""
    edge = (radius + softness[:, None] / 2)[..., None]
    low, high = points.min(1, keepdims=True), points.max(1, keepdims=True)
    margin = edge.max(1, keepdims=True)
    scale = (BOX - 2 * margin) / (high - low).max(2, keepdims=True)
    return (points - (low + high) / 2) * scale + BOX / 2


def _place(ink: Bytes) -> Bytes:
    """Paste drawings (N, BOX, BOX) into empty images so that their centre of mass is in the middle.

    The rounding is MNIST's, as its makers' procedure was reconstructed for QMNIST (Yadav and Bottou, 2019).
    """
    n = len(ink)
    images = np.zeros((n, SIZE, SIZE), np.uint8)
    centre = np.arange(BOX) + 0.5
    mass = ink.sum((1, 2), dtype=np.float64)
    row, column = (ink.sum(axis, dtype=np.float64) @ centre / mass for axis in (2, 1))
    top, left = (
        np.clip((SIZE / 2 + 1 - b).astype(int), 0, SIZE - BOX)[:, None] + np.arange(BOX) for b in (row, column)
    )
    images[np.arange(n)[:, None, None], top[:, :, None], left[:, None, :]] = ink
    return images
