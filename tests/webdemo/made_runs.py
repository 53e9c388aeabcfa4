"""Runs as train_scratch.py leaves them, without training."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from nncore.data.dataset import Images
from nncore.data.strokes.synthetic import synthetic_digits
from nncore.network.models import compact
from nncore.optimizers import SGD
from nncore.training.options import Options, parse
from nncore.training.recorder import Recorder
from nncore.training.run import Progress, Run

STEPS = 4  # of an epoch
IMAGES = 50  # of a batch


@functools.cache
def held_out():
    return synthetic_digits(60, seed=5)


def quick(**settings: object) -> Options:
    return replace(parse(["--quick"])[0], **settings)


def make_run(runs: Path, name: str, epochs: int = 3, done: int | None = None, loss: float = 2.0, **settings) -> Path:
    """A run that did `done` of its epochs, in each of which the loss fell by half."""
    run = Run.create(quick(epochs=epochs, **settings), runs)
    folder = run.folder.rename(runs / name)
    network, progress, rng = compact(seed=1), Progress(), np.random.default_rng(3)
    labels = held_out()[1]
    with Recorder(folder, network, progress, Images(*held_out()), STEPS, epochs) as recorder:
        for epoch in range(epochs if done is None else done):
            for step in range(STEPS):
                progress.add(loss * 0.5 ** (epoch + step / STEPS), 10 * (epoch + 1), IMAGES)
                recorder.step(0.01 / (epoch + 1))
            logits = rng.standard_normal((60, 10)).astype(np.float32)
            logits[np.arange(60), labels] += 2 * epoch
            network.layers[0].parameters["kernel"] *= -1
            recorder.epoch(logits)
            progress.end_epoch(loss * 0.5 ** (epoch + 1), float((logits.argmax(axis=1) == labels).mean()), 0.01)
        Run(folder).save(network, SGD(), progress)
    return folder
