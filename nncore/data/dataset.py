"""A data set as arrays: choosing one, holding images out for validation, and cutting it into batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nncore.data.mnist import given_folder, load_mnist
from nncore.errors import DataError, OptionError
from nncore.types import Bytes


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 (N, 28, 28), ink bright on dark, and their labels uint8 (N,) from 0 to 9."""

    name: str
    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes
    source: str  # one sentence: where the data came from
    notice: str | None = None  # what the user must be told before training, on one or more lines


def load_dataset(name: str = "auto", data_dir: str | Path | None = None) -> Dataset:
    """The data set of that name, one of DATASETS; "auto" is MNIST, or where that cannot be had synthetic digits.

    `data_dir` is the folder to read MNIST from (see `load_mnist`). A folder that was given, here or by NNCORE_DATA, is
    used or complained about, never passed over.
    Raises OptionError for an unknown name, DataError if the data cannot be had.
    """
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
    from nncore.data.synthetic import synthetic_digits  # here, because MNIST needs none of it

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


DATASETS: dict[str, Callable[[str | Path | None], Dataset]] = {"mnist": _mnist, "synthetic": _synthetic}


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
