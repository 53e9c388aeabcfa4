"""From the ink in a picture to the digits in it, each as the 28 x 28 that the network expects.

    picture file -> pictures.read_ink -> ink -> find_digits -> (28, 28) uint8 each -> network_input -> float32, 0 to 1

Several digits are told apart first. Then each is made what MNIST's are. Those were not photographed at 28 x 28: they
are ink, scaled to fit 20 x 20 and moved to where it balances, from pens of about one width. A digit that is not treated
likewise is one the network has never seen. The steps are those which Yadav & Bottou, "Cold case: the lost MNIST
digits", NeurIPS 2019 (github.com/facebookresearch/qmnist), found to come closest to MNIST itself. Reading 1,500 digits
of 30 writers, drawn small with a pen of 28 pixels on a canvas of 280, the reference network is right in 48 % when the
canvas is merely resized, in 83 % after these steps, and in 94 % when the strokes are thinned before (measured by
`benchmarks/studies/recognition.py`; `docs/recognition.md` tells the whole story).
"""

from dataclasses import dataclass

import numpy as np

from nncore.errors import ShapeError
from nncore.reading.components import components, widened
from nncore.reading.ink import FAINTEST
from nncore.types import Array, Bytes, Integers, Mask

FRAME = 28  # pixels, the side of the result
BOX = 20  # pixels, the longer side of the ink in it
SMALLEST = 10  # pixels: smaller ink is not enlarged further than this would be, so that a dot stays a dot
WIDEST_STROKE = 2.6  # pixels in that box, MNIST's average
MAX_DIGITS = 32
MAX_STROKES = 128  # that are looked at
SPECK = 0.1  # of the longer side of the largest stroke: a smaller stroke is noise
SCRAP = 0.25  # of the longer side of the largest digit: what is smaller and joined to no digit is none


@dataclass(frozen=True)
class Found:
    """One digit found in a picture."""

    box: tuple[int, int, int, int]  # left, top, width, height, in pixels of the ink
    ink: Bytes  # (height, width), the digit's own ink only, 0 elsewhere
    image: Bytes  # (28, 28), what the network sees


def find_digits(ink: Bytes) -> list[Found]:
    """The digits of a picture in reading order, at most 32; none where there is no ink. ink: (H, W), 0 on the paper.

    1. Strokes are the connected components of the ink. Specks and scraps beside them are noise.
    2. Strokes that lie over one another are one digit; digits that stand side by side are told apart even where their
       boxes overlap, as long as they do not touch.
    3. Each digit's ink is thinned (`thin_strokes`) and centred (`centre_digit`).
    4. Digits side by side make a row, read from left to right; the rows are read from the top.
    """
    if ink.ndim != 2:
        raise ShapeError(f"find_digits: got an array of shape {ink.shape}; expected one grey picture, (H, W)")
    labels, boxes = components(ink >= FAINTEST)
    if not len(boxes):
        return []
    kept = _without_specks(boxes)
    groups = _groups(boxes[kept])
    specks, faint = -1, -2
    digit_of = np.full(len(boxes) + 1, specks)
    digit_of[0] = faint
    digit_of[kept + 1] = groups
    found = []
    for digit in range(groups.max(initial=-1) + 1):
        members = boxes[kept[groups == digit]]
        top, left = members[:, :2].min(axis=0)
        bottom, right = members[:, 2:].max(axis=0)
        inside = slice(top, bottom), slice(left, right)
        owner = digit_of[labels[inside]]
        others = (owner != digit) & (owner != faint)
        own = np.where(widened(others) & (owner != digit), 0, ink[inside]).astype(np.uint8)
        box = int(left), int(top), int(right - left), int(bottom - top)
        found.append(Found(box, own, centre_digit(thin_strokes(own))))
    return _in_reading_order(found)


