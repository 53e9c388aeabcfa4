import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

from nncore import kernels

if not kernels.available():
    pytest.skip("there are no kernels to measure", allow_module_level=True)
from benchmarks.studies import ladder, loops, steps
from benchmarks.studies.ladder import Group, Step
from nncore.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from nncore.network.sequential import Sequential

SUMMAND = 1


@njit
def inner(number: int) -> int:
    return number + SUMMAND


@njit(error_model="numpy")
def outer(number: int) -> int:
    return inner(number) * 10


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BATCH": 3, "SOME": 2, "FEW": 1, "X_SHAPE": (7, 6, 4), "FILTERS": 9, "TILES": (2, 4)}.items():
        monkeypatch.setattr(ladder, name, value)
    monkeypatch.setattr(ladder, "reference_network", network)


def network(seed: int = 0) -> Sequential:
    layers = [Conv2D(4, 3), ReLU(), Conv2D(16, 3), ReLU(), MaxPool2D(2), Dropout(0.25)]
    return Sequential([*layers, Flatten(), Dense(10)], (28, 28, 1), seed)


@pytest.mark.parametrize("function", [loops.loops, loops.compiled, loops.along_memory, loops.in_parallel])
def test_loops_are_a_convolution(function: Callable[..., None], rng: np.random.Generator) -> None:
    x, kernel = rng.standard_normal((2, 6, 5, 3)), rng.standard_normal((3, 2, 3, 4))
    y = np.full((2, 4, 4, 4), np.nan)
    function(x, kernel, y)
    np.testing.assert_allclose(y, loops.taps(x, kernel, (1, 1), ((0, 0), (0, 0))), rtol=1e-12, atol=1e-12)


def test_a_kernel_is_made_again_with_what_it_calls() -> None:
    again = loops.remade(outer, SUMMAND=5)
    assert (outer(1), again(1)) == (20, 60)
    assert again.targetoptions["error_model"] == "numpy"


@pytest.mark.usefixtures("small")
def test_all_steps_compute_one_convolution() -> None:
    group = ladder.forward()
    results = steps.rated(group, seconds=0)
    assert len(results) == 7 + 2
    assert group.flops == 2 * (5 * 4 * 9) * (9 * 4)
    assert group.steps[0].images == pytest.approx(8 / (5 * 4 * 9))
    for result in results:
        assert result.error is not None
        assert 0 < result.error < 5e-6
        assert result.gflops == pytest.approx(group.flops / result.seconds / 1e9)


@pytest.mark.usefixtures("small")
def test_tiles_have_the_size_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        ladder.winograd, "forward", lambda *_: asked.append(ladder.winograd.best_tile((24, 24), (3, 3, 8, 8)))
    )
    before = ladder.winograd.best_tile
    for step in ladder.forward().steps[-2:]:
        step.run()
    assert asked == [(2, 3), (4, 3)]
    assert ladder.winograd.best_tile is before


@pytest.mark.usefixtures("small")
def test_gradients_are_timed() -> None:
    group = ladder.backward()
    assert group.flops == 2 * ladder.forward().flops
    expected, *others = (step.run() for step in (step._replace(images=1) for step in group.steps[1:]))
    for dx, dw in others:
        np.testing.assert_allclose(dx, expected[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(dw, expected[1], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_kernels_that_lack_something_compute_the_same() -> None:
    first, *others = (step.run() for step in ladder.caches().steps)
    assert len(others) == 3
    for y in others:
        np.testing.assert_array_equal(y, first)


@pytest.mark.usefixtures("small")
def test_all_ways_train_alike() -> None:
    group = ladder.whole_network()
    trained = []
    for step in group.steps:
        assert isinstance(step.run, partial)
        step.run()
        trained.append(step.run.args[0].parameters())
    start, whole = network(), network().flops()
    assert group.flops == 3 * whole - 2 * 26 * 26 * 4 * 9
    for name, array in trained[0].items():
        assert np.abs(array - start.parameters()[name]).max() > 1e-4
        for other in trained[1:]:
            assert np.abs(other[name] - array).mean() < 1e-5  # Adam makes much of gradients that are hardly any


@pytest.mark.usefixtures("small")
def test_the_first_layers_alone() -> None:
    group = ladder.first_layers()
    for step in group.steps:
        step.run()
    assert [len(step.run.args[0].layers) for step in group.steps[:2] if isinstance(step.run, partial)] == [6, 6]
    ways: list[Any] = [step.run.args[0] for step in group.steps[2:] if isinstance(step.run, partial)]
    assert len(ways[0].steps) >= len(ways[1].steps)


def test_each_step_is_compared_with_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "in_turns", lambda calls, seconds: {"slow": [9.0, 8.0], "fast": [1.0, 2.0]})
    y = np.array([[3.0, 4.1, 9.0]])
    group = Group(
        "Loops", 2e9, [Step("slow", "a.py", 0.5, int), Step("fast", "", 4, int, lambda: y)], np.array([[3.0, 4.0]])
    )
    slow, fast = steps.rated(group, 0)
    assert (slow.seconds, slow.gflops, slow.factor, slow.error) == (16.0, 0.125, None, None)
    assert (fast.seconds, fast.gflops, fast.factor) == (0.25, 8.0, 64.0)
    assert fast.error == pytest.approx(0.1 / 5)
    assert steps.tables([slow, fast])[0].splitlines() == [
        "### Loops",
        "",
        "| step | us an image | GFLOP/s | times as fast as before | error, 1e-6 | where |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        "| slow | 16,000,000 | 0.125 |  |  | a.py |",
        "| fast | 250,000 | 8.000 | 64.00 | 20000.00 |  |",
    ]
    assert steps.tables([slow._replace(gflops=56.78)])[0].splitlines()[-1] == "| slow | 16,000,000 | 56.8 |  | a.py |"


def test_kernels_start_slower_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, last = [0.0], [0.0]

    def tick() -> float:
        clock[0] += 1e-6
        return clock[0]

    def touch(numbers: Any) -> None:
        clock[0] += 50e-6 if clock[0] - last[0] > 1e-3 else 2e-6
        last[0] = clock[0]

    monkeypatch.setattr(steps.time, "perf_counter", tick)
    monkeypatch.setattr(steps.loops, "touch", touch)
    found = steps.starts(2, 3)
    assert found == pytest.approx({"awake": 3e-6, "asleep": 51e-6})
    assert steps.wake_table(found).splitlines()[-1] == "| threads asleep | 51.0 |"


def test_a_run_writes_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    group = Group("Nothing", 1e6, [Step("slowly", "a.py", 1, lambda: sum(range(1000))), Step("fast", "b.py", 1, int)])
    monkeypatch.setattr(ladder, "GROUPS", [lambda: group])
    assert steps.main(["--quick", "--threads", "1", "--output", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "steps.json").read_text())
    assert [result["name"] for result in figures["results"]] == ["slowly", "fast"]
    assert figures["results"][1]["factor"] > 1
    assert set(figures["starts"]) == {"awake", "asleep"}
    assert "| slowly | " in (tmp_path / "steps.md").read_text()
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")
