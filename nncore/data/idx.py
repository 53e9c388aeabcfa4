"""IDX, the file format of MNIST: a short header, then the array's bytes.

    bytes 0-1   zero
    byte  2     type of the elements: 0x08 is uint8, the only one read here
    byte  3     number of dimensions
    then        each dimension's size, 4 bytes, big-endian
    then        the elements in C order

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from nncore.errors import DataError
from nncore.files import atomic_write
from nncore.types import Bytes

UINT8 = 0x08
MAX_DIMENSIONS = 4
MAX_BYTES = 2**30  # MNIST's largest file holds 47 MB: a header that claims more than 1 GiB is damaged or hostile
CHUNK = 2**20


def read_idx(path: str | Path) -> Bytes:
    """The array in an IDX file, of the shape its header says; unpacked on the way if the name ends in `.gz`.

    Raises DataError, naming the file, if it cannot be read, is not IDX of uint8, or holds more or fewer bytes than
    its header says. Memory grows with what is in the file, never with what the header claims.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _read_header(file, path)
            data = _read_at_most(file, math.prod(shape) + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        with path.open("rb") as raw:
            raise DataError(
                f"{path}: cannot be unpacked ({error}). Its name says gzip, its first bytes look like "
                f"{kind(raw.read(64))}. Get the file again, or give it the name that fits"
            ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) != math.prod(shape):
        found = "more" if len(data) > math.prod(shape) else f"only {len(data):,}"
        raise DataError(
            f"{path}: expected {math.prod(shape):,} bytes after a header that says {shape}, found {found}. "
            f"Get the file again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def write_idx(path: str | Path, array: Bytes) -> None:
    """Write a uint8 array of 1 to 4 dimensions as IDX, whole or not at all; packed if the name ends in `.gz`.

    The same array always gives the same bytes. Raises DataError for any other array.
    """
    if array.dtype != np.uint8 or not 1 <= array.ndim <= MAX_DIMENSIONS:
        raise DataError(
            f"{path}: IDX files here hold uint8 arrays of 1 to {MAX_DIMENSIONS} dimensions, "
            f"not {array.dtype} of shape {array.shape}"
        )
    data = struct.pack(f">HBB{array.ndim}I", 0, UINT8, array.ndim, *array.shape) + array.tobytes()
    with atomic_write(path) as file:
        if Path(path).suffix == ".gz":
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:  # neither a name nor the time of day inside
                packed.write(data)
        else:
            file.write(data)


def kind(start: bytes) -> str:
    """What a file is, from its first bytes, in words for an error message: IDX, gzip, a web page or the like."""
    if not start:
        return "nothing: it is empty"
    if start.startswith(bytes([0, 0, UINT8])):
        return "IDX that is not packed"
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    if start.startswith(b"PK\x03\x04"):
        return "a zip archive"
    if start.lstrip().startswith(b"<"):
        return "a web page (HTML)"
    return "nothing known"


def _read_header(file: io.BufferedIOBase, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    dimensions = magic[-1] if magic else 0
    if magic[:3] != bytes([0, 0, UINT8]) or len(magic) < 4 or not 1 <= dimensions <= MAX_DIMENSIONS:
        raise DataError(
            f"{path}: not an IDX file of uint8: expected it to start with 0x00000801 (labels) or 0x00000803 "
            f"(images), found 0x{magic.hex()}, which looks like {kind(magic + file.read(60))}. Get the file again, or "
            f"give it the name that fits (.gz if it is packed)"
        )
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{path}: ends within its header of {4 + 4 * dimensions} bytes. Get the file again")
    shape = struct.unpack(f">{dimensions}I", sizes)
    # Without the zeros: NumPy cannot hold (0, 2**32 - 1, 2**32 - 1), which has no elements.
    if math.prod(max(size, 1) for size in shape) > MAX_BYTES:
        raise DataError(
            f"{path}: the header claims {shape}, more than the {MAX_BYTES:,} bytes read here. Get the file again"
        )
    return shape


def _read_at_most(file: io.BufferedIOBase, limit: int) -> bytearray:
    data = bytearray()
    # In pieces, because read(limit) would reserve the whole limit at once however short the file is.
    while piece := file.read(min(CHUNK, limit - len(data))):
        data += piece
    return data
