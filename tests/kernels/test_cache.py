import os
import tempfile
from pathlib import Path

import pytest

numba = pytest.importorskip("numba")
cache = pytest.importorskip("nncore.kernels.cache")


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Numba finds no folder to write to but those allowed."""
    allowed = []

    def njit(cache):
        assert cache
        if numba.config.CACHE_DIR not in allowed:
            raise RuntimeError("cannot cache function")
        return lambda function: function

    monkeypatch.setattr(cache.numba, "njit", njit)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return allowed


def test_another_folder_where_the_usual_ones_cannot_be_written(nowhere, tmp_path):
    folder = tmp_path / f"nncore-kernels-{os.getuid()}"
    nowhere.append(str(folder))
    with pytest.warns(UserWarning, match=r"^the kernels' folder cannot be written: .* kept in .*nncore-kernels-\d+$"):
        assert cache.find_cache()
    assert nowhere == [numba.config.CACHE_DIR]
    assert folder.stat().st_mode & 0o777 == 0o700
    numba.config.CACHE_DIR = ""
    with pytest.warns(UserWarning, match="compiled kernels are kept in"):  # now that it is there
        assert cache.find_cache()


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
def test_a_folder_that_others_may_have_filled_is_not_used(nowhere, tmp_path, plant):
    folder = tmp_path / f"nncore-kernels-{os.getuid()}"
    plant(folder)
    nowhere.append(str(folder))
    with pytest.warns(UserWarning, match="compiled anew in every run") as warned:
        assert not cache.find_cache()
    assert len(warned) == 1
    assert numba.config.CACHE_DIR == ""


def test_another_users_folder_is_not_used(nowhere, monkeypatch, tmp_path):
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    folder = tmp_path / f"nncore-kernels-{other}"
    folder.mkdir(mode=0o700)
    nowhere.append(str(folder))
    with pytest.warns(UserWarning, match="compiled anew in every run"):
        assert not cache.find_cache()
    assert numba.config.CACHE_DIR == ""


def test_no_folder_at_all(nowhere):
    with pytest.warns(UserWarning, match="compiled anew in every run") as warned:
        assert not cache.find_cache()
    assert len(warned) == 1


def test_an_edit_of_any_kernel_makes_other_types(monkeypatch):
    """The key under which Numba keeps a kernel holds its arguments' types: theirs must change with every source."""
    simd = pytest.importorskip("nncore.kernels.simd.vector")
    before = simd.ConstantType((1, 2)).name
    assert simd.ConstantType((1, 2)).name == before != simd.ConstantType((1, 3)).name
    monkeypatch.setattr(simd, "_SOURCES", "edited")
    assert simd.ConstantType((1, 2)).name != before
