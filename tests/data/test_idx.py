import gzip
import io
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from nncore.data.idx import read_idx, write_idx
from nncore.errors import DataError

LABELS = struct.pack(">II", 0x801, 3) + bytes([7, 0, 255])


@pytest.mark.parametrize("name", ["array-idx", "array-idx.gz"])
@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_what_is_written_is_read_back(tmp_path: Path, rng: np.random.Generator, name: str, dimensions: int) -> None:
    for least in (0, 1):  # also arrays without elements
        array = rng.integers(0, 256, rng.integers(least, 9, dimensions), dtype=np.uint8)
        write_idx(tmp_path / name, array)
        back = read_idx(tmp_path / name)
        assert back.dtype == np.uint8
        assert back.shape == array.shape
        assert np.array_equal(back, array)


def test_strided_arrays_are_written_in_their_own_order(tmp_path: Path, rng: np.random.Generator) -> None:
    array = rng.integers(0, 256, (6, 5, 4), dtype=np.uint8).T[::2, ::-1]
    write_idx(tmp_path / "idx", array)
    assert np.array_equal(read_idx(tmp_path / "idx"), array)


def test_the_bytes_are_those_of_the_format(tmp_path: Path) -> None:
    write_idx(tmp_path / "labels", np.array([7, 0, 255], np.uint8))
    assert (tmp_path / "labels").read_bytes() == LABELS
    write_idx(tmp_path / "images", np.zeros((2, 28, 28), np.uint8))
    assert (tmp_path / "images").read_bytes() == bytes.fromhex("00000803 00000002 0000001c 0000001c") + bytes(2 * 784)


def test_packed_files_hold_neither_name_nor_time(tmp_path: Path) -> None:
    array = np.arange(100, dtype=np.uint8)
    write_idx(tmp_path / "one.gz", array)
    write_idx(tmp_path / "two.gz", array)
    packed = (tmp_path / "one.gz").read_bytes()
    assert packed == (tmp_path / "two.gz").read_bytes()
    assert packed[3:8] == bytes(5)  # flags (no name) and time


def test_a_long_file_is_read_in_pieces(tmp_path: Path, rng: np.random.Generator) -> None:
    array = rng.integers(0, 256, 2**20 + 2**19, dtype=np.uint8)
    write_idx(tmp_path / "long", array)
    assert np.array_equal(read_idx(tmp_path / "long"), array)


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros(3, np.int8), np.uint8(3), np.zeros((1,) * 5, np.uint8)])
def test_other_arrays_are_not_written(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8 arrays of 1 to 4 dimensions"):
        write_idx(tmp_path / "idx", array)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found 0x, which looks like nothing: it is empty"),
        (b"\0\0", "found 0x0000,"),
        (b"\0\0\x08", "found 0x000008,"),
        (b"\0\0\x08\0", "expected it to start with 0x00000801 .* found 0x00000800"),
        (b"\0\0\x08\x05" + bytes(21), "found 0x00000805"),
        (b"\0\0\x0d\x01" + bytes(8), "found 0x00000d01"),
        (b"\x03\x08\0\0" + bytes(8), "found 0x03080000"),
        (b"\n<!DOCTYPE html><html>404", r"looks like a web page \(HTML\)"),
        (b"PK\x03\x04" + bytes(30), "looks like a zip archive"),
        (gzip.compress(LABELS, mtime=0), "looks like gzip.*(.gz if it is packed)"),
        (b"\0\0\x08\x03" + bytes(11), "ends within its header of 16 bytes"),
        (LABELS[:-1], r"expected 3 bytes after a header that says \(3,\), found only 2"),
        (LABELS + b"\0", "expected 3 bytes .* found more"),
        (b"\0\0\x08\x03" + b"\xff" * 12, r"claims \(4294967295, 4294967295, 4294967295\)"),
        (b"\0\0\x08\x03" + bytes(4) + b"\xff" * 8, r"claims \(0, 4294967295, 4294967295\)"),
        (struct.pack(">II", 0x801, 2**30 + 1), r"claims \(1073741825,\), more than the 1,073,741,824 bytes"),
    ],
)
def test_damaged_files_are_named_and_explained(tmp_path: Path, content: bytes, message: str) -> None:
    plain, packed = tmp_path / "plain-idx", tmp_path / "packed-idx.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content, mtime=0))  # the same fault inside a sound gzip file
    for path in (plain, packed):
        with pytest.raises(DataError, match=message) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(LABELS, mtime=0)[:-9], "cannot be unpacked .* ended before"),
        (gzip.compress(LABELS, mtime=0)[:5], "cannot be unpacked"),
        (gzip.compress(LABELS, mtime=0)[:-8] + bytes(8), "cannot be unpacked .*CRC"),
        (gzip.compress(LABELS, mtime=0) + b"more", "cannot be unpacked .*look like gzip"),
        (b"\x1f\x8b\x08\0" + bytes(6) + b"\xff" * 20, "cannot be unpacked .*invalid block"),
        (b"<html>404</html>", r"cannot be unpacked .*look like a web page \(HTML\)"),
        (LABELS, "cannot be unpacked .*look like IDX that is not packed"),
    ],
)
def test_damaged_gzip_is_named_and_explained(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels-idx.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "nowhere.gz"):
        with pytest.raises(DataError, match=r"cannot be read: (No such file|Is a directory)") as caught:
            read_idx(path)
        assert str(path) in str(caught.value)


def test_every_flipped_bit_of_a_gzip_file_is_harmless_or_noticed(tmp_path: Path, rng: np.random.Generator) -> None:
    array = rng.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    path = tmp_path / "array-idx.gz"
    write_idx(path, array)
    sound = path.read_bytes()
    noticed = 0
    for bit in range(8 * len(sound)):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert np.array_equal(read_idx(path), array)
        except DataError:
            noticed += 1
    assert noticed > 7 * (len(sound) - 10)  # all but the 10 bytes of gzip's header, which says little


@pytest.mark.parametrize("name", ["tiny", "tiny.gz"])
def test_memory_follows_the_file_not_its_header(tmp_path: Path, name: str) -> None:
    header = struct.pack(">II", 0x801, 2**30)
    (tmp_path / name).write_bytes(gzip.compress(header, mtime=0) if name.endswith(".gz") else header)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="found only 0"):
            read_idx(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=1) as file:
        file.write(LABELS)
        for _ in range(64):
            file.write(bytes(2**20))
    path = tmp_path / "bomb.gz"
    path.write_bytes(bomb.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"expected 3 bytes .* found more"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.gz"
    write_idx(path, np.array([1], np.uint8))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_idx(path, np.array([2], np.uint8))
    assert read_idx(path).tolist() == [1]
    assert list(tmp_path.iterdir()) == [path]
