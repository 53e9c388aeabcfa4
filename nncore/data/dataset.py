"""A data set as arrays: choosing one, holding images out for validation, and cutting it into batches."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nncore.data.mnist import given_folder, load_mnist
from nncore.data.table import read_csv
from nncore.errors import DataError, OptionError
from nncore.types import Array, Bytes

HELD_OUT = 5_000  # of MNIST's training images, at most
# What "drawn" adds to MNIST
DRAWN_SYNTHETIC = 10_000
DRAWN_OUTLIERS = 24_000
RENDERINGS = 5  # of each digit that a writer drew: what is shown too often is learnt by heart
MNIST_TIMES = 2  # how often each of MNIST's stands among them: a network that seldom sees them is worse at them
PARTS = ("of MNIST", "synthetic", "by writers", "no digits")
WRITER_FOLDS = 3  # "drawn-1", "drawn-2", "drawn-3" leave out the writers 3, 6, ..., or 1, 4, ..., or 2, 5, ...
WITHOUT_WRITERS = (
    "this run has no digits that people drew with a pen. A network trained so reads 97.2 % of drawn digits,\n"
    "where one that has seen other people's reads 99.0 %. The reason:"
)


class Images(NamedTuple):
    """Images uint8 (N, 28, 28) and their labels (N,)."""

    images: Bytes
    labels: Bytes


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 (N, 28, 28), ink bright on dark, and their labels uint8 (N,) from 0 to 9.

    In training, things that are no digit may stand among them, with the label 10.
    """

    name: str
    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes
    source: str  # one sentence: where the data came from
    notice: str | None = None  # what the user must be told before training, on one or more lines

    def split(self, limit: int | None = None) -> tuple[Images, Images]:
        """What is trained on, and what is held out to validate: the last tenth, HELD_OUT images at most.

        limit: use only so many of the training images, the first ones.
        """
        images, labels = self.train_images[:limit], self.train_labels[:limit]
        kept = holdout(images, labels, min(HELD_OUT, math.ceil(len(images) / 10)))
        return Images(*kept[:2]), Images(*kept[2:])


def load_dataset(name: str = "auto", data_dir: str | Path | None = None) -> Dataset:
    """The data set of that name, one of DATASETS; "auto" is MNIST, or where that cannot be had synthetic digits.

    "NAME+FILE" adds the digits of a CSV file, such as the demo page saves, to the training images; they come first.
    `data_dir` is the folder to read MNIST from (see `load_mnist`). A folder that was given, here or by NNCORE_DATA, is
    used or complained about, never passed over.
    Raises OptionError for an unknown name, DataError if the data cannot be had.
    """
    name, _, file = name.partition("+")
    if file:
        data, (images, labels) = load_dataset(name, data_dir), read_csv(file)
        return replace(
            data,
            name=f"{data.name}+{file}",
            train_images=np.concatenate([images, data.train_images]),
            train_labels=np.concatenate([labels, data.train_labels]),
            source=f"{len(images):,} of {file}; {data.source}",
        )
    if name == "auto":
        return _mnist_or_synthetic(data_dir)
    if name not in DATASETS:
        raise OptionError(f"Unknown data set {name!r}: choose auto, {', '.join(DATASETS)}")
    return DATASETS[name](data_dir)


def _mnist(data_dir: str | Path | None) -> Dataset:
    return Dataset("mnist", *load_mnist(data_dir))


def _synthetic(data_dir: str | Path | None = None) -> Dataset:
    if data_dir is not None:
        raise OptionError(f"Synthetic digits are drawn, not read: leave out the folder {data_dir} or choose mnist")
    from nncore.data.strokes.synthetic import synthetic_digits  # here, because MNIST needs none of it

    source = "synthetic digits, drawn by program; not MNIST"
    return Dataset("synthetic", *synthetic_digits(60_000, seed=0), *synthetic_digits(10_000, seed=1), source)


