import io
import json
import os
import random
import re
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nncore.errors import WeightsError
from nncore.network import weights
from nncore.network.weights import MAX_FILE, MAX_METADATA, Reader

ROOT = Path(__file__).parents[2]
quick = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path):
    with Reader(path) as file:
        arrays = file.arrays()
        assert {name: array.shape for name, array in arrays.items()} == file.shapes
        return arrays, file.metadata


def assert_same(arrays, expected):
    """Bit for bit, so that NaNs and negative zeros count as well."""
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.npz"


@pytest.fixture
def arrays(rng):
    return {
        "dense_1.kernel": rng.standard_normal((7, 5), np.float32),
        "dense_1.bias": rng.standard_normal(5),
        "dropout_1.seed_and_count": rng.integers(2**63, size=2, dtype=np.uint64),
    }


# What is written is what is read.


@quick
@given(
    st.dictionaries(
        st.text("abcxyz_./0123", min_size=1, max_size=12).filter(lambda name: name != "metadata"),
        hnp.arrays(
            st.sampled_from([np.float32, np.float64, np.uint64, np.int64, np.bool_, ">f4"]),
            hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
        ),
        max_size=4,
    )
)
def test_arrays_return_bit_for_bit(tmp_path, arrays):
    weights.write(tmp_path / "any.npz", arrays, {})
    got, metadata = read(tmp_path / "any.npz")
    assert_same(got, arrays)
    assert metadata == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@quick
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_metadata_returns_whatever_json_can_hold(tmp_path, metadata):
    weights.write(tmp_path / "any.npz", {}, metadata)
    assert read(tmp_path / "any.npz") == ({}, metadata)


def test_arrays_in_any_memory_layout_return_as_the_same_numbers(path, rng):
    a = rng.standard_normal((4, 5, 6))
    written = {"fortran": np.asfortranarray(a), "strided": a[::2, ::-1, 1:4], "transposed": a.T}
    weights.write(path, written, {})
    got, _ = read(path)
    for name, array in written.items():
        np.testing.assert_array_equal(got[name], array)


def test_any_numpy_can_read_the_file(path, arrays):
    weights.write(path, arrays, {"trained": "today"})
    with np.load(path, allow_pickle=False) as file:
        assert json.loads(str(file["metadata"])) == {"trained": "today"}
        assert_same({name: file[name] for name in file.files if name != "metadata"}, arrays)


def test_a_file_that_numpy_wrote_can_be_read(path, arrays):
    np.savez(path, metadata=np.array('{"by": "hand"}'), **arrays)
    got, metadata = read(path)
    assert_same(got, arrays)
    assert metadata == {"by": "hand"}


def test_the_same_content_gives_the_same_bytes(tmp_path, arrays):
    for name in "ab":
        weights.write(tmp_path / name, arrays, {"x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Bad files: one error, which names the file, and no memory to speak of.


def refused(path, budget=2**22):
    """The text of the WeightsError that reading gives; `budget` is how many bytes may be asked for meanwhile."""
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError) as error:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < budget
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def npy(array, **settings):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **settings)
    return file.getvalue()


def npy_with_header(header, data=b"", version=(1, 0)):
    text = header.encode() + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + data


def header(descr, shape):
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}"


