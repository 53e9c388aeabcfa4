import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw

from nncore.data.dataset import network_input
from nncore.errors import ShapeError
from nncore.reading.preprocess import centre_digit, find_digits, thin_strokes


@pytest.fixture
def seven():
    """A seven with soft edges, up to 255, on 90 x 70 zeros; none so faint as to pass for noise. Its ink is 62 x 44."""
    page = Image.new("L", (280, 360))
    ImageDraw.Draw(page).line([(60, 80), (216, 90), (120, 310)], fill=255, width=28, joint="curve")
    ink = np.array(page.reduce(4))
    ink[ink < 40] = 0
    return ink


def by_the_book(ink):
    """MNIST's procedure pixel by pixel: each is spread over the cells of a 20 x 20 grid in which it ends up."""
    rows, columns = ink.nonzero()
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    side = max(*ink.shape, 10)
    box = np.zeros((20, 20))
    for (i, j), value in np.ndenumerate(ink):
        y0 = (i + (side - ink.shape[0]) // 2) * 20 / side
        x0 = (j + (side - ink.shape[1]) // 2) * 20 / side
        for y in range(int(y0), min(20, math.ceil(y0 + 20 / side))):
            for x in range(int(x0), min(20, math.ceil(x0 + 20 / side))):
                high = min(y + 1, y0 + 20 / side) - max(y, y0)
                wide = min(x + 1, x0 + 20 / side) - max(x, x0)
                box[y, x] += value * high * wide
    box = np.floor(box * 255 / box.max() + 0.5)
    y, x = ((np.indices((20, 20)) + 0.5) * box).sum((1, 2)) / box.sum()
    wide = np.zeros((68, 68))
    top, left = 20 + int(15 - y), 20 + int(15 - x)
    wide[top : top + 20, left : left + 20] = box
    return wide[20:48, 20:48]


@pytest.mark.parametrize("shape", [(61, 44), (20, 33), (13, 9), (5, 6), (1, 40), (90, 2), (28, 28)])
def test_centre_digit_equals_the_procedure_by_the_book(rng, shape):
    ink = rng.integers(0, 256, shape) * (rng.random(shape) < 0.7)
    ink[0, 0] = 255
    out = centre_digit(np.pad(ink, ((3, 8), (11, 0))).astype(np.uint8))
    assert out.dtype == np.uint8
    np.testing.assert_allclose(out, by_the_book(ink), atol=1)  # float32 against float64 may round the other way


def test_centre_digit_gives_back_what_is_centred_already(seven):
    once = centre_digit(seven)
    assert once.max() == 255
    np.testing.assert_array_equal(centre_digit(once), once)


def test_centre_digit_does_not_depend_on_place_size_or_darkness(seven):
    out = centre_digit(seven)
    moved = np.pad(seven, ((40, 0), (7, 90)))
    np.testing.assert_array_equal(centre_digit(moved), out)
    # Both sides of the ink are even: else the middle would fall on other fractions of a pixel when enlarged.
    np.testing.assert_allclose(centre_digit(np.kron(seven, np.ones((3, 3), np.uint8))), out.astype(int), atol=1)
    np.testing.assert_allclose(centre_digit(seven / 1000), out.astype(int), atol=1)


def test_centre_digit_puts_the_barycentre_into_pixel_14(seven):
    out = centre_digit(seven).astype(float)
    barycentre = ((np.indices((28, 28)) + 0.5) * out).sum((1, 2)) / out.sum()
    assert ((barycentre > 14) & (barycentre <= 15)).all()


def test_centre_digit_never_lets_ink_leave_the_frame():
    lopsided = np.zeros((100, 100), np.uint8)
    lopsided[:10] = 255
    lopsided[:, 50] = 10  # a long faint tail: centred by its barycentre, its end would stand 6 pixels below the frame
    for turns in range(4):
        out = centre_digit(np.rot90(lopsided, turns))
        rows, columns = out.nonzero()
        assert max(np.ptp(rows), np.ptp(columns)) == 19
        assert np.count_nonzero(out) >= 20 * 2 + 18


def test_centre_digit_of_nothing_a_dot_and_a_full_page():
    np.testing.assert_array_equal(centre_digit(np.zeros((50, 30), np.uint8)), np.zeros((28, 28)))
    np.testing.assert_array_equal(centre_digit(np.zeros((0, 0), np.uint8)), np.zeros((28, 28)))
    dot = np.zeros((28, 28))
    dot[13:15, 13:15] = 255  # one pixel, twice enlarged: ink is not blown up from less than 10 pixels
    assert np.count_nonzero(centre_digit(np.eye(1, dtype=np.uint8))) == np.count_nonzero(dot)
    full = np.zeros((28, 28))
    full[5:25, 5:25] = 255
    np.testing.assert_array_equal(centre_digit(np.full((300, 300), 9, np.uint8)), full)


def test_centre_digit_refuses_a_stack():
    with pytest.raises(ShapeError, match=r"\(2, 28, 28\)"):
        centre_digit(np.zeros((2, 28, 28), np.uint8))


def drawn(*strokes, width=10, size=(280, 280)):
    """Strokes of a round pen, each a list of points (x, y), as a canvas of that (width, height) draws them."""
    page = Image.new("L", (4 * size[0], 4 * size[1]))
    pen = ImageDraw.Draw(page)
    for stroke in strokes:
        pen.line([(4 * x, 4 * y) for x, y in stroke], fill=255, width=4 * width, joint="curve")
        for x, y in stroke:
            pen.circle((4 * x, 4 * y), 2 * width, fill=255)
    return np.array(page.reduce(4))


# Each as high as 100, as wide as 60, the pen lifted where it says so.
ONE = [[(30, 0), (30, 100)]]
SEVEN = [[(0, 0), (60, 0), (20, 100)], [(10, 50), (50, 50)]]
FIVE = [[(10, 12), (8, 45), (50, 55), (55, 90), (0, 100)], [(12, 0), (60, 0)]]  # its cap does not touch it
FOUR = [[(25, 0), (0, 50), (60, 50)], [(45, 65), (45, 100)]]  # nor this stem
ZERO = [[(30, 0), (0, 50), (30, 100), (60, 50), (30, 0)]]
EIGHT = [[(30, 0), (8, 22), (30, 44), (52, 22), (30, 0)], [(30, 56), (5, 78), (30, 100), (55, 78), (30, 56)]]


def at(x, y, digit, slant=0.0):
    return [[(x + i - slant * j, y + j) for i, j in stroke] for stroke in digit]


@pytest.mark.parametrize("digit", [ONE, SEVEN, FIVE, FOUR, ZERO, EIGHT])
@pytest.mark.parametrize("width", [6, 9])
def test_strokes_of_one_digit_stay_together(digit, width):
    ink = drawn(*at(100, 90, digit), width=width)
    (found,) = find_digits(ink)
    rows, columns = ink.nonzero()
    assert found.box == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    left, top, width, height = found.box
    np.testing.assert_array_equal(found.ink, ink[top : top + height, left : left + width])
    np.testing.assert_array_equal(found.image, centre_digit(ink))


@pytest.mark.parametrize("slant", [0, 0.3])
def test_digits_side_by_side_are_read_from_left_to_right(slant):
    digits = [SEVEN, ZERO, FIVE, ONE, FOUR, EIGHT]
    strokes = [at(60 + 85 * n, 30 + 15 * (n % 2), digit, slant) for n, digit in enumerate(digits)]
    pages = [drawn(*digit, size=(640, 180)) for digit in strokes]
    found = find_digits(np.maximum.reduce(pages))
    assert len(found) == 6
    for page, one in zip(pages, found, strict=True):
        np.testing.assert_array_equal(one.image, centre_digit(page))
        left, top, width, height = one.box
        np.testing.assert_array_equal(one.ink, page[top : top + height, left : left + width])


def test_digits_whose_boxes_overlap_keep_their_own_ink():
    left = drawn([(100, 200), (150, 60)])
    right = drawn([(130, 200), (180, 60)])
    first, second = find_digits(np.maximum(left, right))
    assert first.box[0] + first.box[2] > second.box[0]
    np.testing.assert_array_equal(first.image, centre_digit(left))
    np.testing.assert_array_equal(second.image, centre_digit(right))


def test_rows_are_read_from_the_top():
    places = [(20, 20), (110, 35), (200, 10), (15, 160), (190, 175)]
    ink = drawn(*(stroke for x, y in places for stroke in at(x, y, ZERO)))
    for (x, y), found in zip(places, find_digits(ink), strict=True):
        assert abs(found.box[0] - x) <= 6
        assert abs(found.box[1] - y) <= 6


def test_specks_beside_a_digit_are_noise(rng):
    ink = drawn(*at(100, 90, ZERO))
    speckled = ink.copy()
    for i, j in rng.integers(0, 40, (20, 2)):
        speckled[i : i + 4, 6 * j : 6 * j + 4] = 255
    (found,) = find_digits(speckled)
    np.testing.assert_array_equal(found.image, find_digits(ink)[0].image)
    (found,) = find_digits(np.maximum(ink, drawn([(200, 100), (200, 110)], width=9)))
    np.testing.assert_array_equal(found.image, find_digits(ink)[0].image)
    (dot,) = find_digits(drawn([(5, 5)], width=4))  # alone, it is all there is
    assert dot.box[2:] == (5, 5)


def test_at_most_32_digits_are_found():
    found = find_digits(
        drawn(*([(x, y), (x, y + 10)] for x in range(10, 280, 20) for y in range(10, 270, 40)), width=4)
    )
    assert len(found) == 32
    assert len(find_digits(np.tile(np.array([[255, 0], [0, 0]], np.uint8), (300, 300)))) == 32


def test_find_digits_where_there_is_none():
    assert find_digits(np.zeros((50, 30), np.uint8)) == []
    assert find_digits(np.zeros((0, 0), np.uint8)) == []
    assert find_digits(np.full((50, 30), 9, np.uint8)) == []
    with pytest.raises(ShapeError, match=r"\(2, 28, 28\)"):
        find_digits(np.zeros((2, 28, 28), np.uint8))


@given(
    arrays(
        np.uint8,
        array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40),
        elements=st.sampled_from([0, 0, 0, 1, 24, 25, 128, 255]),
    )
)
def test_find_digits_of_anything(ink):
    for found in find_digits(ink):
        left, top, width, height = found.box
        assert 0 <= left < left + width <= ink.shape[1]
        assert 0 <= top < top + height <= ink.shape[0]
        within = ink[top : top + height, left : left + width]
        assert ((found.ink == 0) | (found.ink == within)).all()
        assert (found.ink >= 25).any()
        assert found.image.shape == (28, 28)
        assert found.image.dtype == np.uint8
        assert found.image.max() == 255
    assert bool(find_digits(ink)) == bool((ink >= 25).any())


@pytest.mark.parametrize("width", [55, 65])
@pytest.mark.parametrize("digit", [SEVEN, ZERO])
def test_thick_strokes_are_thinned_to_the_average_width(digit, width):
    large = [[(70 + 2.2 * x, 30 + 2.2 * y) for x, y in stroke] for stroke in digit]
    thick = drawn(*large, width=width)
    thin = thin_strokes(thick)
    average = drawn(*large, width=round(2.6 / 20 * (220 + width)))

    def amount(ink):
        return centre_digit(ink).sum() / centre_digit(average).sum() - 1

    assert -0.05 < amount(thin) < 0.6 * amount(thick)


@pytest.mark.parametrize("width", [4, 10, 20])
def test_strokes_of_usual_width_stay_as_they_are(width):
    ink = drawn(*at(60, 30, [[(2.2 * x, 2.2 * y) for x, y in stroke] for stroke in ZERO]), width=width)
    assert thin_strokes(ink) is ink


def test_thinning_leaves_something_of_everything():
    for ink in (np.full((300, 300), 255, np.uint8), np.full((1, 1), 25, np.uint8), np.zeros((9, 9), np.uint8)):
        assert thin_strokes(ink).any() == ink.any()


def test_network_input(rng):
    images = rng.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    images[0, 0, :2] = 0, 255
    x = network_input(images)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, (images / np.float32(255)).reshape(3, 28, 28, 1))
    assert (x[0, 0, 0, 0], x[0, 0, 1, 0]) == (0, 1)
    assert network_input(images[:0]).shape == (0, 28, 28, 1)
