import os
import stat
from pathlib import Path

import pytest

from nncore.errors import NNCoreError
from nncore.files import atomic_write, check_writable


def write(path, data):
    with atomic_write(path) as file:
        file.write(data)


def test_the_file_and_its_folders_appear_when_the_block_ends(tmp_path):
    path = tmp_path / "some" / "folder" / "file.bin"
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file.bin"]


def test_a_reader_sees_the_old_file_until_the_block_ends(tmp_path):
    path = tmp_path / "file"
    write(path, b"old")
    with atomic_write(path) as file:
        file.write(b"new and longer")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new and longer"


def test_who_has_opened_the_old_file_goes_on_reading_it(tmp_path):
    path = tmp_path / "file"
    write(path, b"old")
    with path.open("rb") as opened:
        write(path, b"new")
        assert opened.read() == b"old"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_middle_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "file"
    write(path, b"old")

    def write_half():
        with atomic_write(path) as file:
            file.write(b"half of it")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_file_has_the_rights_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def impossible(tmp_path):
    """Paths that nobody can write to, whoever runs the tests."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_bytes(b"a file")
    os.mkfifo(tmp_path / "pipe")
    return {
        "folder": tmp_path / "folder",
        "below a file": tmp_path / "plain" / "weights.npz",
        "pipe": tmp_path / "pipe",
        "device": Path("/dev/null"),
        "name too long": tmp_path / ("x" * 255),
    }


@pytest.mark.parametrize("kind", ["folder", "below a file", "pipe", "device", "name too long"])
def test_what_cannot_be_written_is_left_alone(tmp_path, kind):
    path = impossible(tmp_path)[kind]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match=r"\w+"):
        write(path, b"new")
    with pytest.raises(NNCoreError, match="cannot be written") as error:
        check_writable(path)
    assert str(path) in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/dev/null").is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(NNCoreError, match="Permission denied"):
        check_writable(tmp_path / "locked" / "file")


def test_what_can_be_written_is_not_changed_by_asking(tmp_path):
    check_writable(tmp_path / "new" / "file")
    assert os.listdir(tmp_path / "new") == []
    write(tmp_path / "file", b"old")
    check_writable(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["file", "new"]
