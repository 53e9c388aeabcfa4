"""Pictures that are wrong or excessive in one thing: CRAFTED; BOMBS, to be refused; LARGE, the most that is allowed."""

import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

from tests.system.drawing import encoded
from tests.system.hostile.bytewise import (
    PNG_SIGNATURE,
    bmp,
    gif,
    gif_frame,
    interlaced_png,
    png,
    png_chunk,
    png_head,
    webp,
    webp_head,
)
from tests.system.hostile.damaged import Maker, sound

SEVERAL = (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"tRNS", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"eXIf")


def _resized_jpeg(width: int, height: int, file: bytes | None = None) -> bytes:
    """A small JPEG whose frame header says that it is larger."""
    file = file or sound()["JPEG"]["L"]
    at = max(file.find(b"\xff\xc0"), file.find(b"\xff\xc2")) + 5
    return file[:at] + struct.pack(">HH", height, width) + file[at + 4 :]


def _passes(times: int) -> bytes:
    """A progressive JPEG whose last pass comes again and again."""
    file = sound()["JPEG"]["progressive"]
    last = file.rindex(b"\xff\xda")
    return file[:last] + file[last:-2] * times + file[-2:]


def _jpeg_with(segments: bytes) -> bytes:
    file = sound()["JPEG"]["RGB"]
    return file[:2] + segments + file[2:]


def _exif(directory: bytes) -> bytes:
    return _jpeg_with(b"\xff\xe1" + struct.pack(">H", len(directory) + 8) + b"Exif\0\0" + directory)


def _exif_that_loops(rng: np.random.Generator) -> bytes:
    """Two directories, each of which says that the other comes next, and points to itself for details."""
    entry = struct.pack("<HHII", rng.choice([0x8769, 0x8825, 0xA005]), 4, 1, 8)
    return _exif(b"II*\0\x08\0\0\0\x01\0" + entry + struct.pack("<I", 26) + b"\x01\0" + entry + struct.pack("<I", 8))


def _exif_of_nonsense(rng: np.random.Generator) -> bytes:
    count = rng.choice([0, 1, 2**16, 2**32 - 1])
    entry = struct.pack("<HHII", rng.choice([0x0112, 0x8769, 0x014A]), rng.integers(20), count, rng.integers(2**32))
    return _exif(bytes(rng.choice([b"II*\0", b"MM\0*", b"II+\0"])) + b"\x08\0\0\0\x01\0" + entry + rng.bytes(60))


CRAFTED: dict[str, Maker] = {
    "PNG with a wrong checksum": lambda rng: png()[:-1] + b"\0",
    "PNG with a wrong checksum in its head": lambda rng: png()[:29] + b"\0" + png()[30:],
    "PNG of odd depth or colour": lambda rng: png(depth=int(rng.integers(33)), colour=int(rng.integers(9)), rows=b""),
    "PNG without width": lambda rng: png(0, 9),
    "PNG without data": lambda rng: PNG_SIGNATURE + png_head(9, 9) + png_chunk(b"IEND"),
    "PNG without palette": lambda rng: png(colour=3),
    "PNG with a palette of odd length": lambda rng: png(
        colour=3, extra=png_chunk(b"PLTE", rng.bytes(int(rng.integers(900))))
    ),
    "PNG with unknown filters": lambda rng: png(rows=b"\x09" * 90),
    "PNG with too few rows": lambda rng: png(rows=bytes(25)),
    "PNG with two heads": lambda rng: png(extra=png_head(9000, 9000)),
    "PNG that ends first": lambda rng: PNG_SIGNATURE + png_chunk(b"IEND") + png()[8:],
    "PNG of 20,000 empty chunks": lambda rng: png(extra=png_chunk(b"tIME") * 20_000),
    "PNG with nonsense in known chunks": lambda rng: png(
        extra=b"".join(png_chunk(kind, rng.bytes(int(rng.integers(40)))) for kind in SEVERAL)
    ),
    "PNG animated with nonsense": lambda rng: png(
        extra=png_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + png_chunk(b"fcTL", rng.bytes(26)) * 2
    ),
    "PNG and then a page": lambda rng: png() + b"<script>alert(1)</script>",
    "PNG signature and then a page": lambda rng: PNG_SIGNATURE + b"<!doctype html><script>alert(1)</script>",
    "GIF of 5,000 frames": lambda rng: gif(9, 9, gif_frame(0, 0, 1, 1) * 5000),
    "GIF with a frame outside": lambda rng: gif(9, 9, gif_frame(65535, 65535, 65535, 65535)),
    "GIF of odd code size": lambda rng: gif(9, 9, gif_frame(0, 0, 9, 9, int(rng.integers(256)), rng.bytes(30))),
    "GIF with a long comment": lambda rng: gif(
        9, 9, b"\x21\xfe" + (b"\xff" + b"x" * 255) * 4000 + b"\0" + gif_frame(0, 0, 1, 1)
    ),
    "GIF without a picture": lambda rng: gif(9, 9, b""),
    "GIF and then a page": lambda rng: sound()["GIF"]["L"] + b"<script>alert(1)</script>",
    "BMP with a random head": lambda rng: b"BM" + rng.bytes(12) + struct.pack("<I", 40) + rng.bytes(60),
    "BMP that begins beyond its end": lambda rng: bmp(9, 9, start=2**31, data=bytes(300)),
    "BMP upside down by far": lambda rng: bmp(9, -(2**31), data=bytes(300)),
    "BMP with a huge palette": lambda rng: bmp(9, 9, 8, colours=2**31, data=bytes(300)),
    "BMP of odd bits": lambda rng: bmp(9, 9, int(rng.integers(65)), int(rng.integers(9)), data=bytes(300)),
    "BMP whose runs overflow": lambda rng: bmp(9, 9, 8, 1, data=rng.bytes(400)),
    "WebP of no length": lambda rng: webp(sound()["WEBP"]["RGB"][12:], int(rng.choice([0, 2**32 - 1]))),
    "WebP of unknown chunks": lambda rng: webp(b"ABCD" + struct.pack("<I", 2**31)),
    "WebP of nothing": lambda rng: webp(b""),
    "JPEG of 300 passes": lambda rng: _passes(300),
    "JPEG of 10,000 comments": lambda rng: _jpeg_with(b"\xff\xfe\0\2" * 10_000),
    "JPEG without tables": lambda rng: sound()["JPEG"]["L"].replace(b"\xff\xc4", b"\xff\xfe"),
    "JPEG of no height": lambda rng: _resized_jpeg(60, 0),
    "JPEG of markers only": lambda rng: b"\xff\xd8" + b"\xff" * int(rng.integers(1, 3000)),
    "JPEG whose EXIF loops": _exif_that_loops,
    "JPEG whose EXIF is nonsense": _exif_of_nonsense,
    "JPEG whose EXIF is cut off": lambda rng: _exif(b"II*\0\xff\xff\xff\xff"),
}


