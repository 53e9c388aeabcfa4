"""Having Numba compile what a network needs, ahead of its first use and with a word on what takes so long."""

import copy
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from nncore.data.augment import augment, augmentation
from nncore.layers import Layer
from nncore.network.sequential import Sequential
from nncore.optimizers import Optimizer

MANY = 32  # examples, for which convolutions are computed as for any larger number
NO_NUMBA = "Numba is missing or switched off (NUMBA_DISABLE_JIT): NumPy computes, slower"


def warm_up(network: Sequential, optimizer: Optimizer | None = None, mode: str = "none") -> None:
    """Compile, and keep for the next run, what predictions need; with an optimizer, what training needs instead.

    That is run on copies: network and optimizer do not change. A line on the terminal, if there is one, tells what is
    being compiled; it vanishes afterwards. mode: how images are augmented, one of MODES.
    """
    with tqdm(bar_format="{desc} [{elapsed}]", leave=False, disable=None) as bar:
        for what in _runs(copy.deepcopy(network), copy.deepcopy(optimizer), mode):
            bar.set_description_str(f"compiling {what}")


def _runs(network: Sequential, optimizer: Optimizer | None, mode: str) -> Iterator[str]:
    """Run every step of the network's plan, forward and backward, having said which is next."""
    if not optimizer:
        network.freeze()  # as readers of digits do
    steps = network.steps
    for count, training in ((MANY, False), (MANY, True)) if optimizer else ((1, False), (MANY, False)):
        x = np.zeros((count, *network.input_shape), network.dtype)
        for step in steps:
            yield _name(step)
            x = step.forward(x, training)
    if optimizer:
        for step in reversed(steps):
            yield f"{_name(step)}, backward"
            x = step.backward(x)
        yield type(optimizer).__name__
        optimizer.step(network.parameters(), network.gradients())
    if distortion := augmentation(mode):
        yield "distortions of images"
        augment(np.zeros((MANY, *network.input_shape[:2]), np.uint8), 0, 0, distortion)


def _name(step: Layer) -> str:
    return step.describe()
