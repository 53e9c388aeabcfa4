"""Programs that only pretend to work, behind their commands and in a contest; nothing here depends on time."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.compare import contest, networks
from benchmarks.compare.contest import Contender, Contest
from benchmarks.compare.protocol import BenchmarkError, Worker
from benchmarks.compare.systems import System
from nncore.layers import Flatten
from nncore.network.sequential import Sequential

FAKE = """
import os
import numpy as np
from benchmarks.compare.protocol import read_network, serve

class Fake:
    def __init__(self, variant, threads, folder):
        print("a library that says hello")
        self.variant, self.threads, self.network, self.seen = variant, threads, read_network(folder), []

    def gradients(self, images, labels):
        return {name: 2 * array for name, array in self.network.arrays.items()}

    def predict(self, images):
        return images[:, :1]

    def train(self, images, labels):
        if self.variant == "breaks":
            raise ValueError("no such thing\\nand more")
        if self.variant == "dies":
            os._exit(7)
        self.seen.append(f"{images.ravel()[0]:g}/{labels[0]}")
        return 0.5

    def versions(self):
        kept = {name: os.environ.get(name, "unset") for name in ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "HOME")}
        layer = self.network.layers[0].type
        return {"seen": " ".join(self.seen), "threads": str(self.threads), "layer": layer, **kept}

serve(Fake)
"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    networks.write(Sequential([Flatten()], (3,)), tmp_path)
    weights = {"conv2d_1.kernel": np.arange(3, dtype=np.float32), "counter": np.arange(3), "metadata": "not an array"}
    np.savez(tmp_path / "weights.npz", **weights)
    np.savez(tmp_path / "batches.npz", images=np.array([[[1.0, 7]], [[2, 8]]]), labels=np.array([[4], [5]]))
    return tmp_path


def fake(network: Path, variant: str = "works") -> Worker:
    worker = Worker("Fake", [sys.executable, "-c", FAKE], {"OMP_NUM_THREADS": "3"})
    worker.ask("prepare", variant=variant, threads=3, network=str(network))
    worker.ask("load", batches=str(network / "batches.npz"))
    return worker


