"""The weights file: a NumPy `.npz` that holds named arrays and a description in JSON, and nothing that is code.

    numpy.load("weights/reference.npz")["conv2d_1.kernel"]      # any NumPy can read it
    json.loads(str(numpy.load("weights/reference.npz")["metadata"]))

Files come from strangers, so reading trusts nothing: no pickles, no compression (a small file then cannot unfold into a
large one), and every array's header must agree with the bytes that are really there before memory is asked for.
"""

import json
import math
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from nncore.errors import WeightsError
from nncore.files import atomic_write
from nncore.types import Shape

METADATA = "metadata"
MAX_FILE = 2**29  # bytes; the reference network takes 4 MiB
MAX_METADATA = 2**22  # bytes
MAX_DIRECTORY = 2**20  # bytes of the list of arrays at the file's end; zipfile reads the whole of it at once

Arrays = dict[str, np.ndarray[Any, Any]]


def write(path: str | Path, arrays: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, Any]) -> None:
    """Write arrays and a description that JSON can hold; `path` then has the old file or the new one, whole.

    Raises WeightsError if the file cannot be written.
    """
    text = np.array(json.dumps(metadata, indent=1))
    try:
        with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
            for name, array in {METADATA: text, **arrays}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror or error}") from error


class Reader:
    """An open weights file: what is in it is known at once, the arrays are read when asked for.

        with Reader(path) as file:
            file.metadata, file.shapes
            arrays = file.arrays()

    Raises WeightsError, naming the file, for anything that `write` would not have written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._expecting("a zip archive"):
            if not self.path.exists():
                raise WeightsError(f"there is no weights file {path}: check the name, or train one with `make train`")
            count = _check_end(self.path)
            self._zip = zipfile.ZipFile(self.path)
        try:
            self._members = self._list_members(count)
            self.shapes = {name: self._shape(name) for name in self._members}
            self.metadata = self._read_metadata()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exception: object) -> None:
        self._zip.close()

    def arrays(self) -> Arrays:
        """Every array by name, without the metadata."""
        return {name: self._array(name) for name in self.shapes}

    def _list_members(self, count: int) -> dict[str, zipfile.ZipInfo]:
        members = self._zip.infolist()
        if len(members) != count:
            raise self._damaged(f"{len(members)} of its {count} arrays can be found")
        by_name = {member.filename.removesuffix(".npy"): member for member in members}
        if len(by_name) < len(members):
            raise self._damaged("two of its arrays have one name")
        if any(m.compress_type != zipfile.ZIP_STORED or m.compress_size != m.file_size for m in members):
            raise self._damaged("it is compressed, and weights files are not")
        if sum(member.file_size for member in members) > self.path.stat().st_size:
            raise self._damaged("its arrays claim to have more bytes than the file")
        return by_name

    def _shape(self, name: str) -> Shape:
        """The shape of an array, once its header is known to agree with the bytes of the file."""
        member = self._members[name]
        with self._expecting(f"the array {name}"), self._zip.open(member) as file:
            shape, dtype, header = _npy_header(file)
            if dtype.hasobject:
                raise ValueError("it holds Python objects, which could run code")
            if not dtype.itemsize or math.prod(shape) * dtype.itemsize != member.file_size - header:
                raise ValueError(f"{dtype} {shape} does not match its size")
        return shape

    def _array(self, name: str) -> np.ndarray[Any, Any]:
        with self._expecting(f"the array {name}"), self._zip.open(self._members[name]) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))

    def _read_metadata(self) -> dict[str, Any]:
        if self.shapes.pop(METADATA, None) != () or self._members[METADATA].file_size > MAX_METADATA:
            raise self._damaged("it has no description (an array `metadata` with JSON), so nncore did not write it")
        with self._expecting("a description in JSON"):
            metadata = json.loads(str(self._array(METADATA)))
        if not isinstance(metadata, dict):
            raise self._damaged("its description is not a JSON object")
        return metadata

    @contextmanager
    def _expecting(self, what: str) -> Iterator[None]:
        """Within this block any error means that the file does not hold `what`."""
        try:
            yield
        except WeightsError:
            raise
        except Exception as error:  # zipfile and NumPy raise nearly anything when bytes are damaged
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise self._damaged(f"expected {what}, but {reason}") from None

    def _damaged(self, reason: str) -> WeightsError:
        return WeightsError(f"{self.path} is not a weights file that nncore can use: {reason}")


def _check_end(path: Path) -> int:
    """How many arrays the file says it has; ValueError unless it is of a sane size and ends as `write` ends it.

    Source: PKWARE, "APPNOTE.TXT", sections 4.3.15 and 4.3.16: the last 22 bytes, and 20 before them in files of 4 GiB.
    """
    if not path.is_file():
        raise ValueError("it is a folder or a device")
    if path.stat().st_size > MAX_FILE:
        raise ValueError(f"it has {path.stat().st_size:,} bytes; a weights file has at most {MAX_FILE:,}")
    with path.open("rb") as file:
        file.seek(-min(42, path.stat().st_size), os.SEEK_END)
        tail = file.read()
    if tail[-22:-18] != b"PK\5\6" or tail[:4] == b"PK\6\7" or tail[-2:] != b"\0\0":
        raise ValueError("its end is missing: perhaps it was copied or downloaded only in part")
    count, size = struct.unpack("<HI", tail[-12:-6])
    if size > MAX_DIRECTORY:
        raise ValueError(f"its list of arrays has {size:,} bytes, more than {MAX_DIRECTORY:,}")
    return int(count)


def _npy_header(file: IO[bytes]) -> tuple[Shape, np.dtype[Any], int]:
    """The shape and dtype that an .npy header states, and the header's length in bytes."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"npy format {version[0]}.{version[1]}")
    if any(length < 0 for length in shape):
        raise ValueError(f"shape {shape}")
    return shape, dtype, file.tell()
