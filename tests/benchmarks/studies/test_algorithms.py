import json
from pathlib import Path

import pytest

from nncore import kernels

if not kernels.available():
    pytest.skip("there is one algorithm only", allow_module_level=True)
from benchmarks.studies import algorithms
from benchmarks.studies.algorithms import Convolution, Timed


def test_the_grid_has_every_shape_once_and_none_too_large() -> None:
    shapes = algorithms.grid()
    assert len(set(shapes)) == len(shapes) > 1000
    assert max(shape.flops for shape in shapes) <= algorithms.LARGEST
    assert shapes == algorithms.grid()
    assert {shape.kernel for shape in shapes[:40]} == {1, 3, 5}


@pytest.mark.parametrize(
    ("shape", "output", "flops"),
    [
        (Convolution(7, 2, 8, 3, 3, 1), 7, 2 * 3 * 49 * 9 * 2 * 8),
        (Convolution(7, 2, 8, 3, 5, 2), 4, 2 * 3 * 16 * 25 * 2 * 8),
        (Convolution(14, 2, 8, 1, 1, 2), 7, 2 * 49 * 2 * 8),
    ],
)
def test_the_work_of_a_shape(shape: Convolution, output: int, flops: float) -> None:
    assert (shape.output, shape.flops) == (output, flops)


def test_loss_is_against_the_fastest() -> None:
    timed = Timed(
        Convolution(7, 1, 8, 1, 3, 1), "direct", {"direct": 3.0, "im2col": 2.0}, {"direct": 1.0, "im2col": 4.0}
    )
    assert (timed.loss("forward"), timed.loss("step")) == (1.5, 1.0)
    other = timed._replace(picked="im2col")
    lines = algorithms.summary([timed, other]).splitlines()
    assert lines[2] == "| all | 2 | 50 | 22.5 | 50.0 | 25.0 | 50 | 100.0 | 300.0 | 150.0 |"
    assert "| kernel 3 | 2 |" in lines[3]
    assert algorithms.worst([timed._replace(forward={"direct": 1.0}), other]).splitlines()[2:] == [
        "| 1x7x7x1 to 8, 3x3 | im2col | 300 | 0 |  | 3000.000, 1000.000 | 2000.000, 4000.000 |"
    ]


def test_only_what_serves_is_timed() -> None:
    timed = algorithms.clock(Convolution(7, 2, 8, 1, 5, 2), seconds=0)
    assert list(timed.forward) == list(timed.step) == ["direct", "im2col"]
    assert timed.picked == "direct"


def test_a_run_writes_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algorithms, "grid", lambda: [Convolution(7, 2, 8, 1, 5, 2)])
    monkeypatch.setattr(algorithms, "SECONDS", 0)
    assert algorithms.main(["--quick", "--threads", "1", "--output", str(tmp_path)]) == 0
    (result,) = json.loads((tmp_path / "algorithms.json").read_text())["results"]
    assert result["picked"] == "direct"
    assert set(result["forward"]) == {"direct", "im2col"}
    assert "| 1 | " in (tmp_path / "algorithms.md").read_text()
