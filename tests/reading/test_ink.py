import io
import itertools
import struct
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from nncore.data.dataset import network_input
from nncore.data.strokes.synthetic import synthetic_digits
from nncore.errors import DataError
from nncore.network.sequential import Sequential
from nncore.reading.ink import read_ink
from nncore.reading.preprocess import find_digits


@pytest.fixture
def seven():
    """A seven with soft edges, up to 255, on 90 x 70 zeros; none so faint as to pass for noise."""
    page = Image.new("L", (280, 360))
    ImageDraw.Draw(page).line([(60, 80), (216, 90), (120, 310)], fill=255, width=28, joint="curve")
    ink = np.array(page.reduce(4))
    ink[ink < 40] = 0
    return ink


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def ink_of(picture, kind="PNG", **options):
    return read_ink(io.BytesIO(encoded(picture, kind, **options)))[0]


def coloured(ink, background, colour):
    """The picture of `ink` in one colour on another."""
    share = ink[..., None] / 255
    return Image.fromarray(np.round(np.array(background) * (1 - share) + np.array(colour) * share).astype(np.uint8))


def with_alpha(ink, colour):
    return Image.fromarray(np.dstack([np.full((*ink.shape, 3), colour, np.uint8), ink]))


PICTURES = {
    "dark on light": lambda ink: Image.fromarray(255 - ink),
    "light on dark": Image.fromarray,
    "black and white": lambda ink: Image.fromarray(np.where(ink > 127, 0, 255).astype(np.uint8)).convert("1"),
    "colours": lambda ink: coloured(ink, (250, 240, 200), (20, 30, 160)),
    "red on blue": lambda ink: coloured(ink, (0, 0, 255), (255, 0, 0)),
    "yellow on white": lambda ink: coloured(ink, (255, 255, 255), (255, 255, 0)),
    "palette": lambda ink: Image.fromarray(255 - ink).convert("P"),
    "16 bits": lambda ink: Image.fromarray((255 - ink).astype(np.uint16) * 257),
    "12 bits in 16": lambda ink: Image.fromarray((255 - ink).astype(np.uint16) * 16),
    "black on nothing": lambda ink: with_alpha(ink, 0),
    "white on nothing": lambda ink: with_alpha(ink, 255),
    "grey on nothing": lambda ink: with_alpha(ink, 128).convert("LA"),
    "opaque with alpha": lambda ink: Image.fromarray(255 - ink).convert("RGBA"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_ink_of_any_kind_of_picture(seven, kind):
    ink = ink_of(PICTURES[kind](seven))
    assert ink.dtype == np.uint8
    assert ink.shape == seven.shape
    if kind == "black and white":
        np.testing.assert_array_equal(ink, np.where(seven > 127, 255, 0))
    else:
        np.testing.assert_allclose(ink / ink.max(), seven / 255, atol=0.02)


@pytest.mark.parametrize(
    ("kind", "picture"), [*itertools.product(["PNG", "JPEG", "GIF", "BMP", "WEBP"], ["L", "RGB"]), ("JPEG", "CMYK")]
)
def test_ink_of_every_format(seven, kind, picture):
    ink = ink_of(Image.fromarray(255 - seven).convert(picture), kind, **({"quality": 95} if kind == "JPEG" else {}))
    assert np.abs(ink.astype(int) - seven).mean() < 4


@pytest.mark.parametrize("orientation", range(10))
def test_ink_is_turned_as_the_camera_says(seven, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {
        2: np.fliplr,
        3: lambda ink: np.rot90(ink, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda ink: np.rot90(ink, -1),
        7: lambda ink: np.rot90(ink, 2).T,
        8: np.rot90,
    }.get(orientation, np.copy)
    np.testing.assert_array_equal(ink_of(Image.fromarray(255 - seven), exif=exif), turned(seven))


def test_a_transparent_palette_colour_is_background(seven):
    picture = Image.fromarray(np.where(seven > 127, 1, 0).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0])  # black ink on transparent black
    for kind in ("PNG", "GIF"):
        np.testing.assert_array_equal(ink_of(picture, kind, transparency=0) > 0, seven > 127)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 30)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_has_no_ink(rng, size, level):
    noisy = np.clip(level + rng.integers(-10, 11, size), 0, 255).astype(np.uint8)
    assert not ink_of(Image.fromarray(noisy)).any()
    assert not ink_of(Image.new("RGBA", size)).any()
    assert not ink_of(Image.new("I;16", size)).any()


def photo(rng, ink, colour=(40, 40, 90), paper=(225, 215, 205), quality=80):
    """A JPEG of ink on paper as a phone takes it: light from one side, a shadow, texture, noise, a little blur."""
    height, width = ink.shape
    y, x = np.mgrid[:height, :width] / max(height, width)
    light = 0.65 + 0.5 * x - 0.3 * y - 0.3 / (1 + np.exp((x + y - 0.8) / 0.03))
    share = np.asarray(Image.fromarray(ink).filter(ImageFilter.GaussianBlur(1.5)))[..., None] / 255
    page = (np.array(paper) * (1 - share) + np.array(colour) * share) * light[..., None]
    grain = np.asarray(
        Image.fromarray(rng.normal(0, 3, (height // 4, width // 4)).astype(np.float32)).resize((width, height))
    )
    page += grain[..., None] + rng.normal(0, 3, page.shape)
    return encoded(Image.fromarray(page.clip(0, 255).astype(np.uint8)), "JPEG", quality=quality)


@pytest.fixture
def large_seven():
    page = Image.new("L", (800, 600))
    ImageDraw.Draw(page).line([(300, 150), (500, 170), (380, 450)], fill=255, width=24, joint="curve")
    return np.array(page)


@pytest.mark.parametrize(
    ("colour", "paper"),
    [((40, 40, 90), (225, 215, 205)), ((160, 30, 30), (250, 250, 250)), ((240, 240, 230), (80, 90, 85))],
)
def test_a_photo_has_ink_where_it_was_drawn_and_none_on_the_paper(rng, large_seven, colour, paper):
    ink = read_ink(io.BytesIO(photo(rng, large_seven, colour, paper)))[0]
    near = np.asarray(Image.fromarray(large_seven).filter(ImageFilter.MaxFilter(7))) > 0
    deep = np.asarray(Image.fromarray(large_seven).filter(ImageFilter.MinFilter(7))) > 0
    assert not ink[~near].any()
    assert (ink[deep] > 25).mean() > (0.98 if sum(paper) > sum(colour) else 0.8)  # chalk shines less in the shade


def test_digits_in_photos_are_read_as_the_drawings_are(rng):
    network = Sequential.load(Path(__file__).parents[2] / "weights" / "reference.npz")
    images, labels = synthetic_digits(30, seed=int(rng.integers(1000)))
    seen = []
    for image in images:
        page = np.zeros((600, 800), np.uint8)
        page[100:436, 200:536] = Image.fromarray(image).resize((336, 336), Image.Resampling.BICUBIC)
        found = find_digits(read_ink(io.BytesIO(photo(rng, page)))[0])
        assert found
        seen.append(max(found, key=lambda one: one.ink.sum()).image)
    drawn, photographed = (network.predict(network_input(each)).argmax(axis=1) for each in (images, np.stack(seen)))
    assert (photographed == labels).mean() >= (drawn == labels).mean() - 0.1


def test_photos_of_blank_paper_have_no_ink(rng, large_seven):
    blank = [read_ink(io.BytesIO(photo(rng, np.zeros_like(large_seven))))[0] for _ in range(6)]
    assert sum(bool(ink.any()) for ink in blank) <= 1  # in one photo of three hundred, the grain is taken for ink


def test_the_desk_beside_the_paper_and_ruled_lines_are_no_ink(rng, large_seven):
    picture = np.array(Image.open(io.BytesIO(photo(rng, large_seven))))
    for lines in (picture[20::40], picture[21::40]):
        lines[:] = lines * 0.85
    picture[:, :50] = picture[:, :50] / 6
    ink = ink_of(Image.fromarray(picture))
    near = np.asarray(Image.fromarray(large_seven).filter(ImageFilter.MaxFilter(7))) > 0
    assert np.count_nonzero(ink[~near]) < 0.02 * np.count_nonzero(near)
    assert (ink[large_seven > 0] > 128).mean() > 0.75


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 50), (50, 3), (64, 64), (70, 200)])
def test_a_picture_of_noise_is_read(rng, mode, size):
    noise = rng.integers(0, 256, (*size, len(mode)), dtype=np.uint8)
    assert ink_of(Image.fromarray(noise if mode == "RGB" else noise[..., 0])).shape == size


def test_ink_may_touch_the_border(seven):
    touching = seven[seven.any(axis=1)]
    np.testing.assert_array_equal(ink_of(Image.fromarray(255 - touching)), touching)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_large_picture_is_reduced(seven, kind):
    large = Image.fromarray(255 - seven).resize((3500, 4500), Image.Resampling.NEAREST)
    ink, scale = read_ink(io.BytesIO(encoded(large, kind)))
    assert scale in (5, 6, 8)  # a JPEG by powers of 2 first
    assert ink.shape == (-(-4500 // scale), -(-3500 // scale))
    again = np.array(Image.fromarray(seven).resize(ink.shape[::-1], Image.Resampling.BOX))
    assert np.abs(ink.astype(int) - again).mean() < 4


def test_a_path_and_a_file_are_read_alike(tmp_path, seven):
    path = tmp_path / "seven.txt"  # the content counts, not the name
    path.write_bytes(encoded(Image.fromarray(255 - seven)))
    for given in (path, str(path), io.BytesIO(path.read_bytes())):
        ink, scale = read_ink(given)
        np.testing.assert_array_equal(ink, seven)
        assert scale == 1


def test_only_the_first_frame_of_an_animation(seven):
    frames = [Image.fromarray(255 - seven), Image.fromarray(seven)]
    for kind in ("PNG", "GIF", "WEBP"):
        content = encoded(frames[0].convert("RGB"), kind, save_all=True, append_images=frames[1:] * 3, lossless=True)
        ink = read_ink(io.BytesIO(content))[0]
        np.testing.assert_allclose(ink, seven, atol=3)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, extra=b"", pixels=b""):
    """A grey PNG file."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(100_000, 100_000), (20_000, 1_000), (2**31 - 1, 1), (16_000_001, 1)])
def test_absurd_sizes_are_refused_before_decoding(tmp_path, size):
    (tmp_path / "bomb.png").write_bytes(png(*size))
    with pytest.raises(DataError, match=r"bomb\.png.*(pixels|size)"):
        read_ink(tmp_path / "bomb.png")


def test_bombs_are_refused():
    row = zlib.compress(bytes(2))
    many = png(1, 1, chunk(b"tIME", b"") * 20_000, row)
    with pytest.raises(DataError, match="too many parts"):
        read_ink(io.BytesIO(many))
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9_000_000)))
    with pytest.raises(DataError, match="the picture: cannot be read"):
        read_ink(io.BytesIO(png(1, 1, text, row)))
    with pytest.raises(DataError, match="64 MiB"):
        read_ink(io.BytesIO(encoded(Image.new("L", (9, 9)), "BMP") + bytes(64 * 2**20)))
    jpeg = encoded(Image.new("L", (1000, 1000)), "JPEG")
    with pytest.raises(DataError, match="pixels"):
        read_ink(io.BytesIO(jpeg + b"\xff\xda" * 1000))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"P5 1 1 255 a", b"GIF89a", b"BM"]
)
def test_what_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: .*(PNG, JPEG, WEBP, GIF, BMP|PNG or JPEG)"):
        read_ink(tmp_path / "a.png")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.png: there is no such file"):
        read_ink(tmp_path / "none.png")
    with pytest.raises(DataError, match="cannot be read"):
        read_ink(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_a_damaged_file_is_read_or_refused(rng, seven, kind):
    whole = encoded(Image.fromarray(255 - seven), kind)
    with pytest.raises(DataError):
        read_ink(io.BytesIO(whole[: len(whole) // 2]))
    for _ in range(60):
        content = bytearray(whole)
        for at in rng.integers(0, min(len(content), 600), 5):
            content[at] = rng.integers(256)
        with suppress(DataError):  # never another error
            assert read_ink(io.BytesIO(content))[0].dtype == np.uint8


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 999]
)
def test_absurd_exif_does_not_matter(seven, exif):
    np.testing.assert_array_equal(ink_of(Image.fromarray(255 - seven), exif=exif), seven)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (16383, 1), (1, 16383), (5000, 3)])
def test_thin_pictures(size):
    picture = Image.new("L", size, 255)
    picture.putpixel((0, size[1] // 2), 0)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
        ink, scale = read_ink(io.BytesIO(encoded(picture, kind)))
        assert ink.shape == (-(-size[1] // scale), -(-size[0] // scale))


def test_many_threads_get_the_ink_that_one_gets(seven):
    files = [encoded(coloured(seven, (200, 220, 240), (level, 0, 90)), "PNG") for level in range(0, 100, 5)]
    expected = [read_ink(io.BytesIO(file))[0] for file in files]
    wrong = []

    def work():
        for file, ink in zip(files, expected, strict=True):
            if not np.array_equal(read_ink(io.BytesIO(file))[0], ink):
                wrong.append(file)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
