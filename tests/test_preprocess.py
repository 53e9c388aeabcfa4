import math
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nncore.errors import DataError, ShapeError
from nncore.preprocess import centre_digit, ink_from_picture, network_input, read_picture


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


def paper(ink, background, colour):
    """The picture of `ink` in one colour on another: (H, W, 3)."""
    share = ink[..., None] / 255
    return np.round(np.array(background) * (1 - share) + np.array(colour) * share).astype(np.uint8)


def with_alpha(ink, colour):
    return Image.fromarray(np.dstack([np.full((*ink.shape, 3), colour, np.uint8), ink]))


PICTURES = {
    "dark on light": lambda ink: Image.fromarray(255 - ink),
    "light on dark": Image.fromarray,
    "black and white": lambda ink: Image.fromarray(np.where(ink > 127, 0, 255).astype(np.uint8)).convert("1"),
    "colours": lambda ink: Image.fromarray(paper(ink, (250, 240, 200), (20, 30, 160))),
    "red on blue": lambda ink: Image.fromarray(paper(ink, (0, 0, 255), (255, 0, 0))),
    "yellow on white": lambda ink: Image.fromarray(paper(ink, (255, 255, 255), (255, 255, 0))),
    "palette": lambda ink: Image.fromarray(255 - ink).convert("P"),
    "CMYK": lambda ink: Image.fromarray(paper(ink, (255, 255, 255), (0, 0, 0))).convert("CMYK"),
    "16 bits": lambda ink: Image.fromarray((255 - ink).astype(np.uint16) * 257),
    "12 bits in 16": lambda ink: Image.fromarray((255 - ink).astype(np.uint16) * 16),
    "32 bits": lambda ink: Image.fromarray(ink.astype(np.int32) * 1000),
    "floats": lambda ink: Image.fromarray(np.where(ink == 0, np.float32(np.nan), ink / np.float32(255))),
    "black on nothing": lambda ink: with_alpha(ink, 0),
    "white on nothing": lambda ink: with_alpha(ink, 255),
    "grey on nothing": lambda ink: with_alpha(ink, 128).convert("LA"),
    "opaque with alpha": lambda ink: Image.fromarray(255 - ink).convert("RGBA"),
    "premultiplied": lambda ink: with_alpha(ink, 255).convert("RGBa"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_ink_from_any_kind_of_picture(seven, kind):
    picture = PICTURES[kind](seven)
    ink = ink_from_picture(picture)
    assert ink.dtype == np.uint8
    assert ink.shape == seven.shape
    if kind == "black and white":
        np.testing.assert_array_equal(ink, np.where(seven > 127, 255, 0))
    else:
        np.testing.assert_allclose(ink / ink.max(), seven / 255, atol=0.02)


def test_ink_is_turned_as_the_camera_says(seven):
    picture = Image.fromarray(255 - seven)
    exif = picture.getexif()
    exif[0x0112] = 6  # held with its left side up
    picture.info["exif"] = exif.tobytes()
    np.testing.assert_array_equal(ink_from_picture(picture), np.rot90(seven, -1))


def test_picture_with_a_transparent_palette_colour(seven):
    picture = Image.fromarray(np.where(seven > 127, 1, 0).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0])
    picture.info["transparency"] = 0  # black ink on transparent black
    np.testing.assert_array_equal(ink_from_picture(picture) > 0, seven > 127)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 30)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_has_no_ink(rng, size, level):
    noisy = np.clip(level + rng.integers(-10, 11, size), 0, 255).astype(np.uint8)
    assert not ink_from_picture(Image.fromarray(noisy)).any()
    assert not ink_from_picture(Image.new("RGBA", size)).any()
    assert not ink_from_picture(Image.new("I", size)).any()


def test_ink_may_touch_the_border(seven):
    touching = seven[seven.any(axis=1)]
    np.testing.assert_array_equal(ink_from_picture(Image.fromarray(255 - touching)), touching)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.tif", "a.webp", "a.pgm"])
def test_read_picture(tmp_path, seven, name):
    Image.fromarray(255 - np.kron(seven, np.ones((4, 4), np.uint8))).save(tmp_path / name)
    expected = centre_digit(seven).astype(int)
    assert np.abs(read_picture(tmp_path / name) - expected).mean() < 3  # JPEG and WebP round the edges


def png_header(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize("size", [(100_000, 100_000), (20_000, 6_000), (50_001, 1_000)])
def test_read_picture_refuses_absurd_sizes_before_decoding(tmp_path, size):
    (tmp_path / "bomb.png").write_bytes(png_header(*size) + struct.pack(">I", 0) + b"IDAT" + bytes(4))
    with pytest.raises(DataError, match=r"bomb\.png.*pixels"):
        read_picture(tmp_path / "bomb.png")


def test_read_picture_refuses_what_is_no_picture(tmp_path):
    with pytest.raises(DataError, match=r"none\.png: there is no such file"):
        read_picture(tmp_path / "none.png")
    contents = {
        "empty.png": b"",
        "text.png": b"hello",
        "post.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: cannot be read as a picture"):
            read_picture(tmp_path / name)
    with pytest.raises(DataError, match="cannot be read as a picture"):
        read_picture(tmp_path)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm"])
def test_read_picture_of_a_damaged_file(tmp_path, rng, seven, kind):
    path = tmp_path / f"damaged.{kind}"
    Image.fromarray(255 - seven).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"damaged\."):
        read_picture(path)
    for _ in range(30):
        content = bytearray(whole)
        for at in rng.integers(0, min(len(content), 600), 5):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        with suppress(DataError):  # never another error
            assert read_picture(path).shape == (28, 28)


def test_network_input(rng):
    images = rng.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    images[0, 0, :2] = 0, 255
    x = network_input(images)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, (images / np.float32(255)).reshape(3, 28, 28, 1))
    assert (x[0, 0, 0, 0], x[0, 0, 1, 0]) == (0, 1)
    assert network_input(images[:0]).shape == (0, 28, 28, 1)
