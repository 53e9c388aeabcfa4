import json
from pathlib import Path

import numpy as np
import pytest

from nncore import kernels

if not kernels.available():
    pytest.skip("there are no kernels to measure", allow_module_level=True)
from benchmarks.studies import roofline
from benchmarks.studies.peak import Peak
from benchmarks.studies.roofline import Case, Result, Work

PEAK = Peak(2, 100.0, {"L1": 90.0, "L2": 40.0, "memory": 4.0}, {"L1": 90.0, "L2": 40.0, "memory": 5.0})


def test_flops_and_bytes_of_a_convolution(rng: np.random.Generator) -> None:
    works = {(w.algorithm, w.step): w for w in roofline.of_convolution(Case("a", (2, 6, 6, 3), 5, 1, 1), rng)}
    assert set(works) == {(name, step) for name in ("direct", "im2col") for step in ("forward", "backward")}
    x, w, y = 4 * 2 * 36 * 3, 4 * 3 * 5, 4 * 2 * 64 * 5
    forward, backward = works["direct", "forward"], works["direct", "backward"]
    assert forward.flops == forward.effective == 2 * (2 * 64 * 5) * 3
    assert (backward.flops, backward.effective) == (2 * forward.flops, 2 * forward.flops)
    assert (forward.traffic, backward.traffic) == (x + w + y, 2 * x + 2 * w + y)
    for work in works.values():
        work.run()


def test_winograd_counts_the_products_of_its_tiles(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    pooled = np.zeros((2, 5, 5, 5), np.float32), np.zeros((2, 5, 5, 5), np.int8)
    monkeypatch.setattr(
        roofline.winograd, "forward_relu", lambda x, w, bias, padding: np.zeros((2, 11, 11, 5), np.float32)
    )
    monkeypatch.setattr(roofline.winograd, "forward_pool", lambda x, w, bias, padding: pooled)
    tile = roofline.winograd.Tile
    monkeypatch.setattr(roofline.winograd, "best_tile", lambda size, shape: tile(5, 3))
    works = {w.step: w for w in roofline.of_convolution(Case("a", (2, 13, 13, 3), 5), rng) if w.algorithm == "winograd"}
    assert list(works) == [f"{d}{more}" for more in ("", "_relu", "_pool") for d in ("forward", "backward")]
    direct, y, small = 2 * (2 * 121 * 5) * (9 * 3), 4 * 2 * 121 * 5, 4 * 2 * 25 * 5
    for step, work in works.items():
        products = 49 * (4 if "pool" in step else 9)  # tiles of 5 for 10 x 10 pixels and for 11 x 11
        passes = 2 if "backward" in step else 1
        assert (work.flops, work.effective) == (passes * 2 * 2 * products * 3 * 5, passes * direct)
    assert works["backward_relu"].traffic == works["backward"].traffic + y
    assert works["forward_pool"].traffic == works["forward"].traffic - y + small + small // 4


def test_layers_run(rng: np.random.Generator) -> None:
    works = list(roofline.of_layers(rng))
    assert [work.what for work in works][-1] == "Adam"
    assert works[-1].traffic == 7 * 4 * 1_044_106
    for work in works:
        if work.what in ("dense 256", "Adam"):
            work.run()


def test_the_table_tells_what_is_reached() -> None:
    work = Work("conv2", "winograd", "forward", 1e9, 4e9, 10**6, int)
    result = Result(work, 0.02, *PEAK.seconds(1e9, 10**6))
    assert roofline.table([result]).splitlines()[2] == (
        "| conv2 | winograd | forward | 20.00 | 50 | 200 | 1.0 | 10.00 | arithmetic | 50 |"
    )
    work = Work("Adam", "layer", "step", 1e9, 0, 10**9, int)
    result = Result(work, 0.4, *PEAK.seconds(1e9, 10**9))
    assert roofline.table([result]).splitlines()[2] == (
        "| Adam | layer | step | 400.00 | 2 |  | 1000.0 | 200.00 | memory | 50 |"
    )
    assert roofline.peak_table([PEAK]).splitlines()[2] == "| 2 | 100 | 90 | 40 | 4 | 90 | 40 | 5 |"


def test_a_run_writes_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    works = [Work("conv2", name, "backward", 1e6, 1e6, 10**6, int) for name in roofline.ALGORITHMS]
    monkeypatch.setattr(roofline, "measure", lambda threads, seconds: PEAK)
    monkeypatch.setattr(roofline, "works", lambda cases: works)
    monkeypatch.setattr(roofline, "times", lambda call, seconds: [0.25, 0.5])
    assert roofline.main(["--quick", "--threads", "1", "--output", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "roofline.json").read_text())
    assert figures["peaks"][0]["gflops"] == 100
    assert [result["seconds"] for result in figures["results"]] == [0.25] * 4
    assert "| conv2 | im2col | backward | 250.00 |" in (tmp_path / "roofline.md").read_text()
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")
