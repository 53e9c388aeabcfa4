import numpy as np
import pytest

from nncore import kernels

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from benchmarks.studies import peak


def test_arithmetic_is_done_as_often_as_it_is_counted() -> None:
    x = np.repeat(np.arange(peak.SUMS, dtype=np.float64), peak.LANES)
    for _ in range(5):
        x = x * 1.5 + 0.25
    assert np.allclose(peak.multiply_add(2, 5, np.float32(1.5), np.float32(0.25)), x.sum(), rtol=1e-6)


def test_all_memory_is_read_and_written(rng: np.random.Generator) -> None:
    arrays = peak.lines(2, 8 * peak.UNROLLED * peak.VECTOR_BYTES)
    assert arrays.shape == (2, 8, peak.UNROLLED * peak.LANES)
    assert arrays.ctypes.data % 64 == 0
    arrays[...] = rng.random(arrays.shape)
    before = arrays.copy()
    assert np.allclose(peak.total(arrays, 3), 3 * before.sum(axis=(1, 2)), rtol=1e-5)
    assert np.array_equal(arrays, before)
    peak.scale(arrays, 3, np.float32(2))
    assert np.array_equal(arrays, 8 * before)


def test_a_bound_is_the_peak_or_the_memory() -> None:
    machine = peak.Peak(2, 100.0, {"L1": 90.0, "memory": 4.0}, {"L1": 80.0, "memory": 5.0})
    assert machine.seconds(2e11, 1e10) == pytest.approx((2.0, 2.0))


def test_measure_reports_every_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "LEVELS", {"L1": 2**14, "memory": 2**15})
    monkeypatch.setattr(peak, "STEPS", 1000)
    monkeypatch.setattr(peak, "TRAFFIC", 2**16)
    monkeypatch.setattr(peak, "times", lambda call, seconds: [call(), 0.5, 0.25][1:])
    figures = peak.measure(1)
    assert figures.gflops == pytest.approx(1000 * peak.SUMS * peak.LANES * 2 / 0.25 / 1e9)
    assert figures.read == pytest.approx({"L1": 2**16 / 0.25 / 1e9, "memory": 2**16 / 0.25 / 1e9})
    assert figures.modify == pytest.approx({"L1": 2**17 / 0.25 / 1e9, "memory": 2**17 / 0.25 / 1e9})
