from types import SimpleNamespace

import numpy as np
import pytest

from nncore import kernels
from nncore.data import augment
from nncore.data.strokes import synthetic

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels import images as compiled

PLAIN = SimpleNamespace(
    warp=augment.warp.__wrapped__, thicken=augment.thicken.__wrapped__, draw_strokes=synthetic.draw_strokes.__wrapped__
)

SHAPES = [(0, 28, 28), (1, 28, 28), (3, 1, 1), (2, 1, 9), (2, 13, 6), (5, 28, 28), (1, 40, 31)]
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def random_images(rng, shape):
    return rng.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_warp_equals_its_definition(rng, shape):
    images = random_images(rng, shape)
    matrices = rng.normal(IDENTITY, [0.3, 0.3, 3], (shape[0], 2, 3))
    controls = rng.integers(4, 9)
    grids = rng.normal(0, 2, (shape[0], 2, controls, controls))
    fast, plain = compiled.warp(images, matrices, grids), PLAIN.warp(images, matrices, grids)
    assert fast.dtype == np.uint8
    # Sums in another order differ in the last bit of a float64: enough to round a value of n + 0.5 the other way.
    np.testing.assert_allclose(fast, plain.astype(int), atol=1)
    assert (fast != plain).sum() <= 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("module", [compiled, PLAIN], ids=["fast", "plain"])
def test_warp_by_the_identity_changes_nothing(rng, module, shape):
    images = random_images(rng, shape)
    out = module.warp(images, np.tile(IDENTITY, (shape[0], 1, 1)), np.zeros((shape[0], 2, 4, 4)))
    np.testing.assert_array_equal(out, images)


@pytest.mark.parametrize("module", [compiled, PLAIN], ids=["fast", "plain"])
def test_warp_shifts_by_whole_and_half_pixels(rng, module):
    images = random_images(rng, (2, 9, 7))
    shift = np.tile([[1, 0, -2], [0, 1, 3.0]], (2, 1, 1))  # fetch from 2 above and 3 to the right
    shifted = np.zeros_like(images)
    shifted[:, 2:, :4] = images[:, :-2, 3:]
    np.testing.assert_array_equal(module.warp(images, shift, np.zeros((2, 2, 4, 4))), shifted)

    half = np.tile([[1, 0, 0], [0, 1, 0.5]], (2, 1, 1))
    right = np.pad(images[:, :, 1:], ((0, 0), (0, 0), (0, 1)))  # what lies outside counts as 0
    between = (images.astype(int) + right + 1) // 2
    np.testing.assert_array_equal(module.warp(images, half, np.zeros((2, 2, 4, 4))), between)


@pytest.mark.parametrize("module", [compiled, PLAIN], ids=["fast", "plain"])
def test_warp_turns_a_quarter_exactly(rng, module):
    images = random_images(rng, (1, 6, 6))
    quarter = np.array([[[0, 1, 0], [-1, 0, 0.0]]])
    np.testing.assert_array_equal(module.warp(images, quarter, np.zeros((1, 2, 4, 4)))[0], np.rot90(images[0]))


@pytest.mark.parametrize("module", [compiled, PLAIN], ids=["fast", "plain"])
@pytest.mark.parametrize("controls", [4, 7])
def test_elastic_field_of_equal_control_points_is_a_shift(rng, module, controls):
    images = random_images(rng, (1, 11, 8))
    grids = np.zeros((1, 2, controls, controls))
    grids[:, 0], grids[:, 1] = 1, -2
    shifted = np.zeros_like(images)
    shifted[:, :-1, 2:] = images[:, 1:, :-2]
    difference = module.warp(images, IDENTITY[None], grids).astype(int) - shifted
    assert abs(difference).max() <= 1  # the spline's weights add to 1 but for rounding


def test_elastic_field_reproduces_a_straight_line():
    # A cubic B-spline whose control points lie on a line is that line: control k of 7 stands at pixel 2 * (k - 1).
    ramp = np.arange(9, dtype=np.uint8)[None, None] * np.ones((1, 9, 1), np.uint8) * 10
    grids = np.zeros((1, 2, 7, 7))
    grids[0, 1] = -0.5 * 2 * (np.arange(7) - 1)  # fetch column j from j / 2
    expected = np.tile(np.arange(9) * 5, (9, 1))
    for module in (compiled, PLAIN):
        np.testing.assert_allclose(module.warp(ramp, IDENTITY[None], grids)[0], expected, atol=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_thicken_equals_its_definition(rng, shape):
    images = random_images(rng, shape)
    amounts = rng.uniform(-1, 1, shape[0])
    fast = compiled.thicken(images, amounts)
    assert fast.dtype == np.uint8
    np.testing.assert_array_equal(fast, PLAIN.thicken(images, amounts))


@pytest.mark.parametrize("module", [compiled, PLAIN], ids=["fast", "plain"])
def test_thicken_of_a_dot_and_of_a_hole(module):
    dot, cross = np.zeros((2, 5, 5), np.uint8)
    dot[2, 2] = cross[2, 2] = 200
    cross[[1, 3, 2, 2], [2, 2, 1, 3]] = 100
    out = module.thicken(np.stack([dot, 255 - dot, dot]), np.array([0.5, -0.5, 0.0]))
    np.testing.assert_array_equal(out, [cross, 255 - cross, dot])


@pytest.mark.parametrize("module", [compiled, PLAIN], ids=["fast", "plain"])
def test_thicken_by_nothing_changes_nothing(rng, module):
    images = random_images(rng, (4, 7, 10))
    np.testing.assert_array_equal(module.thicken(images, np.zeros(4)), images)


def test_number_of_threads_changes_nothing(rng):
    numba = pytest.importorskip("numba")
    images = random_images(rng, (17, 28, 28))
    matrices, grids = rng.normal(IDENTITY, 0.2, (17, 2, 3)), rng.normal(0, 1, (17, 2, 7, 7))
    before = numba.get_num_threads()
    many = compiled.warp(images, matrices, grids), compiled.thicken(images, grids[:, 0, 0, 0])
    try:
        numba.set_num_threads(1)
        one = compiled.warp(images, matrices, grids), compiled.thicken(images, grids[:, 0, 0, 0])
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(many, one)


# draw_strokes


def assert_agree(points, radius, softness, size):
    """The kernel and its definition differ by less than one grey level of 255."""
    arguments = [np.asarray(a, np.float32) for a in (points, radius, softness)]
    fast, plain = compiled.draw_strokes(*arguments, size), PLAIN.draw_strokes(*arguments, size)
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
