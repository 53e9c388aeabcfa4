import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nncore.errors import ShapeError
from nncore.preprocess import centre_digit, components, find_digits, network_input


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


def by_flooding(mask):
    """8-connected components, one pixel at a time, numbered in the order in which a row-by-row reading meets them."""
    labels = np.zeros(mask.shape, int)
    for start in zip(*mask.nonzero(), strict=True):
        if labels[start]:
            continue
        number = labels.max() + 1
        labels[start] = number
        waiting = [start]
        while waiting:
            i, j = waiting.pop()
            around = slice(max(i - 1, 0), i + 2), slice(max(j - 1, 0), j + 2)
            for di, dj in zip(*(mask[around] & (labels[around] == 0)).nonzero(), strict=True):
                beside = around[0].start + di, around[1].start + dj
                labels[beside] = number
                waiting.append(beside)
    return labels


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 30), (30, 1), (17, 23), (40, 40)])
@pytest.mark.parametrize("share", [0, 0.2, 0.4, 0.6, 1])
def test_components(rng, shape, share):
    mask = rng.random(shape) < share
    labels, boxes = components(mask)
    np.testing.assert_array_equal(labels, by_flooding(mask))
    for number, (top, left, bottom, right) in enumerate(boxes, 1):
        rows, columns = (labels == number).nonzero()
        assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == (top, left, bottom, right)


def test_find_digits_of_one_digit_finds_what_it_is(seven):
    (found,) = find_digits(seven)
    rows, columns = seven.nonzero()
    assert found.box == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    left, top, width, height = found.box
    np.testing.assert_array_equal(found.ink, seven[top : top + height, left : left + width])
    np.testing.assert_array_equal(found.image, centre_digit(seven))


def test_network_input(rng):
    images = rng.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    images[0, 0, :2] = 0, 255
    x = network_input(images)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, (images / np.float32(255)).reshape(3, 28, 28, 1))
    assert (x[0, 0, 0, 0], x[0, 0, 1, 0]) == (0, 1)
    assert network_input(images[:0]).shape == (0, 28, 28, 1)
