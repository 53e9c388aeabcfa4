import numpy as np
import pytest

from nncore.data.strokes.drawn import MARGIN, OUTLIERS, PAD, draw, on_pad, training_digits, training_outliers
from nncore.data.strokes.outliers import UNSEEN
from nncore.data.strokes.unipen import Drawing
from nncore.reading.preprocess import find_digits

THREE = np.array([(20, 40), (50, 10), (80, 40), (45, 70), (90, 110), (50, 150), (15, 120)], float)
FIVE_AND_ITS_ROOF = [np.array([(10.0, 20), (10, 60), (50, 70), (20, 110)]), np.array([(12.0, 12), (60.0, 10)])]


def test_a_line_has_the_width_of_the_pen() -> None:
    for pen in (6, 13, 32):
        ink = draw([np.array([[100.0, 50], [100, 200]])], pen)
        assert ink.shape == (PAD, PAD)
        assert ink.dtype == np.uint8
        assert ink[125].astype(float).sum() / 255 == pytest.approx(pen, abs=0.6)
        assert ink[:, 100].astype(float).sum() / 255 == pytest.approx(150 + pen, abs=1.5)  # round ends
        assert ink[125, : 100 - pen // 2 - 2].max() == 0


def test_a_point_is_a_round_dot() -> None:
    ink = draw([np.array([[140.0, 60.0]])], 20)
    assert ink.astype(float).sum() / 255 == pytest.approx(np.pi * 100, rel=0.1)
    rows, columns = np.nonzero(ink)
    assert (rows.mean(), columns.mean()) == pytest.approx((59.5, 139.5), abs=0.6)


def test_places_digits_at_the_size_people_draw(rng: np.random.Generator) -> None:
    for strokes in ([THREE], [np.array([[3.0, 3.0]])], FIVE_AND_ITS_ROOF):
        placed = np.concatenate(on_pad(strokes, rng))
        assert placed.min() >= MARGIN
        assert placed.max() <= PAD - MARGIN
        side = np.ptp(placed, axis=0).max()
        assert len(placed) == 1 or 0.45 * PAD <= side <= 0.85 * PAD
    flat, tall = np.ptp(np.concatenate(on_pad([THREE], rng)), axis=0) / np.ptp(THREE, axis=0)
    assert flat == pytest.approx(tall)


def test_half_a_pad_is_enough_for_training(rng: np.random.Generator) -> None:
    for pen in (8, 14, 28):
        strokes = on_pad([THREE], rng)
        (whole,), (half,) = (
            find_digits(draw(strokes, pen)),
            find_digits(draw([s / 2 for s in strokes], pen / 2, PAD // 2, PAD // 2)),
        )
        # Where the ink balances may be rounded to the next pixel
        moved = [np.roll(half.image.astype(float), (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        assert min(np.abs(whole.image - image).mean() for image in moved) < 6


def test_every_drawing_comes_back_often_and_never_alike() -> None:
    drawings = [Drawing(3, 1, 1, [THREE]), Drawing(5, 2, 1, FIVE_AND_ITS_ROOF)]
    images, labels = training_digits(drawings, 3, seed=1)
    assert labels.tolist() == [3, 5] * 3
    assert images.shape == (6, 28, 28)
    assert len({image.tobytes() for image in images}) == 6
    assert images.max(axis=(1, 2)).tolist() == [255] * 6
    fewer, _ = training_digits(drawings, 1, seed=1)
    assert np.array_equal(fewer, images[:2])
    assert not np.array_equal(training_digits(drawings, 1, seed=2)[0], fewer)


def test_what_falls_into_two_digits_is_left_out() -> None:
    far_apart = [THREE, THREE + np.array([300, 0])]
    images, labels = training_digits([Drawing(3, 1, 1, far_apart), Drawing(4, 1, 2, [THREE])], 1, seed=0)
    assert labels.tolist() == [4]
    assert len(images) == 1


def test_no_drawings_give_no_images() -> None:
    images, labels = training_digits([], 3, seed=0)
    assert (images.shape, labels.shape, images.dtype, labels.dtype) == ((0, 28, 28), (0,), np.uint8, np.uint8)


def test_outliers_are_those_seen_in_training() -> None:
    assert not set(OUTLIERS) & UNSEEN.keys()
    images = training_outliers(2 * len(OUTLIERS), seed=0)
    assert 1.6 * len(OUTLIERS) <= len(images) <= 2 * len(OUTLIERS)
    assert np.array_equal(training_outliers(5, seed=0), images[: len(training_outliers(5, seed=0))])
    assert images.max(axis=(1, 2)).min() == 255


def test_a_wide_pen_leaves_no_cracks_where_a_line_bends() -> None:
    angle = np.linspace(0, 2 * np.pi, 90)
    ring = 140 + 60 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ink = draw([ring], 28)
    y, x = np.mgrid[:280, :280] + 0.5
    from_ring = np.abs(np.hypot(x - 140, y - 140) - 60)
    assert ink[from_ring < 12].min() == 255
    assert not ink[from_ring > 16].any()
