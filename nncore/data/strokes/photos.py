"""Pictures of handwriting as phones and scanners make them: paper or a board, light that is uneven, lines, blur, noise.

No photos are collected: the strokes of a pen are drawn onto a page by program, and the page is lit and photographed by
program. Paper and ink are shares of the light that they send back; the light falls on them as a whole; the camera adds
what cameras add. The numbers were set by eye.
"""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from nncore.data.strokes.drawn import draw
from nncore.types import Array

SHORTEST, LONGEST = 400, 800  # pixels: the sides of a picture
SMALLEST, LARGEST = 0.25, 0.6  # of the shorter side: the longer side of what is written
MARGIN = 0.06  # of the shorter side: what the ink keeps away from the edges of the picture
SCANNED = 0.25  # of the pictures on paper: no perspective, no shadows, sharp

Colour = tuple[float, float, float]  # red, green, blue, each a share of the light, 0 to 1


class Pen(NamedTuple):
    """What is written with, and on what."""

    width: tuple[float, float]  # of the longer side of what is written: from, to
    inks: tuple[Colour, ...]
    cover: tuple[float, float]  # how much of the page the ink hides, 0 to 1: from, to
    grain: float  # how much of the ink may be missing where the page is rough
    pages: tuple[Colour, ...]


PAPERS = ((0.96, 0.96, 0.96), (0.94, 0.92, 0.86), (0.86, 0.85, 0.82), (0.95, 0.92, 0.72), (0.84, 0.90, 0.94))
BOARDS = ((0.20, 0.32, 0.26), (0.23, 0.24, 0.25), (0.17, 0.27, 0.41))
BLACK, BLUE, RED, GREEN = (0.09, 0.09, 0.11), (0.09, 0.16, 0.50), (0.62, 0.10, 0.14), (0.06, 0.38, 0.20)
PENS = {
    "pencil": Pen((0.04, 0.09), ((0.24, 0.24, 0.26),), (0.6, 0.85), 0.4, PAPERS),
    "ball pen": Pen((0.035, 0.09), (BLUE, BLUE, BLACK, RED), (0.8, 0.95), 0.15, PAPERS),
    "felt pen": Pen((0.08, 0.18), (BLACK, BLACK, BLUE, RED, GREEN), (0.9, 1.0), 0.05, PAPERS),
    "chalk": Pen((0.06, 0.13), ((0.94, 0.94, 0.90), (0.95, 0.88, 0.52)), (0.7, 0.9), 0.5, BOARDS),
}


def photo(strokes: Sequence[Array], rng: np.random.Generator, pen: str | None = None) -> Image.Image:
    """A picture of one page with these strokes on it, RGB, its sides 400 to 800 pixels.

    strokes: each (points, 2), x and y in any unit, y downwards. pen: one of PENS, at random if None. The same strokes
    and an `rng` in the same state give the same picture.
    """
    tool = PENS[pen or rng.choice(list(PENS), p=[0.25, 0.35, 0.25, 0.15])]
    on_paper, scanned = tool.pages is PAPERS, tool.pages is PAPERS and rng.random() < SCANNED
    width, height = (int(side) for side in rng.integers(SHORTEST, LONGEST + 1, 2))
    view = _View(width, height, rng, 0.02 if scanned else 0.12)

    page = np.array(tool.pages[rng.integers(len(tool.pages))]) * _texture(width, height, rng)[..., None]
    if on_paper and rng.random() < 0.6:
        page = _covered(page, _ruled(view, rng), (0.45, 0.55, 0.75), rng.uniform(0.15, 0.4))
    ink = _written(strokes, view, rng.uniform(*tool.width), rng)
    ink = ink * (1 - tool.grain * np.clip(_noise(width, height, 2, rng), 0, 1))
    page = _covered(page, ink, tool.inks[rng.integers(len(tool.inks))], rng.uniform(*tool.cover))

    lit = page * _light(view, rng, scanned)[..., None] * (1 + rng.uniform(-0.06, 0.06, 3))  # lamps are not white
    return _photographed(lit, rng, scanned)


class _View:
    """From a page's own pixels to those of the picture: turned a little, and seen a little from the side."""

    def __init__(self, width: int, height: int, rng: np.random.Generator, tilt: float) -> None:
        self.width, self.height, self.side = width, height, min(width, height)
        angle = np.radians(np.clip(rng.normal(0, 4), -10, 10))
        self._turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self._tilt = rng.uniform(-tilt, tilt, 2) / max(width, height)

    def __call__(self, points: Array) -> Array:
        """Points (P, 2) of the page, its origin in the middle -> points (P, 2) of the picture, its origin top left."""
        turned = points @ self._turn.T
        seen: Array = turned / (1 + turned @ self._tilt)[:, None] + [self.width / 2, self.height / 2]
        return seen


