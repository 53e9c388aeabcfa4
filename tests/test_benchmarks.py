"""The benchmark with programs that only pretend to train; nothing here depends on time."""

import json
import math
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import environment, report, training
from benchmarks.protocol import BenchmarkError, Worker
from benchmarks.report import Result
from benchmarks.systems import NNCORE, OPPONENTS, System
from nncore.models import reference

FAKE = """
import os
from benchmarks.protocol import serve

class Fake:
    def __init__(self, variant, threads, parameters):
        print("a library that says hello")
        self.variant, self.threads, self.parameters, self.seen = variant, threads, parameters, []

    def gradients(self, images, labels):
        return {name: 2 * array for name, array in self.parameters.items()}

    def train(self, images, labels):
        if self.variant == "breaks":
            raise ValueError("no such thing\\nand more")
        if self.variant == "dies":
            os._exit(7)
        self.seen.append(f"{images[0]:g}/{labels[0]}")
        return 0.5

    def versions(self):
        kept = {name: os.environ.get(name, "unset") for name in ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "HOME")}
        return {"seen": " ".join(self.seen), "threads": str(self.threads), **kept}

serve(Fake)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, images=np.array([[1.0], [2], [3]]), labels=np.array([[4], [5], [6]]), kernel=np.arange(3.0))
    return path


def fake(data: Path, variant: str = "works") -> Worker:
    worker = Worker("Fake", [sys.executable, "-c", FAKE], {"OMP_NUM_THREADS": "3"})
    worker.ask("prepare", variant=variant, threads=3, data=str(data))
    return worker


def test_worker_runs_the_program(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    monkeypatch.setenv("HOME", "kept")
    with fake(data) as worker:
        worker.ask("gradients", output=str(tmp_path / "out.npz"))
        answer = worker.ask("train", steps=4)
        versions = worker.ask("versions")
    assert worker.process.returncode == 0
    with np.load(tmp_path / "out.npz") as file:
        np.testing.assert_array_equal(file["kernel"], [0, 2, 4])
    assert answer["loss"] == 0.5
    assert answer["seconds"] > 0
    assert versions == {
        "seen": "1/4 2/5 3/6 1/4",
        "threads": "3",
        "OPENBLAS_CORETYPE": "unset",
        "OMP_NUM_THREADS": "3",
        "HOME": "kept",
    }


def test_worker_passes_on_an_error_and_lives(data: Path) -> None:
    with fake(data, "breaks") as worker:
        with pytest.raises(BenchmarkError, match=r"^Fake: ValueError: no such thing$"):
            worker.ask("train", steps=1)
        assert worker.ask("versions")["seen"] == ""


def test_worker_notices_that_its_program_died(data: Path) -> None:
    with fake(data, "dies") as worker:
        for _ in range(2):
            with pytest.raises(BenchmarkError, match=r"Fake: its process ended .* at 'train'"):
                worker.ask("train", steps=1)


def test_worker_does_not_outlive_an_error(data: Path) -> None:
    with pytest.raises(RuntimeError, match="elsewhere"), fake(data) as worker:
        raise RuntimeError("elsewhere")
    assert worker.process.returncode is not None


class Recorded:
    """Stands in for a Worker: answers with given seconds, and notes that it was asked."""

    def __init__(self, name: str, seconds: list[float], log: list[str], loss: float = 1.0) -> None:
        self.name, self.seconds, self.log, self.loss = name, iter(seconds), log, loss

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        self.log.append(f"{self.name} {command} {arguments['steps']}")
        return {"seconds": next(self.seconds), "loss": self.loss}


def test_turns_alternate_and_the_first_round_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PAUSE", 0)
    log: list[str] = []
    results = [Result("A", {}), Result("B", {})]
    workers = [Recorded("A", [99, 2, 4], log), Recorded("B", [99, 1, 8], log)]
    training.take_turns(list(zip(workers, results, strict=True)), rounds=2, steps=5, batch_size=8)  # type: ignore[arg-type]
    assert log == ["A train 5", "B train 5"] * 3
    assert results[0].images_per_second == [20, 10]
    assert results[1].images_per_second == [40, 5]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_program_that_does_not_train_is_not_timed(loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PAUSE", 0)
    contenders: Any = [(Recorded("A", [1], [], loss), Result("A", {}))]
    with pytest.raises(BenchmarkError, match=f"A: its loss became {loss}"):
        training.take_turns(contenders, rounds=1, steps=1, batch_size=1)


def test_compare_allows_rounding_only(rng: np.random.Generator) -> None:
    names = ("logits", "kernel", "bias")
    expected = {name: rng.standard_normal((4, 5)).astype(np.float32) for name in names}
    norm = np.linalg.norm(expected["kernel"])
    close = {**expected, "kernel": expected["kernel"] + np.float32(1e-4) * norm / np.sqrt(np.float32(20))}
    differences = training.compare("B", expected, close)
    assert differences["logits"] == 0
    assert differences["gradients"] == pytest.approx(1e-4, rel=1e-2)
    for name, tolerance in (("logits", 1e-5), ("kernel", 1e-3), ("bias", 1e-3)):
        training.compare("B", expected, {**expected, name: expected[name] * np.float32(1 + tolerance / 2)})
        for wrong in (expected[name] * np.float32(1 + 2 * tolerance), np.full((4, 5), np.nan, np.float32)):
            with pytest.raises(BenchmarkError, match=r"B does not compute the same function: its (logits|gradients)"):
                training.compare("B", expected, {**expected, name: wrong})
    with pytest.raises(BenchmarkError, match="other names or shapes"):
        training.compare("B", expected, {**expected, "kernel": expected["kernel"].T})
    with pytest.raises(BenchmarkError, match="other names or shapes"):
        training.compare("B", expected, {name: expected[name] for name in names[:2]})


def test_table_shows_the_median_of_paired_ratios() -> None:
    ours = Result("ours", {}, [1000, 2000, 900])
    theirs = Result("theirs", {}, [500, 4000, 300])
    assert report.table([ours, theirs]).splitlines() == [
        "| program | images/s, median | lowest to highest | ours / this, median | lowest to highest |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| ours | 1,000 | 900 to 2,000 |  |  |",
        "| theirs | 500 | 300 to 4,000 | 2.00 | 0.50 to 3.00 |",
    ]


def test_notes_tell_versions_differences_and_what_is_missing() -> None:
    ours = Result("ours", {"logits": 0, "gradients": 0}, [1], {"Python": "3.11"})
    theirs = Result("theirs", {"logits": 5e-7, "gradients": 7e-5}, [1], {"torch": "2.13.0", "threads": "2"})
    lines = report.notes([ours, theirs], {"processor": "Z80"}, {"third": "no compiler"}).splitlines()
    assert lines[0] == "- processor: Z80"
    assert lines[2:] == [
        "- ours: Python 3.11",
        "- theirs: torch 2.13.0, threads 2; differs from ours by "
        "a relative 5e-07 in the logits and a relative 7e-05 in the gradients",
        "- left out: third: no compiler",
    ]


@pytest.mark.parametrize(("load", "busy"), [(0.2, False), (1.5, True)])
def test_a_busy_machine_is_reported(load: float, busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0, 0), raising=False)
    facts = report.machine()
    assert facts["load average at the start"].startswith(f"{load:.2f}")
    assert ("not to be relied on" in facts["load average at the start"]) == busy
    assert facts["processor"].strip()


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is installed; the commands are noted. The CPU wheels cannot be had."""
    log: list[str] = []

    def succeeds(command: list[str | Path]) -> bool:
        log.append(" ".join(map(str, command[1:])))
        return "+cpu" not in log[-1]

    monkeypatch.setattr(environment, "_succeeds", succeeds)
    monkeypatch.setattr(environment, "_run", lambda command, failure: succeeds(command))
    return log