def _without_specks(boxes: Integers) -> Integers:
    """Which strokes to keep: the largest ones, and none that is tiny beside the largest."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    kept = np.argsort(-sides, kind="stable")[:MAX_STROKES]
    kept = kept[sides[kept] >= SPECK * sides.max(initial=0)]
    return np.sort(kept)


def _groups(boxes: Integers) -> Integers:
    """Which digit each stroke belongs to, 0, 1, ...: a stroke joins the taller one that it lies over or under the most.

    Strokes of one digit lie over one another (a 5 and its cap) or inside one another; digits stand side by side. So
    the more level two strokes are, the more of the narrower one's width they must share. The line between was drawn
    through pairs of strokes of the 30 writers, and pairs of their digits set closely side by side, slanted or not.
    """
    order = np.argsort(boxes[:, 0] - boxes[:, 2], kind="stable")
    top, left, bottom, right = boxes[order].T
    width, height = right - left, bottom - top
    shared = (np.minimum(right[:, None], right) - np.maximum(left[:, None], left)) / np.minimum(width[:, None], width)
    level = (np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)) / np.maximum(height[:, None], height)
    margin = shared - np.clip(2.5 * (level - 0.4), 0, 0.95)
    margin[level < -0.25] = -1  # a row below
    margin[np.triu_indices(len(boxes))] = -1  # not taller
    taller = np.where(margin.max(axis=1, initial=-1) > 0, margin.argmax(axis=1), np.arange(len(boxes)))
    while (taller != taller[taller]).any():
        taller = taller[taller]
    groups = np.empty(len(boxes), np.int64)
    groups[order] = np.unique(taller, return_inverse=True)[1]
    return groups


def _in_reading_order(found: list[Found]) -> list[Found]:
    """Rows from the top, each from left to right; a row holds what its first, topmost digit stands level with."""
    largest = sorted(found, key=lambda digit: -max(digit.box[2:]))[:MAX_DIGITS]
    digits = [digit for digit in largest if max(digit.box[2:]) >= SCRAP * max(largest[0].box[2:])]
    waiting = sorted(digits, key=lambda digit: digit.box[1])
    ordered: list[Found] = []
    while waiting:
        bottom = waiting[0].box[1] + waiting[0].box[3]
        row = [digit for digit in waiting if digit.box[1] + digit.box[3] / 2 < bottom]
        ordered += sorted(row, key=lambda digit: digit.box[0] + digit.box[2] / 2)
        waiting = [digit for digit in waiting if digit.box[1] + digit.box[3] / 2 >= bottom]
    return ordered


def thin_strokes(ink: Bytes) -> Bytes:
    """Ink (H, W) as a thinner pen would have drawn it, where its strokes are thicker than most of MNIST's.

    The width of a stroke is its area over its length, and its length is half its outline's; the outline's is the sum of
    all differences between neighbouring pixels (the total variation), which blur does not change. What exceeds the
    width allowed is worn away from both sides, by one pixel and then by a fraction of one.
    """
    box = ink[_box(ink > 0)]
    if not box.size:
        return ink
    grey = np.pad(box, 1).astype(np.float32)
    down, right = np.diff(grey, axis=0)[:, :-1], np.diff(grey, axis=1)[:-1]
    stroke_width = 2 * grey.sum() / np.sqrt(down * down + right * right).sum()
    excess = float(stroke_width - WIDEST_STROKE * max(box.shape) / BOX) / 2
    if excess <= 0:
        return ink
    worn = np.pad(box, 1)
    for step in range(int(excess)):
        worn = _worn(worn, step)
    rest = excess % 1
    worn = np.rint((1 - rest) * worn + rest * _worn(worn, int(excess))).astype(np.uint8)
    return worn if worn.any() else ink


def _worn(ink: Bytes, step: int) -> Bytes:
    """Each pixel takes the least of its 4 and, in every other step, 8 neighbours: together nearly a circle."""
    least = ink.copy()
    np.minimum(least[1:], ink[:-1], out=least[1:])
    np.minimum(least[:-1], ink[1:], out=least[:-1])
    beside = least.copy() if step % 2 else ink
    np.minimum(least[:, 1:], beside[:, :-1], out=least[:, 1:])
    np.minimum(least[:, :-1], beside[:, 1:], out=least[:, :-1])
    return least


def centre_digit(ink: Bytes | Array) -> Bytes:
    """MNIST's own procedure: ink of any size (H, W), 0 on the background -> (28, 28); all 0 where there is no ink.

    The longer side of the ink becomes 20 pixels by area averaging, proportions kept; its darkest pixel becomes 255; and
    it is moved by whole pixels so that its barycentre falls into pixel (14, 14) of 0 to 27, as in MNIST, or as near to
    it as leaves all ink in the frame.
    """
    if ink.ndim != 2:
        raise ShapeError(f"centre_digit: got an array of shape {ink.shape}; expected one grey picture, (H, W)")
    frame = np.zeros((FRAME, FRAME), np.uint8)
    digit = ink[_box(ink > 0)].astype(np.float32)
    if digit.size:
        height, width = digit.shape
        side = max(height, width, SMALLEST)
        boxed = _area_weights(height, side) @ digit @ _area_weights(width, side).T
        boxed = np.floor(boxed / boxed.max() * 255 + 0.5)
        digit = boxed[_box(boxed > 0)]
        top, left = _offset(digit.sum(axis=1)), _offset(digit.sum(axis=0))
        frame[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return frame


def _box(mask: Mask) -> tuple[slice, slice]:
    """The smallest rectangle that holds every True of a mask (H, W); an empty one where there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _area_weights(length: int, side: int) -> Array:
    """For each of 20 equal parts of a `side`, how much of it each of the `length` pixels in its middle covers.

    (20, length); the parts' averages are this matrix times the pixels.
    """
    pixel = (side - length) // 2 + np.arange(length)
    part = np.linspace(0, side, BOX + 1)[:, None]
    covered = np.minimum(part[1:], pixel + 1) - np.maximum(part[:-1], pixel)
    weights: Array = (np.maximum(covered, 0) * (BOX / side)).astype(np.float32)
    return weights


def _offset(weights: Array) -> int:
    """Where in the frame the digit's first row (or column) goes, given the ink in each of its rows (or columns)."""
    barycentre = weights @ (np.arange(len(weights)) + 0.5) / weights.sum()
    return int(np.clip(15 - barycentre, 0, FRAME - len(weights)))
