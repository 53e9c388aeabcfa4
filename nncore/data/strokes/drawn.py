"""Strokes of a pen as the network sees them: drawn on a pad, found there, 28 x 28.

What people draw in the demo are strokes on a pad of 280 pixels, by pens of their choice. So that a network trained on
drawings sees in training what it will see there, strokes go the whole way: pad, pen, `find_digits`.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from nncore.data.strokes.outliers import MARGIN, PAD, SEEN, curve, outliers
from nncore.data.strokes.unipen import Drawing
from nncore.reading.preprocess import Found, find_digits
from nncore.types import Array, Bytes

FINER = 2  # a page is drawn so many times as large and averaged, for soft edges
SMALLEST, LARGEST = 0.45, 0.85  # of the pad: the longer side of a digit
THINNEST, THICKEST = 6, 32  # pixels: the pens of the training set
HALF = 0.5  # pads of the training set are half as large: sooner drawn, and all the same in the end
NOT_A_DIGIT = 10  # the label of things that are none
# What else is drawn in training, in turn: letters and signs are the richest kinds
OUTLIERS = ("letter",) * 4 + ("sign",) * 3 + ("doodle", "polyline", "two digits", "crossed-out digit") + tuple(SEEN)


def draw(strokes: Iterable[Array], pen: float, width: int = PAD, height: int = PAD) -> Bytes:
    """The strokes on an empty page, by a round pen: (height, width), 0 paper to 255 ink.

    strokes: each (points, 2), x and y in pixels of the page. pen: its width in pixels.
    """
    page = Image.new("L", (width * FINER, height * FINER))
    canvas, thick = ImageDraw.Draw(page), pen * FINER
    for stroke in strokes:
        points = [(float(x), float(y)) for x, y in stroke * FINER]
        canvas.line(points, fill=255, width=max(1, round(thick)))
        for x, y in points:  # Pillow's own joints leave cracks between points that lie close together
            canvas.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)
    return np.asarray(page.reduce(FINER))


def on_pad(strokes: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    """A drawing of any size as large as people draw on the pad, anywhere on it."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = PAD * rng.uniform(SMALLEST, LARGEST) / max(*(high - low), 1)
    corner = MARGIN + rng.random(2) * (PAD - 2 * MARGIN - (high - low) * scale)
    return [(stroke - low) * scale + corner for stroke in strokes]


def training_digits(drawings: Sequence[Drawing], renderings: int, seed: int) -> tuple[Bytes, Bytes]:
    """Each drawing `renderings` times, by as many pens and slightly other hands: images (N, 28, 28), labels (N,).

    What falls into several digits on the pad is left out (a 5 whose roof is far off, one in a thousand).
    """
    images, labels = [], []
    for round_ in range(renderings):
        for i, drawing in enumerate(drawings):
            rng = np.random.default_rng([seed, round_, i])
            found = _as_in_training(on_pad(_by_another_hand(drawing.strokes, rng), rng), rng)
            if len(found) == 1:
                images.append(found[0].image)
                labels.append(drawing.label)
    return np.array(images, np.uint8).reshape(-1, 28, 28), np.array(labels, np.uint8)


def training_outliers(count: int, seed: int) -> Bytes:
    """Images (N, 28, 28) of things that are no digit, N at most `count`: what falls apart on the pad is left out."""
    images = []
    for i, thing in enumerate(outliers(count, seed, OUTLIERS)):
        found = _as_in_training(thing.strokes, np.random.default_rng([seed, i]))
        if len(found) == 1:
            images.append(found[0].image)
    return np.array(images, np.uint8).reshape(-1, 28, 28)


def _as_in_training(strokes: Iterable[Array], rng: np.random.Generator) -> list[Found]:
    """What is found on a pad with these strokes, drawn with a pen of random width."""
    pen = np.exp(rng.uniform(np.log(THINNEST), np.log(THICKEST)))
    side = round(PAD * HALF)
    return find_digits(draw([stroke * HALF for stroke in strokes], pen * HALF, side, side))


def _by_another_hand(strokes: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    """Turned, slanted and widened a little, and smooth: the tablet told ten points a second only."""
    angle, slant, width = rng.normal(0, 0.08, 3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ [[np.exp(width), slant], [0, 1]]
    return [curve(stroke @ matrix.T) for stroke in strokes]