def test_nothing_is_installed_twice(pip: list[str], tmp_path: Path) -> None:
    environment.python_with(["numpy"], tmp_path)
    environment.python_with(["numpy", "jax==1"], tmp_path)
    environment.python_with(["jax==1"], tmp_path)
    installs = [command for command in pip if "install" in command]
    assert [command.split()[-1] for command in installs] == ["numpy", "jax==1"]


@pytest.mark.parametrize(("platform", "tried"), [("linux", True), ("darwin", False)])
def test_cuda_is_announced(
    platform: str,
    tried: bool,
    pip: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    environment.python_with(["torch==2.13.0", "numpy"], tmp_path)
    assert any(command.endswith("torch==2.13.0+cpu") for command in pip) == tried
    assert pip[-1].endswith("torch==2.13.0 numpy")
    assert ("GB of CUDA" in capsys.readouterr().err) == tried


def test_a_failed_installation_says_why() -> None:
    script = "print('Collecting torch'); print('ERROR: No matching distribution'); print('bye'); raise SystemExit(1)"
    with pytest.raises(BenchmarkError, match=r"^torch cannot be installed: ERROR: No matching distribution$"):
        environment._run([sys.executable, "-c", script], "torch cannot be installed")


PLAIN = {"NUMBA_DISABLE_JIT": "1"}  # nothing to compile
SMALL = ["--rounds", "2", "--steps", "1", "--batch-size", "2", "--threads", "1"]


def test_whole_benchmark_with_nncore_as_its_own_opponent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "PAUSE", 0)
    monkeypatch.setattr(training, "NNCORE", replace(NNCORE, environment=PLAIN))
    twin = System("twin", "benchmarks.systems.nncore", "im2col", environment=PLAIN)
    monkeypatch.setitem(OPPONENTS, "twin", twin)
    monkeypatch.setitem(OPPONENTS, "absent", replace(twin, name="absent", module="benchmarks.systems.absent"))
    assert training.main([*SMALL, "--opponents", "twin", "absent", "--json", str(tmp_path / "all.json")]) == 0
    shown = capsys.readouterr().out
    assert "\n| nncore | " in shown
    assert "\n| twin | " in shown
    assert "\n- left out: absent: its process ended" in shown
    figures = json.loads((tmp_path / "all.json").read_text())
    assert figures["settings"] == {"batch_size": 2, "threads": 1, "rounds": 2, "steps": 1}
    assert [len(result["images_per_second"]) for result in figures["results"]] == [2, 2]
    assert figures["results"][1]["differences"] == {"logits": 0, "gradients": 0}
    assert figures["results"][1]["versions"]["Numba"] == "not used"
    assert list(figures["left_out"]) == ["absent"]


