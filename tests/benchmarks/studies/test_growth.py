import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.compare import contest
from benchmarks.compare.systems import NNCORE, OPPONENTS, System
from benchmarks.studies import growth
from benchmarks.studies.growth import Curve, Measured

PLAIN = {"NUMBA_DISABLE_JIT": "1"}  # nothing to compile
TINY = Curve("channels", (2, 3, 4, 5), lambda channels: growth.convolutions(4, channels, 1), lambda _: 2, "2 images")
THREADS = growth.THREADS._replace(network=lambda _: growth.convolutions(4, 2, 1), batch_size=lambda _: 2)


def test_curves_build_their_networks() -> None:
    for curve in growth.CURVES:
        assert list(curve.values) == sorted(set(curve.values))
        network = curve.network(curve.values[0])
        assert network.output_shape == (10,)
        assert curve.batch_size(curve.values[0]) >= 1
    assert [type(layer).__name__ for layer in growth.convolutions(8, 4, 2).layers] == [
        *("Conv2D", "ReLU", "Conv2D", "ReLU"),
        *("MaxPool2D", "Flatten", "Dense"),
    ]


def test_a_table_has_medians_and_leads() -> None:
    measured = [
        Measured("channels", 2, "ours", [1e-6, 2e-6, 9e-6]),
        Measured("channels", 2, "theirs", [3e-6]),
        Measured("channels", 3, "ours", [4e-3]),  # the other one has been left out by now
        Measured("depth", 3, "ours", [1.0]),
    ]
    assert growth.table(TINY, measured).splitlines() == [
        "### channels: 2 images",
        "",
        "| channels | ours, us an image | theirs, us an image | ours's lead over theirs |",
        "| ---: | ---: | ---: | ---: |",
        "| 2 | 2.0 | 3.0 | 1.50 |",
        "| 3 | 4,000.0 |  |  |",
    ]


def test_efficiency_is_of_the_speed_of_one_thread() -> None:
    assert growth.efficiency({1: 6.0, 2: 3.0, 4: 3.0}) == {1: 1.0, 2: 1.0, 4: 0.5}
    measured = [Measured("threads", threads, "ours", [seconds]) for threads, seconds in ((1, 2e-6), (2, 1.25e-6))]
    assert growth.table(THREADS, measured).splitlines()[-1] == "| 2 | 1.2 | 0.80 |"


def test_a_run_with_nncore_as_its_own_opponent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(contest, "PAUSE", 0)
    monkeypatch.setattr(growth, "NNCORE", replace(NNCORE, environment=PLAIN))
    twin = System("twin", "nncore", "im2col", environment=PLAIN)
    monkeypatch.setitem(OPPONENTS, "twin", twin)
    monkeypatch.setitem(OPPONENTS, "absent", replace(twin, name="absent", module="absent"))
    monkeypatch.setattr(growth, "CURVES", [TINY])
    monkeypatch.setattr(growth, "THREADS", THREADS)
    flags = ["--quick", "--threads", "1", "--opponents", "twin", "absent", "--output", str(tmp_path)]
    assert growth.main(flags) == 0
    figures = json.loads((tmp_path / "growth.json").read_text())
    measured = [(each["curve"], each["value"], each["program"]) for each in figures["results"]]
    assert measured == [
        *(("channels", value, program) for value in (2, 5) for program in ("nncore", "twin")),
        *(("threads", 1, program) for program in ("nncore", "twin")),
    ]
    assert all(each["seconds"][0] > 0 for each in figures["results"])
    assert "Numba not used" in figures["conditions"]["nncore"]
    assert "ended" in figures["conditions"]["absent left out"]
    assert "| 5 | " in (tmp_path / "growth.md").read_text()
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_nncore_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(growth, "NNCORE", replace(NNCORE, module="absent"))
    monkeypatch.setattr(growth, "CURVES", [TINY])
    assert growth.main(["--quick", "--threads", "1", "--opponents"]) == 2
    assert "benchmarks.studies.growth: nncore: its process ended" in capsys.readouterr().err