def _mnist_or_synthetic(data_dir: str | Path | None) -> Dataset:
    try:
        return _mnist(data_dir)
    except DataError as error:
        if given_folder(data_dir) is not None:
            raise
        notice = (
            "NOT MNIST: this run uses synthetic digits, drawn by program, because MNIST could not be had.\n"
            f"Its accuracies say nothing about MNIST. The reason:\n{error}"
        )
    return replace(_synthetic(), notice=notice)


def _drawn(name: str, data_dir: str | Path | None, left_out: int | None = None) -> Dataset:
    """MNIST, synthetic digits, those that 30 people drew with a pen, and things that are no digit, all mixed.

    `left_out`: the writers whose number leaves this remainder, divided by WRITER_FOLDS, are left out. MNIST's test set
    is the test set; its last HELD_OUT training images come last, so that these are what is held out for validation.
    The others stand there MNIST_TIMES.
    """
    from nncore.data.strokes.drawn import NOT_A_DIGIT, training_digits, training_outliers
    from nncore.data.strokes.synthetic import synthetic_digits
    from nncore.data.strokes.unipen import find_pendigits, read_unipen

    mnist, notice = _mnist(data_dir), None
    try:
        drawings = read_unipen(find_pendigits(data_dir=data_dir))
    except DataError as error:
        drawings, notice = [], f"WITHOUT THE WRITERS: {WITHOUT_WRITERS}\n{error}"
    kept = [drawing for drawing in drawings if drawing.writer % WRITER_FOLDS != left_out]
    things = training_outliers(DRAWN_OUTLIERS, seed=0)
    parts = [
        *[(mnist.train_images[:-HELD_OUT], mnist.train_labels[:-HELD_OUT])] * MNIST_TIMES,
        synthetic_digits(DRAWN_SYNTHETIC, seed=0),
        training_digits(kept, RENDERINGS, seed=0),
        (things, np.full(len(things), NOT_A_DIGIT, np.uint8)),
    ]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.random.default_rng(0).permutation(len(images))  # so that the first so many are of every kind
    counts = ", ".join(f"{len(part[1]):,} {what}" for part, what in zip(parts[-len(PARTS) :], PARTS, strict=True))
    return Dataset(
        name,
        np.concatenate([images[order], mnist.train_images[-HELD_OUT:]]),
        np.concatenate([labels[order], mnist.train_labels[-HELD_OUT:]]),
        mnist.test_images,
        mnist.test_labels,
        f"{MNIST_TIMES} times {counts}; {mnist.source}",
        notice,
    )


DATASETS: dict[str, Callable[[str | Path | None], Dataset]] = {
    "mnist": _mnist,
    "synthetic": _synthetic,
    "drawn": functools.partial(_drawn, "drawn"),
    **{
        f"drawn-{fold + 1}": functools.partial(_drawn, f"drawn-{fold + 1}", left_out=fold)
        for fold in range(WRITER_FOLDS)
    },
}


def holdout(images: Bytes, labels: Bytes, count: int) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Training images and labels, then the last `count` of each, kept back for validation; views, not copies."""
    if not 0 <= count < len(images):
        raise OptionError(f"Cannot hold out {count} of {len(images)} images: choose 0 to {len(images) - 1}")
    kept = len(images) - count
    return images[:kept], labels[:kept], images[kept:], labels[kept:]


def batches(
    images: Bytes, labels: Bytes, batch_size: int, seed: int, epoch: int, start: int = 0
) -> Iterator[tuple[Bytes, Bytes]]:
    """One epoch in shuffled batches: images (B, 28, 28) and labels (B,), the last batch smaller if it must be.

    The order is a function of `seed` and `epoch` alone, so that a run interrupted after `start` batches goes on with
    exactly those it had left.
    """
    if batch_size < 1:
        raise OptionError(f"The batch size must be at least 1, not {batch_size}")
    order = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch)))).permutation(len(images))
    for first in range(start * batch_size, len(images), batch_size):
        chosen = order[first : first + batch_size]
        yield images[chosen], labels[chosen]


def network_input(images: Bytes) -> Array:
    """Images as the network takes them: (N, 28, 28), 0 to 255 -> float32 (N, 28, 28, 1), 0 to 1."""
    return (images / np.float32(255))[..., None]
