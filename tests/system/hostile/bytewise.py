"""Picture files written byte by byte, so that they may say what no program would save."""

import struct
import zlib

import numpy as np

from nncore.types import Bytes

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG, by its colour type


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Length, kind, data, checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_head(width: int, height: int, depth: int = 8, colour: int = 0, interlaced: bool = False) -> bytes:
    """The first chunk."""
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def png(
    width: int = 9, height: int = 9, extra: bytes = b"", depth: int = 8, colour: int = 0, rows: bytes | None = None
) -> bytes:
    """A PNG: black, unless other rows are given. `extra` are chunks before them."""
    if rows is None:
        rows = bytes((1 + -(-width * depth * CHANNELS[colour] // 8)) * height)
    data = png_chunk(b"IDAT", zlib.compress(rows, 1))
    return PNG_SIGNATURE + png_head(width, height, depth, colour) + extra + data + png_chunk(b"IEND")


def interlaced_png(pixels: Bytes) -> bytes:
    """A grey PNG whose pixels come in seven passes."""
    rows = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in ADAM7 for row in pixels[y::dy, x::dx] if row.size)
    height, width = pixels.shape
    data = png_chunk(b"IDAT", zlib.compress(rows, 1))
    return PNG_SIGNATURE + png_head(width, height, interlaced=True) + data + png_chunk(b"IEND")


def bmp(
    width: int, height: int, bits: int = 24, compression: int = 0, colours: int = 0, start: int = 0, data: bytes = b""
) -> bytes:
    """A BMP with a palette of greys if it has 8 bits; its data begin behind the heads, unless `start` is given."""
    palette = np.arange(256, dtype=np.uint8).repeat(4).tobytes() if bits == 8 else b""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, start or 54 + len(palette)) + head + palette + data


def gif(width: int, height: int, body: bytes) -> bytes:
    """A GIF of two colours."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + body + b";"


def gif_frame(left: int, top: int, width: int, height: int, code_size: int = 2, data: bytes = b"\x44\x01") -> bytes:
    """One picture in it: a single pixel, unless other data are given, at most 255 bytes."""
    return b"," + struct.pack("<HHHHBB", left, top, width, height, 0, code_size) + bytes([len(data)]) + data + b"\0"


def webp(chunks: bytes, length: int | None = None) -> bytes:
    """A WebP, which may lie about its length."""
    return b"RIFF" + struct.pack("<I", len(chunks) + 4 if length is None else length) + b"WEBP" + chunks


def webp_head(width: int, height: int) -> bytes:
    """The chunk that says how large the whole is."""
    return b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
