"""Everything is run that predicting or training will run, and nothing changes."""

import numpy as np
import pytest

from nncore import kernels
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from nncore.network.sequential import Sequential
from nncore.optimizers import Adam
from nncore.training import warmup
from nncore.training.warmup import warm_up

pytestmark = pytest.mark.skipif(not kernels.available(), reason="without Numba, nothing is compiled ahead")


@pytest.fixture
def network():
    layers = [Conv2D(3, 3), ReLU(), MaxPool2D(2), BatchNorm(), Dropout(0.3), Flatten(), Dense(4)]
    return Sequential(layers, (8, 9, 1), conv="im2col")


@pytest.fixture
def said(monkeypatch):
    """What the line on the terminal says, one after the other."""
    texts = []

    class Bar:
        def __init__(self, **options):
            assert options["disable"] is None  # shown on terminals only

        __enter__, __exit__ = lambda self: self, lambda *_: None

        def set_description_str(self, text):
            texts.append(text)

    monkeypatch.setattr(warmup, "tqdm", Bar)
    return texts


def contents(network, optimizer):
    return {**network.parameters(), **network.gradients(), **network.state(), **optimizer.state}


NAMES = ["Conv2D 3, 3x3 valid + ReLU", "MaxPool2D 2x2", "BatchNorm", "Dropout 0.3", "Flatten", "Dense 4"]
FORWARD = [f"compiling {name}" for name in NAMES]
BACKWARD = [f"compiling {name}, backward" for name in reversed(NAMES)]


def test_predicting(network, said, monkeypatch):
    counts = []
    forward = Flatten.forward
    monkeypatch.setattr(Flatten, "forward", lambda self, x, training: (counts.append(len(x)), forward(self, x))[1])
    warm_up(network)
    assert said == FORWARD * 2
    assert counts == [1, 32]


def test_training_changes_nothing(network, said):
    optimizer = Adam(0.1)
    before = {name: array.copy() for name, array in contents(network, optimizer).items()}
    warm_up(network, optimizer, "full")
    assert said == [*FORWARD * 2, *BACKWARD, "compiling Adam", "compiling distortions of images"]
    after = contents(network, optimizer)
    assert after.keys() == before.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
    assert optimizer.steps == 0


def test_training_without_distortions(network, said):
    warm_up(network, Adam(0.1), "none")
    assert said[-1] == "compiling Adam"