def test_with_nobody_to_compare_the_exit_status_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "PAUSE", 0)
    monkeypatch.setattr(training, "NNCORE", replace(NNCORE, environment=PLAIN))

    def fails(requirements: object) -> Path:
        raise BenchmarkError("torch cannot be installed: no network")

    monkeypatch.setattr(training, "python_with", fails)
    assert training.main([*SMALL, "--opponents", "pytorch"]) == 1
    assert "- left out: PyTorch, as installed: torch cannot be installed: no network" in capsys.readouterr().out


def test_a_missing_nncore_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(training, "NNCORE", replace(NNCORE, module="benchmarks.systems.absent"))
    assert training.main([*SMALL, "--opponents"]) == 2
    assert "benchmarks.training: nncore: its process ended" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [["--rounds", "0"], ["--steps", "x"], ["--threads", "0"], ["--opponents", "caffe"]])
def test_bad_flags(flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        training.main(flag)
    assert stop.value.code == 2
    assert flag[0] in capsys.readouterr().err


@pytest.mark.torch
@pytest.mark.parametrize("name", ["pytorch", "pytorch-tuned"])
def test_pytorch_computes_the_same(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    training.write_data(tmp_path / "data.npz", 3)
    systems = [replace(NNCORE, environment=PLAIN), replace(OPPONENTS[name], requirements=())]
    with ExitStack() as stack:
        contenders, left_out = training.start(systems, 1, tmp_path, stack)
        assert left_out == {}
        assert contenders[1][0].ask("train", steps=2)["loss"] > 0
        assert contenders[1][0].ask("versions")["torch"] == torch.__version__
    assert contenders[1][1].differences["gradients"] > 0


def test_data_leaves_no_bias_at_zero(tmp_path: Path) -> None:
    training.write_data(tmp_path / "data.npz", 2)
    with np.load(tmp_path / "data.npz") as file:
        assert file["images"].shape == (training.BATCHES, 2, 28, 28, 1)
        for name in reference().parameters():
            assert np.all(file[name] != 0), name
