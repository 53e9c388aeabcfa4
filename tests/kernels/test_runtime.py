import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nncore import kernels

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

import numba

from nncore.kernels import runtime
from nncore.kernels.simd.binding import ConstantType


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """The usual places for the cache cannot be written; the folder for temporary files is the test's."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(runtime, "PACKAGE", tmp_path / "file")
    monkeypatch.setattr(runtime.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "file"))
    monkeypatch.setattr(runtime, "_hash", lambda: "hash")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"nncore-kernels-{runtime._user()}"


def test_a_private_temporary_folder_where_the_usual_ones_cannot_be_written(nowhere):
    for _ in range(2):  # the second time it is there
        with pytest.warns(UserWarning, match=r"^the kernels' folder cannot .* kept in .*nncore-kernels-\d+$"):
            assert runtime.find_cache() == nowhere / "numba-hash"
    assert nowhere.stat().st_mode & 0o777 == 0o700


def linked(folder):
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)


def writable_by_the_group(folder):
    folder.mkdir()
    folder.chmod(0o720)


def writable_by_all(folder):
    folder.mkdir()
    folder.chmod(0o702)


@pytest.mark.parametrize(
    "plant",
    [linked, lambda folder: folder.symlink_to("nowhere"), writable_by_the_group, writable_by_all, Path.touch],
    ids=["link", "broken link", "writable by the group", "writable by all", "file"],
)
def test_a_folder_that_others_may_have_filled_is_not_used(nowhere, plant):
    plant(nowhere)
    with pytest.warns(UserWarning, match="compiled anew in every run") as warned:
        assert runtime.find_cache() is None
    assert len(warned) == 1


def test_another_users_folder_is_not_used(nowhere, monkeypatch):
    nowhere.mkdir(mode=0o700)
    other = runtime._user() + 1
    nowhere.rename(nowhere.with_name(f"nncore-kernels-{other}"))
    monkeypatch.setattr(runtime, "_user", lambda: other)
    with pytest.warns(UserWarning, match="compiled anew in every run"):
        assert runtime.find_cache() is None


def test_the_folder_is_the_users_choice_or_beside_the_sources(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "PACKAGE", tmp_path / "package")
    monkeypatch.setattr(runtime, "_hash", lambda: "new")
    beside = tmp_path / "package" / "__pycache__"
    (beside / "numba-old").mkdir(parents=True)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert runtime.find_cache() == beside / "numba-new"
    assert [path.name for path in beside.iterdir()] == ["numba-new"]  # what other sources gave is gone
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "chosen"))
    assert runtime.find_cache() == tmp_path / "chosen" / "numba-new"


def test_a_change_of_any_source_gives_another_folder(monkeypatch, tmp_path):
    (tmp_path / "conv").mkdir()
    (tmp_path / "conv" / "a.py").write_text("one")
    monkeypatch.setattr(runtime, "PACKAGE", tmp_path)
    before = runtime._hash()
    assert runtime._hash() == before
    (tmp_path / "conv" / "a.py").write_text("two")
    assert runtime._hash() != before


def test_the_hosts_setting_stays():
    program = "import numba; before = numba.config.CACHE_DIR\n"
    program += "import nncore.kernels.conv.winograd; assert numba.config.CACHE_DIR == before"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(runtime.__file__).parents[2])


def test_a_constant_has_the_type_of_its_value():
    assert ConstantType((1, 2)).name == ConstantType((1, 2)).name != ConstantType((1, 3)).name
