"""The way from a picture to what the network sees, as a picture: what each step makes of three examples."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nncore.data.strokes.drawn import draw
from nncore.data.strokes.outliers import PAD
from nncore.data.strokes.photos import photo
from nncore.data.strokes.unipen import Drawing
from nncore.reading.ink import read_ink
from nncore.reading.preprocess import FRAME, find_digits, thin_strokes
from nncore.training.plots import FAINT, TRAIN, VALIDATION, note, picture
from nncore.types import Array, Bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("picture", "ink", "digits found", "strokes thinned", "28 x 28, balanced")
CHOSEN = (3, 9), (2, 11), (5, 0), (7, 12)  # digits that show what there is to see, and which of their drawings
GAP = 0.15  # between digits of one picture, of their size


def examples(drawings: Sequence[Drawing]) -> dict[str, Image.Image]:
    """A canvas with a thick pen, a photo of paper ruled and in the shade, and two digits, from the writers' strokes."""
    by_label = [[drawing.strokes for drawing in drawings if drawing.label == label] for label in range(10)]
    three, two, five, seven = (by_label[label][i % len(by_label[label])] for label, i in CHOSEN)
    two, seven = _placed(two, 40, 75, 105), _placed(seven, 116, 80, 110)
    return {
        "a thick pen": _canvas(_placed(three, 90, 90, 95), 28),
        "a photo": photo(five, np.random.default_rng(14), "ball pen"),
        "two digits": _canvas([*two, *seven], 10),
    }


def _placed(strokes: Sequence[Array], left: float, top: float, hthree: float) -> list[Array]:
    points = np.concatenate(strokes)
    low, scale = points.min(axis=0), hthree / np.ptp(points[:, 1])
    return [(stroke - low) * scale + [left, top] for stroke in strokes]


def _canvas(strokes: Sequence[Array], pen: float) -> Image.Image:
    return Image.fromarray(255 - draw(strokes, pen, PAD))


def draw_steps(drawings: Sequence[Drawing], path: Path) -> None:
    """Write the picture: a row for each example, a column for each step. OptionError where matplotlib is missing."""
    shown = examples(drawings)
    with picture(path, "From a picture to what the network sees", 10, 0.9 + 2 * len(shown)) as figure:
        grid = figure.subplots(len(shown), len(COLUMNS))
        for axes, name in zip(grid[0], COLUMNS, strict=True):
            axes.set_title(name, loc="center", fontsize=10)
        for row, (name, example) in zip(grid, shown.items(), strict=True):
            row[0].set_ylabel(name, fontsize=10)
            _steps(row, example)
        note(figure, "Ink is dark here, and bright for the network. Lines: the middle, where the ink balances.")


def _steps(row: Sequence["Axes"], example: Image.Image) -> None:
    from matplotlib.patches import Rectangle

    file = io.BytesIO()
    example.save(file, "PNG")
    file.seek(0)
    ink, _ = read_ink(file)
    found = find_digits(ink)
    row[0].imshow(example, cmap="gray", vmin=0, vmax=255)
    row[1].imshow(ink, cmap="Greys", vmin=0, vmax=255)
    for digit in found:
        left, top, width, hthree = digit.box
        row[1].add_patch(Rectangle((left, top), width, hthree, fill=False, edgecolor=TRAIN))
    _tiles(row[2], [digit.ink for digit in found])
    _tiles(row[3], [thin_strokes(digit.ink) for digit in found])
    _tiles(row[4], [digit.image for digit in found])
    for i in range(len(found)):
        middle = (14.5 / FRAME, i * (1 + GAP) + 14.5 / FRAME)
        row[4].plot([i * (1 + GAP), i * (1 + GAP) + 1], [middle[0]] * 2, color=VALIDATION, linewidth=0.7)
        row[4].plot([middle[1]] * 2, [0, 1], color=VALIDATION, linewidth=0.7)
    for axes in row:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=axes in row[:2], color=FAINT)


def _tiles(axes: "Axes", images: Sequence[Bytes]) -> None:
    """Images side by side, the longer side of each 1 long, with a frame around."""
    from matplotlib.patches import Rectangle

    for i, image in enumerate(images):
        hthree, width = np.array(image.shape) / max(image.shape)
        left, top = i * (1 + GAP) + (1 - width) / 2, (1 - hthree) / 2
        axes.imshow(image, cmap="Greys", vmin=0, vmax=255, extent=(left, left + width, top + hthree, top))
        axes.add_patch(Rectangle((i * (1 + GAP), 0), 1, 1, fill=False, edgecolor=FAINT))
    axes.set(xlim=(-0.02, len(images) * (1 + GAP) - GAP + 0.02), ylim=(1.02, -0.02), aspect="equal")
