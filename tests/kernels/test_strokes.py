import numpy as np
import pytest

from nncore import kernels
from nncore.kernels import reference


def assert_agree(points, radius, softness, size):
    """The kernel and its definition differ by less than one grey level of 255."""
    arguments = [np.asarray(a, np.float32) for a in (points, radius, softness)]
    fast, plain = kernels.draw_strokes(*arguments, size), reference.draw_strokes(*arguments, size)
    assert fast.dtype == plain.dtype == np.float32
    np.testing.assert_allclose(fast, plain, atol=1e-3)
    assert np.abs(np.rint(255 * fast) - np.rint(255 * plain)).max(initial=0) <= 1
    return fast


def test_random_strokes_agree_with_the_definition_even_outside_the_frame(rng):
    n, p, size = rng.integers(1, 6), rng.integers(2, 20), int(rng.integers(3, 24))
    points = rng.uniform(-size / 2, 1.5 * size, (n, p, 2))
    radius = rng.uniform(0.3, 4, (n, p)) * (rng.random((n, p)) > 0.1)
    ink = assert_agree(points, radius, rng.uniform(0.5, 3, n), size)
    assert ((ink >= 0) & (ink <= 1)).all()


def test_segments_without_length_are_dots(rng):
    dot = np.repeat(rng.uniform(2, 8, (1, 1, 2)), 3, axis=1)
    radius, softness = 2.3, 1.1
    ink = assert_agree(dot, np.full((1, 3), radius), [softness], 10)
    y, x = np.indices((10, 10)) + 0.5
    distance = np.hypot(x - dot[0, 0, 0], y - dot[0, 0, 1])
    np.testing.assert_allclose(ink[0], np.clip(0.5 + (radius - distance) / softness, 0, 1), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 1), (3, 0), (0, 5)])
def test_without_a_segment_nothing_is_drawn(shape):
    n, p = shape
    ink = assert_agree(np.full((n, p, 2), 5.0), np.ones((n, p)), np.ones(n), 10)
    assert ink.shape == (n, 10, 10)
    assert not ink.any()


def test_a_lifted_pen_draws_neither_towards_nor_away_from_that_point():
    points = [[[1, 2], [5, 2], [5, 6], [1, 8], [9, 8]]]
    ink = assert_agree(points, [[1, 1, 0, 1, 1]], [1], 10)[0]
    assert ink[2, 1:5].min() == pytest.approx(1)
    assert ink[8, 1:9].min() == pytest.approx(1)
    assert not ink[4:6].any()


def test_a_line_is_as_wide_as_the_pen_and_tapers_with_it():
    ink = assert_agree([[[0, 10], [20, 10]]], [[1, 4]], [1], 20)[0]
    width = ink.sum(0)
    np.testing.assert_allclose(width[2:18], 2 * (1 + 3 * (np.arange(2, 18) + 0.5) / 20), atol=0.3)