@cache
def _unfolding_text(kind: bytes, length: int) -> bytes:
    head = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind]
    return png_chunk(kind, head + zlib.compress(bytes(length), 9))


@cache
def _unfolding_picture() -> bytes:
    return png(30_000, 30_000, depth=1)


BOMBS: dict[str, Maker] = {
    "PNG claiming 30,000 x 30,000": lambda rng: png(30_000, 30_000, rows=bytes(1000)),
    "PNG claiming 2^31 - 1 wide": lambda rng: png(2**31 - 1, 2**31 - 1, rows=b""),
    "PNG unfolding to 30,000 x 30,000": lambda rng: _unfolding_picture(),
    "PNG whose text unfolds": lambda rng: png(extra=_unfolding_text(b"zTXt", 10**8)),
    "PNG whose international text unfolds": lambda rng: png(extra=_unfolding_text(b"iTXt", 10**8)),
    "PNG whose many texts unfold": lambda rng: png(extra=_unfolding_text(b"zTXt", 10**6) * 70),
    "PNG whose profile unfolds": lambda rng: png(extra=_unfolding_text(b"iCCP", 10**8)),
    "GIF claiming 65,535 x 65,535": lambda rng: gif(65535, 65535, gif_frame(0, 0, 65535, 65535)),
    "BMP claiming 100,000 x 100,000": lambda rng: bmp(100_000, 100_000, data=bytes(300)),
    "BMP claiming runs of 60,000 x 60,000": lambda rng: bmp(60_000, 60_000, 8, 1, data=b"\xff\0" * 300),
    "WebP claiming 16,384 x 16,384": lambda rng: webp(webp_head(2**14, 2**14) + sound()["WEBP"]["RGB"][12:]),
    "JPEG claiming 65,500 x 65,500": lambda rng: _resized_jpeg(65500, 65500),
    "JPEG of 5,000 passes over a megapixel": lambda rng: _resized_jpeg(1000, 1000, _passes(5000)),
}


@cache
def _stripes(mode: str, kind: str, **options: object) -> bytes:
    """16 million pixels."""
    rows = np.tile(np.arange(250, dtype=np.uint8), (4000, 16))
    return encoded(Image.fromarray(rows).convert(mode), kind, **options)


@cache
def _once(make: Callable[[], bytes]) -> bytes:
    return make()


def _kept(make: Callable[[], bytes]) -> Maker:
    """What takes long to make is made once."""
    return lambda rng: _once(make)


LARGE: dict[str, Maker] = {
    "large PNG": _kept(lambda: png(4000, 4000, colour=6)),
    "large PNG of 16 bits": _kept(lambda: png(4000, 4000, depth=16, colour=6)),
    "large PNG, interlaced": _kept(lambda: interlaced_png(np.zeros((4000, 4000), np.uint8))),
    "large PNG, one pixel high": _kept(lambda: png(16_000_000, 1)),
    "PNG of the most text allowed": _kept(lambda: png(extra=_unfolding_text(b"zTXt", 10**6) * 60)),
    "PNG with more data than pixels": _kept(lambda: png(rows=bytes(10**8))),
    "large JPEG": _kept(lambda: encoded(Image.new("RGB", (8000, 6000), "white"), "JPEG")),
    "large JPEG, progressive": _kept(
        lambda: encoded(Image.new("RGB", (5000, 4000), "white"), "JPEG", progressive=True)
    ),
    "large GIF": _kept(lambda: _stripes("L", "GIF")),
    "large BMP": _kept(lambda: encoded(Image.new("1", (4000, 4000)), "BMP")),
    "large WebP": _kept(lambda: _stripes("RGB", "WEBP", method=0, quality=1)),
    "large WebP, lossless": _kept(lambda: _stripes("RGBA", "WEBP", lossless=True, method=0, quality=0)),
}
