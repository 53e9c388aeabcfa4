"""Digits as the strokes of a pen: 30 people wrote 250 each on a tablet, read from UNIPEN text.

E. Alpaydin, F. Alimoglu, "Pen-Based Recognition of Handwritten Digits", UCI Machine Learning Repository, data set 81,
1996, doi.org/10.24432/C5MG6K, licence CC BY 4.0. The file read here is their `pendigits-orig.tra`:

    .SEGMENT DIGIT 9-10 ? "4"       the pen's strokes number 9 and 10 of the file are a 4
    .COMMENT 4 14  100              the digit again, the writer, the sample
    .PEN_DOWN
     195  325                       x and y in tablet pixels, 10 points a second, y growing upwards
     ...
    .PEN_UP
    .DT 100

The authors do not say what the comment's numbers are, but the data do. The first always equals the label. The second
runs from 1 to 30, as many as there were writers; the third from 1 to 250, as many digits as each was asked for. No pair
occurs twice, six are missing (of writers 1, 17, 27 and 30), and all other writers have five digits 24 times and five 26
times. In the file the writers are shuffled.

The format: I. Guyon et al., "UNIPEN project of on-line data exchange and recognizer benchmarks", ICPR 1994. Only what
this data set uses of it is read.
"""

import gzip
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs

from nncore.data.mnist import given_folder
from nncore.errors import DataError
from nncore.types import Array

NAME = "pendigits-orig.tra"
PAGE = "https://archive.ics.uci.edu/dataset/81"
BOX = 500  # tablet pixels, the side of the square that people wrote in; the digits fill a third of it


class Drawing(NamedTuple):
    """One digit: each stroke float64 (points, 2), x to the right and y downwards from 0 to BOX."""

    label: int
    writer: int
    sample: int
    strokes: list[Array]


def find_pendigits(path: str | Path | None = None, data_dir: str | Path | None = None) -> Path:
    """The writers' file: `path`, or in that folder; by default in `pendigits` beside the folder with MNIST, `data_dir`
    or the one that NNCORE_DATA names, or in the user's cache directory.

    Raises DataError where it is not there, saying where to get it.
    """
    beside = given_folder(data_dir)
    cache = Path(platformdirs.user_cache_dir("nncore"))
    place = Path(path).expanduser() if path else (beside.resolve().parent if beside else cache) / "pendigits"
    for candidate in (place, *(place / (NAME + packed) for packed in ("", ".gz", ".Z"))):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{place}: there is no {NAME}, {NAME}.gz or {NAME}.Z. Get it from {PAGE} (UCI's data set 81, 1 MB) and put it "
        f"there, as it is"
    )


def read_unipen(path: str | Path) -> list[Drawing]:
    """The digits of a UNIPEN file in their order; unpacked on the way if the name ends in `.gz` or `.Z`.

    Raises DataError, naming the file and the line, where it cannot be read or is not what the head of this module says.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}). Get the file again: {PAGE}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if path.suffix == ".Z":
        data = _uncompress(data, path)
    return _parse(data.decode("latin-1"), path)


def _parse(text: str, path: Path) -> list[Drawing]:
    drawings: list[Drawing] = []
    label: int | None = None  # of a segment whose comment is still to come
    stroke: list[tuple[int, int]] | None = None  # while the pen is down
    number, line = 0, ""

    def expected(what: str) -> DataError:
        return DataError(f"{path}, line {number}: expected {what}, found {line[:60]!r}. Get the file again: {PAGE}")

    for number, line in enumerate(text.splitlines(), 1):  # noqa: B007 (the messages say the last line too)
        keyword, _, rest = line.strip().partition(" ")
        if stroke is not None and keyword != ".PEN_UP":
            try:
                x, y = map(int, line.split())
            except ValueError:
                raise expected("x and y of a point as two whole numbers, or .PEN_UP") from None
            stroke.append((x, BOX - y))
        elif keyword == ".SEGMENT":
            named = re.fullmatch(r'DIGIT\s.*"([0-9])"', rest.strip())
            if label is not None or not named:
                raise expected("a .COMMENT first" if label is not None else 'DIGIT and a label, "0" to "9"')
            label = int(named[1])
        elif keyword == ".COMMENT":
            counts = rest.split()
            if label is None or len(counts) != 3 or not all(c.isdecimal() for c in counts) or int(counts[0]) != label:
                raise expected(f"the digit {label}, the writer and the sample" if label is not None else "a .SEGMENT")
            drawings.append(Drawing(label, int(counts[1]), int(counts[2]), []))
            label = None
        elif keyword == ".PEN_DOWN":
            if label is not None or not drawings:
                raise expected("a .SEGMENT and its .COMMENT before any stroke")
            stroke = []
        elif keyword == ".PEN_UP":
            if not stroke:
                raise expected("a .PEN_DOWN and points before it")
            drawings[-1].strokes.append(np.array(stroke, np.float64))
            stroke = None
        elif keyword and not keyword.startswith("."):
            raise expected("a line that begins with a keyword such as .SEGMENT")
    if stroke is not None or label is not None or not all(drawing.strokes for drawing in drawings) or not drawings:
        raise expected("digits, each with its strokes, to the end of the file")
    return drawings


def _uncompress(data: bytes, path: Path) -> bytes:
    """What Unix `compress` packed: T. Welch, "A technique for high-performance data compression", IEEE Computer, 1984.

    A code stands for a string: 0 to 255 for one byte, any later one for the string before it and one byte more. Codes
    have 9 bits at first and grow with the table, up to the number in the header; 256 empties the table.
    """
    if data[:2] != b"\x1f\x9d" or len(data) < 3 or not 10 <= data[2] & 31 <= 16:
        raise DataError(f"{path}: expected a file of Unix compress, found {data[:3].hex() or 'nothing'} at its start")
    widest, can_empty = data[2] & 31, data[2] & 128
    fresh = [bytes([i]) for i in range(256)] + [b""] * bool(can_empty)
    table, previous = fresh.copy(), b""
    strings: list[bytes] = []
    width, begin, count = 9, 3, 0  # count codes of this width have been read since byte `begin`
    while True:
        if len(table) == 1 << width and width < widest:
            begin, count, width = begin + _padded(width, count), 0, width + 1
        bit = 8 * begin + width * count
        if bit + width > 8 * len(data):
            return b"".join(strings)
        code = int.from_bytes(data[bit // 8 : bit // 8 + 3], "little") >> bit % 8 & (1 << width) - 1
        count += 1
        if can_empty and code == 256:
            begin, count, width = begin + _padded(width, count), 0, 9
            table, previous = fresh.copy(), b""
            continue
        if code > len(table) or (code == len(table) and not previous):
            raise DataError(f"{path}: cannot be unpacked: damaged at byte {bit // 8}. Get the file again: {PAGE}")
        # The one code that may be used before it is in the table begins and ends with the same byte
        string = table[code] if code < len(table) else previous + previous[:1]
        if previous and len(table) < 1 << widest:
            table.append(previous + string[:1])
        strings.append(string)
        previous = string


def _padded(width: int, count: int) -> int:
    """The bytes that so many codes take: compress writes them by the eight, and the rest is left unused."""
    return width * -(-count // 8)
