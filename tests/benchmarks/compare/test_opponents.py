"""What opponents compute is what nncore does; those that are not installed are skipped, and nothing depends on time."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.compare import networks
from benchmarks.compare.contest import Contest
from benchmarks.compare.layouts import channels_first, channels_last
from benchmarks.compare.protocol import read_network
from benchmarks.compare.systems import NNCORE, OPPONENTS
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from nncore.network.sequential import Sequential

PACKAGES = {"pytorch": "torch", "tensorflow": "tensorflow", "jax": "jax", "onnxruntime": "onnx", "numpy": "numpy"}
PLAIN = {"NUMBA_DISABLE_JIT": "1"}  # nothing to compile


def awkward() -> Sequential:
    """A bit of everything: no side, stride or channel like another, and an image of two channels."""
    return Sequential(
        [
            *(Conv2D(3, 3, padding="same", use_bias=False), BatchNorm(), ReLU(), MaxPool2D(2), Dropout(0.5)),
            *(Conv2D(4, (2, 3), stride=(2, 1), padding=(1, 0)), ReLU(), MaxPool2D(2, stride=1)),
            *(Flatten(), Dense(5, use_bias=False), BatchNorm(0.7, 0.01), ReLU(), Dense(4)),
        ],
        input_shape=(9, 12, 2),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = awkward()
    networks.unsettle(network)
    networks.write(network, tmp_path)
    networks.write_batches(tmp_path / "batches.npz", network, 2, 16)
    return tmp_path


def test_layouts_there_and_back(folder: Path) -> None:
    network = read_network(folder)
    theirs = channels_first(network)
    shapes = [theirs[f"{name}.kernel"].shape for name in ("conv2d_1", "conv2d_2", "dense_1", "dense_2")]
    assert shapes == [(3, 2, 3, 3), (4, 3, 2, 3), (5, 2 * 3 * 4), (4, 5)]
    # The image that was flattened is (2, 3, 4): its first channel is every fourth number here, the first six there.
    np.testing.assert_array_equal(theirs["dense_1.kernel"][:, :6], network.arrays["dense_1.kernel"][::4].T)
    back = channels_last(network, theirs)
    assert back.keys() == network.arrays.keys()
    for name, array in back.items():
        np.testing.assert_array_equal(array, network.arrays[name])


@pytest.mark.parametrize(
    ("name", "task"),
    [
        (name, task)
        for name in sorted(OPPONENTS.keys() - {"pytorch-compiled", "tensorflow-jit"})
        for task in ("training", "inference")
        if task in OPPONENTS[name].tasks
    ],
)
def test_opponents_compute_the_same(name: str, task: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = OPPONENTS[name]
    package = PACKAGES.get(name.split("-")[0], "numpy")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    monkeypatch.setattr("benchmarks.compare.contest.PAUSE", 0)
    systems = [replace(NNCORE, environment=PLAIN), replace(system, requirements=(), environment=PLAIN)]
    with Contest(task, systems, 1, folder) as contest:
        contest.load(folder / "batches.npz")
        contest.take_turns(rounds=1, seconds=0)
        contest.load(folder / "batches.npz")  # training has changed the weights: everyone begins anew
        assert contest.left_out == {}
        assert 0 <= max(contest.contenders[1].differences.values()) < 1e-4
        assert "Python" in contest.contenders[1].worker.ask("versions")