def _written(strokes: Sequence[Array], view: _View, pen: float, rng: np.random.Generator) -> Array:
    """Where there is ink, (height, width), 0 to 1; `pen` is its width as a share of the longer side of the drawing."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    size = view.side * rng.uniform(SMALLEST, LARGEST)
    picture = np.array([view.width, view.height])
    middle = rng.uniform(-0.5, 0.5, 2) * picture
    points = view((points - (low + high) / 2) * (size / max(*(high - low), 1e-9)) + middle)
    margin = MARGIN * view.side + pen * size
    # Whatever is too near to an edge is moved away from it
    shift = np.maximum(margin - points.min(axis=0), 0) + np.minimum(picture - margin - points.max(axis=0), 0)
    placed = np.split(points + shift, np.cumsum([len(stroke) for stroke in strokes])[:-1])
    return _drawn(placed, pen * size, view)


def _drawn(lines: Sequence[Array], pen: float, view: _View) -> Array:
    """Lines by a round pen, (height, width), 0 to 1."""
    return draw(lines, pen, view.width, view.height) / np.float32(255)


def _ruled(view: _View, rng: np.random.Generator) -> Array:
    """The lines of ruled or squared paper, (height, width), 0 to 1."""
    reach, pitch = view.width + view.height, view.side * rng.uniform(0.06, 0.16)
    places = np.arange(-reach, reach, pitch)
    lines = [np.array([[-reach, at], [reach, at]]) for at in places]
    if rng.random() < 0.5:
        lines += [line[:, ::-1] for line in lines]
    return _drawn([view(line) for line in lines], rng.uniform(1, 2), view)


def _covered(page: Array, ink: Array, colour: Colour, cover: float) -> Array:
    """A page (H, W, 3) with ink (H, W) of some colour on it."""
    hidden = (cover * ink)[..., None]
    covered: Array = page * (1 - hidden) + np.array(colour) * hidden
    return covered


def _light(view: _View, rng: np.random.Generator, scanned: bool) -> Array:
    """How bright the light is everywhere, (height, width): from one side, and perhaps with the shadow of a hand."""
    y, x = np.mgrid[: view.height, : view.width] / max(view.width, view.height) - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    fall = rng.uniform(0, 0.03 if scanned else 0.5)
    light = 1 - fall * (0.5 + x * np.cos(angle) + y * np.sin(angle))
    light *= 1 - rng.uniform(0, 0.02 if scanned else 0.4) * (x * x + y * y)
    if not scanned and rng.random() < 0.4:
        angle, at = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4)
        distance = x * np.cos(angle) + y * np.sin(angle) - at + rng.uniform(0, 0.1) * np.sin(9 * y)
        light *= 1 - rng.uniform(0.15, 0.5) / (1 + np.exp(-distance / rng.uniform(0.005, 0.05)))
    lit: Array = light
    return lit


def _texture(width: int, height: int, rng: np.random.Generator) -> Array:
    """How a page varies: (height, width), about 1; fine grain and larger, fainter spots."""
    return 1 + rng.uniform(0.003, 0.02) * _noise(width, height, 2, rng) + 0.02 * _noise(width, height, 60, rng)


def _noise(width: int, height: int, scale: int, rng: np.random.Generator) -> Array:
    """A smooth random surface, (height, width), of mean 0 and deviation about 1, its hills `scale` pixels apart."""
    coarse = rng.standard_normal((height // scale + 2, width // scale + 2), np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _photographed(scene: Array, rng: np.random.Generator, scanned: bool) -> Image.Image:
    """What a camera makes of a scene (H, W, 3): exposed for its brightest parts, blurred, with noise, and a JPEG."""
    exposure = rng.uniform(0.95, 1) if scanned else rng.uniform(0.65, 1.05)
    bright = np.quantile(scene[::4, ::4], 0.99)
    picture = Image.fromarray(np.clip(scene * (255 * exposure / bright), 0, 255).astype(np.uint8))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8) if scanned else rng.uniform(0.4, 2)))
    noise = rng.uniform(0.5, 2 if scanned else 6) * rng.standard_normal((*scene.shape[:2], 3), np.float32)
    picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(rng.integers(35, 95)))
    return Image.open(file).convert("RGB")