def test_worker_runs_the_program(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    monkeypatch.setenv("HOME", "kept")
    out = network / "out.npz"
    with fake(network) as worker:
        worker.ask("gradients", output=str(out))
        with np.load(out) as file:
            assert file.files == ["conv2d_1.kernel"]
            np.testing.assert_array_equal(file["conv2d_1.kernel"], [0, 2, 4])
        worker.ask("logits", output=str(out))
        with np.load(out) as file:
            np.testing.assert_array_equal(file["logits"], [[1]])
        answers = [worker.ask("train", seconds=0) for _ in range(3)]
        assert len(worker.ask("predict", seconds=0)["seconds"]) == 1
        assert len(worker.ask("predict", seconds=0.01)["seconds"]) > 1
        versions = worker.ask("versions")
    assert worker.process.returncode == 0
    assert [answer["loss"] for answer in answers] == [0.5] * 3
    assert all(len(answer["seconds"]) == 1 and answer["seconds"][0] > 0 for answer in answers)
    assert versions == {
        "seen": "1/4 2/5 1/4",
        "threads": "3",
        "layer": "Flatten",
        "OPENBLAS_CORETYPE": "unset",
        "OMP_NUM_THREADS": "3",
        "HOME": "kept",
    }


def test_an_epoch_sees_every_image_once_as_numbers_up_to_1(network: Path) -> None:
    images = np.full((5, 2, 2), 51, np.uint8)
    np.savez(network / "data.npz", images=images, labels=np.arange(5, dtype=np.uint8))
    with fake(network) as worker:
        answer = worker.ask("epoch", data=str(network / "data.npz"), batch_size=2)
        seen = worker.ask("versions")["seen"].split()
    assert len(answer["seconds"]) == 1
    assert len(seen) == 3
    assert {pair.split("/")[0] for pair in seen} == {"0.2"}


def test_worker_passes_on_an_error_and_lives(network: Path) -> None:
    with fake(network, "breaks") as worker:
        with pytest.raises(BenchmarkError, match=r"^Fake: ValueError: no such thing$"):
            worker.ask("train", seconds=0)
        assert worker.ask("versions")["seen"] == ""


def test_worker_notices_that_its_program_died(network: Path) -> None:
    with fake(network, "dies") as worker:
        for _ in range(2):
            with pytest.raises(BenchmarkError, match=r"Fake: its process ended .* at 'train'"):
                worker.ask("train", seconds=0)


def test_worker_does_not_outlive_an_error(network: Path) -> None:
    with pytest.raises(RuntimeError, match="elsewhere"), fake(network) as worker:
        raise RuntimeError("elsewhere")
    assert worker.process.returncode is not None


class Recorded:
    """Stands in for a Worker: answers with given seconds, and notes that it was asked."""

    def __init__(self, name: str, seconds: list[float], log: list[str], loss: float = 1.0) -> None:
        self.name, self.seconds, self.log, self.loss = name, iter(seconds), log, loss

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        self.log.append(f"{self.name} {command} {arguments['seconds']}")
        return {"seconds": [next(self.seconds)], "loss": self.loss}


def recorded(log: list[str], **seconds: list[float]) -> Contest:
    systems = [System(name, "no.module") for name in seconds]
    made = Contest("training", systems, 1, Path())
    workers: list[Any] = [Recorded(name, times, log) for name, times in seconds.items()]
    made.contenders = [Contender(system, worker) for system, worker in zip(systems, workers, strict=True)]
    return made


def test_turns_alternate_and_the_first_round_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "PAUSE", 0)
    log: list[str] = []
    made = recorded(log, A=[99, 2, 4], B=[99, 1, 8])
    assert made.take_turns(rounds=2, seconds=5) == {"A": [[2], [4]], "B": [[1], [8]]}
    assert log == ["A train 5", "B train 5"] * 3


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_program_that_does_not_train_is_left_out(loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "PAUSE", 0)
    made = recorded([], A=[1, 1], B=[1, 1])
    made.contenders[1].worker.loss = loss  # type: ignore[attr-defined]
    assert made.take_turns(rounds=1, seconds=0) == {"A": [[1]]}
    assert made.left_out == {"B": f"its loss became {loss}"}
    made = recorded([], A=[1])
    made.contenders[0].worker.loss = loss  # type: ignore[attr-defined]
    with pytest.raises(BenchmarkError, match=f"A: its loss became {loss}"):
        made.take_turns(rounds=1, seconds=0)


def test_compare_allows_rounding_only(rng: np.random.Generator) -> None:
    names = ("logits", "kernel", "bias")
    expected = {name: rng.standard_normal((4, 5)).astype(np.float32) for name in names}
    norm = np.linalg.norm(expected["kernel"])
    close = {**expected, "kernel": expected["kernel"] + np.float32(1e-4) * norm / np.sqrt(np.float32(20))}
    differences = contest.compare("B", expected, close)
    assert differences["logits"] == 0
    assert differences["gradients"] == pytest.approx(1e-4, rel=1e-2)
    for name, tolerance in (("logits", 5e-5), ("kernel", 1e-2), ("bias", 1e-2)):
        contest.compare("B", expected, {**expected, name: expected[name] * np.float32(1 + tolerance / 2)})
        for wrong in (expected[name] * np.float32(1 + 2 * tolerance), np.full((4, 5), np.nan, np.float32)):
            with pytest.raises(BenchmarkError, match=r"B: does not compute the same function: its (logits|gradients)"):
                contest.compare("B", expected, {**expected, name: wrong})
    with pytest.raises(BenchmarkError, match="other names or shapes"):
        contest.compare("B", expected, {**expected, "kernel": expected["kernel"][:, :4]})
    with pytest.raises(BenchmarkError, match="other names or shapes"):
        contest.compare("B", expected, {name: expected[name] for name in names[:2]})