def archive(path, members, compression=zipfile.ZIP_STORED, change=lambda members: None):
    """A zip of (name, bytes) pairs; `change` may lie about the members before the list of them is written."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, compression)
        change(file.filelist)


METADATA = ("metadata.npy", npy("{}"))
ONES = ("ones.npy", npy(np.ones(4)))


def test_the_helpers_make_a_good_file(path):
    archive(path, [METADATA, ONES])
    assert_same(read(path)[0], {"ones": np.ones(4)})


def test_a_missing_file_says_what_to_do(path):
    assert "make train" in refused(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"weights\n" * 9, b"\x1f\x8b\x08" + bytes(99), b"\x80\x04}\x94."])
def test_other_kinds_of_file_are_refused(path, content):
    path.write_bytes(content)
    refused(path)


def test_folders_pipes_and_devices_are_refused(tmp_path, path):
    assert "folder" in refused(tmp_path)
    os.mkfifo(path)
    assert "device" in refused(path)  # opening it would wait for ever
    refused(Path("/dev/zero"))


def test_a_file_that_is_too_large_is_refused_unread(path, arrays):
    weights.write(path, arrays, {})
    good = path.read_bytes()
    with path.open("wb") as file:
        file.truncate(MAX_FILE + 1)
        file.seek(0, os.SEEK_END)
        file.write(good)
    assert "at most" in refused(path)


def test_a_truncated_file_is_refused(path, arrays, rng):
    weights.write(path, arrays, {"some": "text"})
    good = path.read_bytes()
    for length in {0, 1, 21, 22, 41, 42, len(good) - 1, *rng.integers(len(good), size=80).tolist()}:
        path.write_bytes(good[:length])
        assert "only in part" in refused(path)


def test_bytes_after_the_end_are_refused(path, arrays):
    weights.write(path, arrays, {})
    path.write_bytes(path.read_bytes() + b"\0")
    assert "its end is missing" in refused(path)


def test_flipped_bits_are_noticed_or_harmless(path, arrays, rng):
    weights.write(path, arrays, {"some": "text"})
    good = path.read_bytes()
    caught = []
    for _ in range(400):
        bad = bytearray(good)
        for place in rng.integers(len(good), size=rng.integers(1, 4)):
            bad[place] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        try:
            got, metadata = read(path)
        except WeightsError as error:
            caught.append(str(error))
        else:
            assert_same(got, arrays)
            assert metadata == {"some": "text"}
    assert len(caught) > 250
    assert all(str(path) in error for error in caught)


def test_every_flip_within_the_numbers_is_caught(path, rng):
    array = rng.standard_normal(40, np.float32)
    weights.write(path, {"a": array}, {})
    good = path.read_bytes()
    start = good.index(array.tobytes())
    for place in range(start, start + array.nbytes):
        bad = bytearray(good)
        bad[place] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        assert "the array a, but Bad CRC-32" in refused(path)


def test_no_flip_in_the_list_of_arrays_loses_one(path, arrays):
    """The length of an entry's comment, for instance, may swallow the entry after it."""
    weights.write(path, arrays, {})
    good = path.read_bytes()
    for place in range(good.index(b"PK\1\2"), len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        path.write_bytes(bad)
        try:
            got, _ = read(path)
        except WeightsError:
            continue
        assert_same(got, arrays)


NO_DESCRIPTION = {
    "none": [ONES],
    "a number": [("metadata.npy", npy(1.5)), ONES],
    "two texts": [("metadata.npy", npy(["{}", "{}"]))],
    "bytes": [("metadata.npy", npy(b"{}"))],
    "no JSON": [("metadata.npy", npy("{'a': 1}"))],
    "no text": [("metadata.npy", npy(""))],
    "a list": [("metadata.npy", npy("[1, 2]"))],
    "deep": [("metadata.npy", npy("[" * 100_000))],
    "deep object": [("metadata.npy", npy('{"a":' * 10_000))],
    "a number of 5,000 digits": [("metadata.npy", npy('{"a": ' + "1" * 5000 + "}"))],
    "no characters": [("metadata.npy", npy_with_header(header("<U2", "()"), b"\xff" * 8))],
    "without .npy": [("metadata", npy("[]"))],
    "only a name": [("metadata.npy", b"")],
    "objects": [("metadata.npy", npy(np.array({}, object), allow_pickle=True))],
}


@pytest.mark.parametrize("members", NO_DESCRIPTION.values(), ids=NO_DESCRIPTION)
def test_a_file_without_a_description_is_refused(path, members):
    archive(path, members)
    assert re.search("description|metadata", refused(path))


def test_a_description_of_absurd_length_is_refused_unread(path):
    archive(path, [("metadata.npy", npy("x" * (MAX_METADATA // 4)))])
    refused(path)


class Boom:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["metadata.npy", "dense_1.kernel.npy"])
def test_no_pickle_is_ever_opened(tmp_path, path, name):
    trap = tmp_path / "trap"
    boom = npy(np.array([Boom(trap)], object), allow_pickle=True)
    archive(path, [(name, boom)] if name.startswith("metadata") else [METADATA, (name, boom)])
    assert "could run code" in refused(path)
    assert not trap.exists()


ZERO = "S0"  # a type whose elements have no bytes, so that any number of them fit
BAD_ARRAYS = {
    "claims 2**60": npy_with_header(header("<f8", f"({2**57},)"), bytes(64)),
    "claims 2**34": npy_with_header(header("<f8", f"({2**31},)"), bytes(64)),
    "claims less": npy_with_header(header("<f8", "(3,)"), bytes(64)),
    "overflows to its size": npy_with_header(header("<f8", f"({2**61}, 8, 1)"), b""),
    "zero times much": npy_with_header(header("<f8", f"(0, {2**70})"), b""),
    "negative": npy_with_header(header("<f8", "(-1, -8)"), bytes(64)),
    "much of nothing": npy_with_header(header(ZERO, f"({2**60},)"), b""),
    "a hundred axes": npy_with_header(header("<f8", str((1,) * 100)), bytes(8)),
    "no such type": npy_with_header(header("<q9", "(8,)"), bytes(64)),
    "type within type": npy_with_header(header([("a", "<f8", (2**40,))], "()"), bytes(64)),
    "shape of floats": npy_with_header(header("<f8", "(8.0,)"), bytes(64)),
    "no shape": npy_with_header("{'descr': '<f8'}", bytes(64)),
    "no header": npy_with_header("1", bytes(64)),
    "nested header": npy_with_header("(" * 5000, bytes(64)),
    "unary header": npy_with_header("-" * 9000 + "1", bytes(64)),
    "long header": npy_with_header(header("<f8", "(8,)") + " " * 60_000, bytes(64)),
    "header longer than the file": npy_with_header(header("<f8", "(8,)"), bytes(64))[:30],
    "version 3": npy_with_header(header("<f8", "(8,)"), bytes(64), (3, 0)),
    "version 9": npy_with_header(header("<f8", "(8,)"), bytes(64), (9, 0)),
    "not npy": b"just text",
    "nothing": b"",
}


@pytest.mark.parametrize("data", BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_an_array_that_is_not_what_it_says_is_refused(path, data):
    archive(path, [METADATA, ("dense_1.kernel.npy", data)])
    assert "the array dense_1.kernel" in refused(path)


def test_version_2_of_the_npy_format_can_be_read(path):
    archive(path, [METADATA, ("a.npy", npy(np.arange(3.0), version=(2, 0)))])
    assert_same(read(path)[0], {"a": np.arange(3.0)})


def lie_about_size(size):
    def change(members):
        members[1].file_size = members[1].compress_size = size

    return change


@pytest.mark.parametrize("exponent", [30, 34, 60])
def test_a_size_that_header_and_list_agree_on_must_be_there_as_well(path, exponent):
    data = npy_with_header(header("<f8", f"({2 ** (exponent - 3)},)"), bytes(64))
    archive(path, [METADATA, ("a.npy", data)], change=lie_about_size(2**exponent + len(data) - 64))
    assert "more bytes than the file" in refused(path)


def test_compressed_files_are_refused_before_they_unfold(path):
    np.savez_compressed(path, metadata=np.array("{}"), zeros=np.zeros(2**24))
    assert path.stat().st_size < 2**18
    assert "compressed" in refused(path)


def test_compression_that_calls_itself_none_is_refused(path):
    def change(members):
        for member in members:
            member.compress_type = zipfile.ZIP_STORED

    archive(path, [METADATA, ("zeros.npy", npy(np.zeros(2**18)))], zipfile.ZIP_DEFLATED, change)
    assert "compressed" in refused(path)


def test_two_arrays_of_one_name_are_refused(path):
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(path, [METADATA, ONES, ONES])
    assert "one name" in refused(path)
    archive(path, [METADATA, ("ones", ONES[1]), ONES])
    assert "one name" in refused(path)


def test_arrays_that_share_their_bytes_are_refused(path):
    data = npy(np.zeros(2**18))

    def change(members):
        for member in members[2:]:
            member.header_offset = members[1].header_offset

    archive(path, [METADATA, ("a.npy", data), *((f"b{i}.npy", npy(0.0)) for i in range(9))], change=change)
    refused(path)


def test_an_encrypted_array_is_refused(path):
    def change(members):
        members[1].flag_bits |= 1

    archive(path, [METADATA, ONES], change=change)
    refused(path)


MANY = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, *[0] * 15) * 100_000


def end_of_zip(directory_bytes):
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, directory_bytes, 0, 0)


def test_a_list_of_absurdly_many_arrays_is_refused_unread(path):
    path.write_bytes(MANY + end_of_zip(len(MANY)))
    assert "list of arrays" in refused(path)


def test_nor_does_the_longer_form_of_zip_get_around_this(path):
    """Where zipfile finds the end of a zip above 4 GiB, it takes the length of the list from there."""
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 100_000, 100_000, len(MANY), 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(MANY), 1)
    path.write_bytes(MANY + end + locator + end_of_zip(46))
    with zipfile.ZipFile(path) as file:
        assert len(file.infolist()) == 100_000
    refused(path)


# Writing: the old file or the new one.


def test_an_error_in_the_middle_of_writing_leaves_the_old_file(path, arrays):
    weights.write(path, arrays, {"old": True})
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        weights.write(path, {**arrays, "last": np.array([print], object)}, {"old": False})
    got, metadata = read(path)
    assert_same(got, arrays)
    assert metadata == {"old": True}
    assert os.listdir(path.parent) == [path.name]


def test_a_full_disk_leaves_the_old_file_and_one_clear_error(path, arrays):
    weights.write(path, arrays, {"old": True})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(WeightsError, match="cannot be written: File too large") as error:
            weights.write(path, {"large": np.zeros(100_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(path) in str(error.value)
    assert_same(read(path)[0], arrays)
    assert os.listdir(path.parent) == [path.name]


def test_a_place_that_cannot_be_written_gives_a_weights_error(tmp_path, arrays):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "weights.npz", tmp_path, Path("/dev/null")):
        with pytest.raises(WeightsError, match="cannot be written") as error:
            weights.write(path, arrays, {})
        assert str(path) in str(error.value)


SAVE_IN_A_LOOP = """
import itertools, sys
import numpy as np
from nncore.network.weights import write
for n in itertools.count():
    write(sys.argv[1], {"large": np.full(200_000, n, np.float32), "small": np.full(3, n)}, {"n": n})
    if n == 0:
        print("saving", flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SAVE_IN_A_LOOP, str(tmp_path / f"{i}" / "weights.npz")],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        for i in range(5)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == b"saving\n"
        for process in processes:
            time.sleep(random.uniform(0, 0.05))
            process.kill()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    for i in range(5):
        arrays, metadata = read(tmp_path / f"{i}" / "weights.npz")
        n = metadata["n"]
        assert_same(arrays, {"large": np.full(200_000, n, np.float32), "small": np.full(3, n)})
        others = set(os.listdir(tmp_path / f"{i}")) - {"weights.npz"}
        assert all(name.startswith(".weights.npz.") and name.endswith(".part") for name in others)
        assert len(others) <= 1
