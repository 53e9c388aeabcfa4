import os

import numpy as np
import pytest

from nncore.data.mnist import load_mnist
from nncore.data.strokes import synthetic
from nncore.data.strokes.skeletons import STYLES, skeletons, written
from nncore.data.strokes.synthetic import draw_strokes, synthetic_digits
from nncore.errors import OptionError


@pytest.fixture(scope="module")
def digits():
    return synthetic_digits(2000, seed=3)


def extent(images, axis):
    """First and last row (axis 2) or column (axis 1) that holds ink, each (N,)."""
    inked = (images > 0).any(axis)
    return inked.argmax(1), inked.shape[1] - 1 - inked[:, ::-1].argmax(1)


def test_shapes_types_and_balance(digits):
    images, labels = digits
    assert images.shape == (2000, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    for half in labels.reshape(2, 1000):
        np.testing.assert_array_equal(np.bincount(half), np.full(10, 100))
    assert not np.array_equal(labels[:1000], labels[1000:])
    assert np.count_nonzero(np.diff(labels)) > 1600  # shuffled: nine neighbours in ten differ


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001])
def test_an_image_depends_on_the_seed_and_its_place_only(digits, count):
    images, labels = synthetic_digits(count, seed=3)
    np.testing.assert_array_equal(images, digits[0][:count])
    np.testing.assert_array_equal(labels, digits[1][:count])


def test_another_seed_draws_other_digits(digits):
    images, labels = synthetic_digits(1000, seed=4)
    assert not np.array_equal(labels, digits[1][:1000])
    assert (images != digits[0][:1000]).any((1, 2)).all()
    assert len(np.unique(digits[0].reshape(2000, -1), axis=0)) == 2000


@pytest.mark.parametrize(("count", "seed", "named"), [(-1, 0, "count"), (1, -2, "seed")])
def test_negative_numbers_are_refused_by_name(count, seed, named):
    with pytest.raises(OptionError, match=named):
        synthetic_digits(count, seed)


def test_digits_are_placed_as_mnist_places_them(digits):
    images, _ = digits
    (top, bottom), (left, right) = extent(images, 2), extent(images, 1)
    longer = np.maximum(bottom - top, right - left) + 1
    assert longer.max() <= 20
    assert np.percentile(longer, 1) >= 18
    middle = np.arange(28) + 0.5
    for axis in (1, 2):
        line = images.sum(axis, dtype=np.float64)
        centre = line @ middle / line.sum(1)
        assert np.abs(centre - 14.5).max() < 0.7  # MNIST's own lie between 14 and 15
    assert images.max() == 255
    assert (images.max((1, 2)) > 200).all()
    corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert not corners.any()


def test_strokes_are_about_as_wide_as_those_of_mnist(digits):
    images, labels = digits
    ones = images[labels == 1] / 255
    width = np.median(ones.sum(2)[:, 10:18], axis=1)  # across a more or less upright stem
    assert 2.2 < width.mean() < 3.4
    assert 0.4 < width.std() < 1.2


def test_the_plain_definition_draws_the_same_digits(digits, monkeypatch):
    monkeypatch.setattr(synthetic, "draw_strokes", draw_strokes.__wrapped__)
    images, _ = synthetic_digits(20, seed=3)
    assert np.abs(images.astype(int) - digits[0][:20]).max() <= 1


def test_every_curve_passes_through_its_control_points():
    table = skeletons(steps=4)
    assert set(table.digit) == set(range(10))
    np.testing.assert_allclose(np.bincount(table.digit, table.share), 1)
    for basis in (table.straight, table.cornered, table.smooth):
        np.testing.assert_allclose(basis.sum(2), 1, atol=1e-12)  # hence moving the controls moves the path along
        np.testing.assert_allclose(basis[0, :5:4, :2], np.eye(2), atol=1e-12)
    corners = np.array([float(v) / 100 for v in STYLES[0][0][1].replace("!", "").replace(",", " ").split()])
    path = table.smooth[0] @ table.controls[0]
    np.testing.assert_allclose(path[table.pen[0]][::4].ravel(), corners)
    np.testing.assert_allclose(path[~table.pen[0]], np.broadcast_to(corners[-2:], path[~table.pen[0]].shape))


def test_written_digits_are_whole_strokes_of_one_style(rng):
    table = skeletons()
    for _ in range(50):
        digit, strokes = written(rng)
        points = np.concatenate(strokes)
        paths = [
            table.cornered[t][table.pen[t]] @ table.controls[t]
            for t in np.flatnonzero(table.digit == digit)
            if table.pen[t].sum() == len(points) and (np.diff(table.pen[t].astype(int)) == -1).sum() == len(strokes)
        ]
        assert min(np.abs(points - path).max() for path in paths) < 0.2  # beside the style, astray by 0.03


def test_digits_resemble_those_of_mnist(digits):
    if "NNCORE_DATA" not in os.environ:
        pytest.skip("NNCORE_DATA does not say where MNIST is")
    mnist = load_mnist()
    images, labels = digits
    drawn = np.array([images[labels == d].mean(0).ravel() for d in range(10)])
    real = np.array([mnist.train_images[mnist.train_labels == d].mean(0).ravel() for d in range(10)])
    alike = np.corrcoef(real, drawn)[:10, 10:]
    np.testing.assert_array_equal(alike.argmax(1), np.arange(10))
    assert alike.diagonal().min() > 0.8
