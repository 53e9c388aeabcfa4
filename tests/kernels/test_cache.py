import tempfile

import pytest

numba = pytest.importorskip("numba")
cache = pytest.importorskip("nncore.kernels.cache")


@pytest.fixture
def nowhere(monkeypatch):
    """Numba finds no folder to write to but those allowed."""
    allowed = []

    def njit(cache):
        assert cache
        if numba.config.CACHE_DIR not in allowed:
            raise RuntimeError("cannot cache function")
        return lambda function: function

    monkeypatch.setattr(cache.numba, "njit", njit)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    return allowed


def test_another_folder_where_the_usual_ones_cannot_be_written(nowhere, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    nowhere.append(str(tmp_path / f"nncore-kernels-{cache.os.getuid()}"))
    with pytest.warns(UserWarning, match=r"^the kernels' folder cannot be written: .* kept in .*nncore-kernels-\d+$"):
        assert cache.find_cache()
    assert nowhere == [numba.config.CACHE_DIR]


def test_no_folder_at_all(nowhere):
    with pytest.warns(UserWarning, match="compiled anew in every run") as warned:
        assert not cache.find_cache()
    assert len(warned) == 1


def test_an_edit_of_any_kernel_makes_other_types(monkeypatch):
    """The key under which Numba keeps a kernel holds its arguments' types: theirs must change with every source."""
    simd = pytest.importorskip("nncore.kernels.simd")
    before = simd.ConstantType((1, 2)).name
    assert simd.ConstantType((1, 2)).name == before != simd.ConstantType((1, 3)).name
    monkeypatch.setattr(simd, "_SOURCES", "edited")
    assert simd.ConstantType((1, 2)).name != before
