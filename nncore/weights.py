"""The weights file: a NumPy `.npz` that holds named arrays and a description in JSON, and nothing that is code.

    numpy.load("weights/reference.npz")["conv2d_1.kernel"]      # any NumPy can read it
    json.loads(str(numpy.load("weights/reference.npz")["metadata"]))

Files come from strangers, so reading trusts nothing: no pickles, no compression (a small file then cannot unfold into a
large one), and every array's header must agree with the bytes that are really there before memory is asked for.
"""

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from nncore.errors import WeightsError
from nncore.files import atomic_write
from nncore.types import Shape

METADATA = "metadata"
LARGEST_FILE = 2**29  # bytes; the reference network takes 4 MiB
LARGEST_METADATA = 2**22  # bytes

Arrays = dict[str, np.ndarray[Any, Any]]


def write(path: str | Path, arrays: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, Any]) -> None:
    """Write arrays and a description that JSON can hold; `path` then has the old file or the new one, whole."""
    text = np.array(json.dumps(metadata, indent=1))
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **{METADATA: text}, **arrays)


class Reader:
    """An open weights file: what is in it is known at once, the arrays are read when asked for.

        with Reader(path) as file:
            file.metadata, file.shapes
            arrays = file.arrays()

    Raises WeightsError, naming the file, for anything that `write` would not have written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            size = self.path.stat().st_size
            if size > LARGEST_FILE:
                raise WeightsError(f"{path} has {size:,} bytes; a weights file has at most {LARGEST_FILE:,}")
            self._zip = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise WeightsError(
                f"there is no weights file {path}: check the name, or train one with `make train`"
            ) from None
        except (OSError, zipfile.BadZipFile) as error:
            raise WeightsError(f"{path} is not a weights file, or only part of one ({error})") from None
        try:
            self.shapes = {member.filename.removesuffix(".npy"): self._shape(member) for member in self._zip.infolist()}
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

    def _shape(self, member: zipfile.ZipInfo) -> Shape:
        """The shape of an array, once its header is known to agree with the bytes of the file."""
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise self._damaged(f"{member.filename} is compressed, and weights files are not")
        try:
            with self._zip.open(member) as file:
                shape, dtype, header = _npy_header(file)
        except (ValueError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise self._damaged(f"{member.filename} is not an array ({error})") from None
        if dtype.hasobject:
            raise self._damaged(f"{member.filename} holds Python objects, which could run code")
        if math.prod(shape) * dtype.itemsize != member.file_size - header:
            raise self._damaged(f"{member.filename} says {dtype} {shape}, which does not match its size")
        return shape

    def _array(self, name: str) -> np.ndarray[Any, Any]:
        try:
            with self._zip.open(f"{name}.npy") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
                if file.read(1):
                    raise ValueError("bytes left over")
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise self._damaged(f"{name} cannot be read: {error}") from None
        return np.asarray(array)

    def _read_metadata(self) -> dict[str, Any]:
        if self.shapes.pop(METADATA, None) != () or self._zip.getinfo(f"{METADATA}.npy").file_size > LARGEST_METADATA:
            raise self._damaged("it has no description (an array `metadata` with JSON), so nncore did not write it")
        try:
            metadata = json.loads(str(self._array(METADATA)))
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"its description is not JSON ({error})") from None
        if not isinstance(metadata, dict):
            raise self._damaged("its description is not a JSON object")
        return metadata

    def _damaged(self, reason: str) -> WeightsError:
        return WeightsError(f"{self.path} is not a weights file that nncore can use: {reason}")


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
