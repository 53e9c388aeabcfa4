"""Small pictures of every format and kind of pixel: cut off, flipped, mixed up."""

import struct
from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
from PIL import Image, ImageDraw

from tests.system.drawing import encoded
from tests.system.hostile.bytewise import PNG_SIGNATURE, bmp, interlaced_png, png_chunk

Maker = Callable[[np.random.Generator], bytes]
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
SIDE = 60  # pixels


@cache
def sound() -> dict[str, dict[str, bytes]]:
    """A small picture of a seven, by format and variant: what is damaged below. All of them can be read."""
    page = Image.new("RGBA", (SIDE, SIDE), "white")
    ImageDraw.Draw(page).line([(15, 12), (45, 12), (25, 48)], fill=(20, 20, 60, 255), width=5)
    blank = Image.new("RGBA", (SIDE, SIDE))
    grey = np.asarray(page.convert("L"))
    pixels = {mode: page.convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")}
    pixels["I;16"] = Image.fromarray(grey.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "a camera", 0x9286: "words"})
    animated = {"save_all": True, "append_images": [blank, page]}
    modes = {"PNG": "1 L LA P RGB RGBA I;16", "JPEG": "L RGB CMYK", "WEBP": "RGB RGBA", "GIF": "1 L P", "BMP": "1 L P"}
    files = {f: {m: encoded(pixels[m], f) for m in modes.get(f, "").split()} for f in FORMATS}
    files["PNG"]["interlaced"] = interlaced_png(grey)
    files["PNG"]["animated"] = encoded(page, "PNG", **animated)
    files["PNG"]["EXIF"] = encoded(page, "PNG", exif=exif)
    files["PNG"]["transparent colour"] = encoded(pixels["P"], "PNG", transparency=0)
    files["JPEG"]["progressive"] = encoded(pixels["RGB"], "JPEG", progressive=True)
    files["JPEG"]["EXIF"] = encoded(pixels["RGB"], "JPEG", exif=exif)
    files["JPEG"]["several"] = encoded(pixels["RGB"], "MPO", save_all=True, append_images=[pixels["RGB"]])
    files["WEBP"]["lossless"] = encoded(page, "WEBP", lossless=True, exif=exif)
    files["WEBP"]["animated"] = encoded(page, "WEBP", **animated)
    files["GIF"]["animated"] = encoded(pixels["P"], "GIF", save_all=True, append_images=[pixels["L"], blank])
    files["BMP"]["RGB"] = encoded(pixels["RGB"], "BMP")
    files["BMP"]["RGBA"] = encoded(page, "BMP")
    files["BMP"]["run lengths"] = bmp(SIDE, SIDE, 8, 1, data=b"\x14\xff\x14\0\x14\xff\0\0" * SIDE + b"\0\1")
    return files


# What is done to them: file -> file


def _cut(file: bytes, rng: np.random.Generator) -> bytes:
    return file[: rng.integers(len(file))]


def _flipped(file: bytes, rng: np.random.Generator) -> bytes:
    return _with_flips(file, rng, len(file))


def _flipped_head(file: bytes, rng: np.random.Generator) -> bytes:
    return _with_flips(file, rng, min(len(file), 80))


def _with_flips(file: bytes, rng: np.random.Generator, end: int) -> bytes:
    damaged = bytearray(file)
    for place in rng.integers(end, size=rng.integers(1, 17)):
        damaged[place] ^= 1 << rng.integers(8)
    return bytes(damaged)


def _blotted(file: bytes, rng: np.random.Generator) -> bytes:
    start, end = np.sort(rng.integers(len(file), size=2))
    return file[:start] + bytes([int(rng.choice([0, 255]))]) * int(end - start) + file[end:]


def _stuffed(file: bytes, rng: np.random.Generator) -> bytes:
    place = rng.integers(len(file))
    return file[:place] + rng.bytes(int(rng.integers(1, 300))) + file[place:]


def _mixed(file: bytes, rng: np.random.Generator) -> bytes:
    a, b, c = np.sort(rng.integers(len(file), size=3))
    return file[:a] + file[b:c] + file[a:b] + file[c:]


def _spliced(file: bytes, rng: np.random.Generator) -> bytes:
    other = _any(rng, str(rng.choice(FORMATS)))
    return file[: rng.integers(len(file))] + other[rng.integers(len(other)) :]


def _lying_lengths(file: bytes, rng: np.random.Generator) -> bytes:
    """Four bytes somewhere near the beginning become a number at the edge of what they can hold."""
    place = rng.integers(max(1, min(len(file), 200) - 4))
    number = rng.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1])
    return file[:place] + struct.pack(str(rng.choice(["<I", ">I"])), number) + file[place + 4 :]


DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "cut off": _cut,
    "bits flipped": _flipped,
    "bits flipped in its head": _flipped_head,
    "partly blotted out": _blotted,
    "stuffed": _stuffed,
    "mixed up": _mixed,
    "spliced with another": _spliced,
    "a length that lies": _lying_lengths,
}


def _any(rng: np.random.Generator, kind: str) -> bytes:
    files = list(sound()[kind].values())
    return files[rng.integers(len(files))]


def _damaged(kind: str, damage: str) -> Maker:
    return lambda rng: DAMAGES[damage](_any(rng, kind), rng)


def _mended(rng: np.random.Generator) -> bytes:
    """A PNG damaged within its chunks, whose checksums are right: the damage reaches the decoder."""
    file, mended, at = _any(rng, "PNG"), PNG_SIGNATURE, len(PNG_SIGNATURE)
    while at < len(file):
        length = int.from_bytes(file[at : at + 4], "big")
        kind, data = file[at + 4 : at + 8], file[at + 8 : at + 8 + length]
        mended += png_chunk(kind, _with_flips(data, rng, length) if data and rng.random() < 0.4 else data)
        at += 12 + length
    return mended


DAMAGED: dict[str, Maker] = {
    **{f"{kind}, {damage}": _damaged(kind, damage) for kind, damage in product(FORMATS, DAMAGES)},
    "PNG, bits flipped behind right checksums": _mended,
}
