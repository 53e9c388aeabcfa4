import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pytest

from nncore.data import dataset
from nncore.data.dataset import DATASETS, batches, holdout, load_dataset
from nncore.data.idx import write_idx
from nncore.data.mnist import FILES, load_mnist
from nncore.data.strokes import synthetic
from nncore.errors import DataError, OptionError


@pytest.fixture(autouse=True)
def _without_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder is given, the cache is empty and no mirror is asked."""
    monkeypatch.delenv("NNCORE_DATA", raising=False)
    monkeypatch.setattr(dataset, "load_mnist", functools.partial(load_mnist, cache_dir=tmp_path / "cache", mirrors=()))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was asked of the generator of synthetic digits, which here draws black squares."""
    asked = []

    def synthetic_digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        asked.append((count, seed))
        return np.zeros((count, 28, 28), np.uint8), np.full(count, seed, np.uint8)

    monkeypatch.setattr(synthetic, "synthetic_digits", synthetic_digits)
    return asked


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    for name, count in zip(FILES, (5, 5, 3, 3), strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        write_idx(tmp_path / "given" / name, rng.integers(0, 10, shape, dtype=np.uint8))
    return tmp_path / "given"


@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_mnist_comes_from_a_given_folder(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by_argument = load_dataset(name, folder)
    monkeypatch.setenv("NNCORE_DATA", str(folder))
    by_environment = load_dataset(name)
    for data in (by_argument, by_environment):
        assert data.name == "mnist"
        assert data.notice is None
        assert str(folder) in data.source
        for got, expected in zip(dataclasses.astuple(data)[1:5], load_mnist(folder)[:4], strict=True):
            assert np.array_equal(got, expected)


def test_auto_draws_digits_where_mnist_cannot_be_had_and_says_why(drawn: list[tuple[int, int]]) -> None:
    data = load_dataset()
    assert data.name == "synthetic"
    assert "not MNIST" in data.source
    assert data.notice is not None
    assert "NOT MNIST" in data.notice.splitlines()[0]
    assert "could not be downloaded" in data.notice
    assert "NNCORE_DATA" in data.notice


def test_without_auto_there_is_no_substitute(drawn: list[tuple[int, int]]) -> None:
    with pytest.raises(DataError, match="could not be downloaded"):
        load_dataset("mnist")
    assert drawn == []


@pytest.mark.parametrize("name", ["mnist", "auto"])
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_broken_folder_that_was_given_is_never_passed_over(
    folder: Path, drawn: list[tuple[int, int]], name: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"\x1f\x8b")
    monkeypatch.setenv("NNCORE_DATA", str(folder) if by == "environment" else "")
    for wrong in ("t10k-labels", "lacks"):
        with pytest.raises(DataError, match=wrong):
            load_dataset(name, folder if by == "argument" else None)
        (folder / "t10k-labels-idx1-ubyte.gz").unlink(missing_ok=True)
    assert drawn == []


def test_synthetic_digits_are_the_size_of_mnist(drawn: list[tuple[int, int]]) -> None:
    data = load_dataset("synthetic")
    assert drawn == [(60_000, 0), (10_000, 1)]
    assert (data.name, data.notice) == ("synthetic", None)
    assert data.train_images.shape == (60_000, 28, 28)
    assert data.test_labels.tolist() == [1] * 10_000


def test_synthetic_digits_come_from_no_folder(
    folder: Path, drawn: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OptionError, match="drawn, not read") as caught:
        load_dataset("synthetic", folder)
    assert str(folder) in str(caught.value)
    monkeypatch.setenv("NNCORE_DATA", str(folder))  # set for all runs, so it may stay set for this one
    assert load_dataset("synthetic").name == "synthetic"


@pytest.mark.parametrize("name", ["", "MNIST", "cifar10"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match=f"Unknown data set '{name}': choose auto, mnist, synthetic"):
        load_dataset(name)


def test_the_data_sets_by_name() -> None:
    assert list(DATASETS) == ["mnist", "synthetic", "drawn", "drawn-1", "drawn-2", "drawn-3"]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little of everything, and hardly any of MNIST is held out."""
    for name, count in (("DRAWN_SYNTHETIC", 7), ("DRAWN_OUTLIERS", 30), ("RENDERINGS", 2), ("HELD_OUT", 2)):
        monkeypatch.setattr(dataset, name, count)


@pytest.fixture
def writers(folder: Path) -> Path:
    """The digit 7 from the writers 1 to 6, of whom one wrote another."""
    text = "".join(
        f'.SEGMENT DIGIT {i} ? "7"\n.COMMENT 7 {writer} {i}\n.PEN_DOWN\n 10 200\n 90 210\n 50 90\n.PEN_UP\n'
        for i, writer in enumerate([1, 2, 3, 4, 5, 6, 6])
    )
    path = folder.parent / "pendigits" / "pendigits-orig.tra"
    path.parent.mkdir()
    path.write_text(text)
    return path


@pytest.mark.usefixtures("few", "writers")
@pytest.mark.parametrize(("name", "written"), [("drawn", 7), ("drawn-1", 4), ("drawn-2", 5), ("drawn-3", 5)])
def test_drawn_digits_stand_among_those_of_mnist(folder: Path, name: str, written: int) -> None:
    data, mnist = load_dataset(name, folder), load_mnist(folder)
    assert (data.name, data.notice) == (name, None)
    counts = f"2 times 3 of MNIST, 7 synthetic, {2 * written} by writers, "
    assert data.source.startswith(counts)
    things = int(data.source.removeprefix(counts).split()[0])
    assert 20 < things <= 30
    assert np.bincount(data.train_labels, minlength=11)[10] == things
    assert len(data.train_images) == len(data.train_labels) == 2 * 3 + 2 + 7 + 2 * written + things
    assert np.array_equal(data.train_images[-2:], mnist.train_images[-2:])  # held out for validation
    assert np.array_equal(data.train_labels[-2:], mnist.train_labels[-2:])
    assert np.array_equal(data.test_images, mnist.test_images)
    known = {image.tobytes() for image in data.train_images}
    assert {image.tobytes() for image in mnist.train_images} <= known
    assert {image.tobytes() for image in synthetic.synthetic_digits(7, seed=0)[0]} <= known
    assert len(set(data.train_labels[:20].tolist())) > 2  # mixed, so that --limit leaves some of each kind


@pytest.mark.usefixtures("few")
def test_without_the_writers_the_rest_is_there_and_the_user_is_told(folder: Path) -> None:
    data = load_dataset("drawn", folder)
    assert ", 0 by writers, " in data.source
    assert data.notice is not None
    assert "WITHOUT THE WRITERS" in data.notice
    assert str(folder.parent / "pendigits") in data.notice
    with pytest.raises(DataError, match="lacks"):
        load_dataset("drawn", folder.parent / "pendigits")


@pytest.mark.parametrize("count", [0, 1, 6])
def test_holdout_keeps_back_the_last(rng: np.random.Generator, count: int) -> None:
    images, labels = rng.integers(0, 256, (7, 28, 28), dtype=np.uint8), np.arange(7, dtype=np.uint8)
    train_images, train_labels, validation_images, validation_labels = holdout(images, labels, count)
    assert train_labels.tolist() == list(range(7 - count))
    assert validation_labels.tolist() == list(range(7 - count, 7))
    assert np.array_equal(np.concatenate([train_images, validation_images]), images)
    assert len(train_images) == 7 - count
    assert np.shares_memory(train_images, images)


@pytest.mark.parametrize("count", [-1, 7, 8])
def test_holdout_leaves_something_to_train_on(count: int) -> None:
    with pytest.raises(OptionError, match=f"Cannot hold out {count} of 7 images: choose 0 to 6"):
        holdout(np.zeros((7, 28, 28), np.uint8), np.zeros(7, np.uint8), count)


def numbered(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images whose every pixel, and labels which, are the number of the image."""
    labels = np.arange(count, dtype=np.uint8)
    return np.broadcast_to(labels[:, None, None], (count, 28, 28)), labels


@pytest.mark.parametrize(("count", "batch_size"), [(20, 5), (20, 6), (20, 1), (20, 20), (20, 64), (1, 1), (0, 4)])
def test_an_epoch_holds_every_image_once_beside_its_label(
    count: int, batch_size: int, rng: np.random.Generator
) -> None:
    seed, epoch = (int(number) for number in rng.integers(0, 2**32, 2))
    cut = list(batches(*numbered(count), batch_size, seed, epoch))
    assert len(cut) == math.ceil(count / batch_size)
    assert all(len(images) == batch_size for images, _ in cut[:-1])
    for images, labels in cut:
        assert images.shape == (len(labels), 28, 28)
        assert images.dtype == labels.dtype == np.uint8
        assert (images == labels[:, None, None]).all()
    assert sorted(np.concatenate([[], *(labels for _, labels in cut)])) == list(range(count))


def order(seed: int, epoch: int, batch_size: int = 7, start: int = 0) -> list[int]:
    return [int(label) for _, labels in batches(*numbered(200), batch_size, seed, epoch, start) for label in labels]


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    np.random.seed(5)  # noqa: NPY002 - to show that it has no say
    first = order(3, 4)
    np.random.seed(6)  # noqa: NPY002
    assert order(3, 4) == first
    assert order(3, 4, batch_size=50) == first
    orders = [order(seed, epoch) for seed in range(4) for epoch in range(4)]
    assert len({tuple(one) for one in orders}) == 16
    assert list(range(200)) not in orders


def test_the_order_is_the_same_everywhere() -> None:
    # From the definition, with NumPy 2.4: whoever changes the order breaks the resuming of runs saved before.
    assert order(0, 0)[:8] == [1, 16, 108, 161, 112, 189, 64, 12]


@pytest.mark.parametrize("start", [0, 1, 27, 28, 29, 40])
def test_an_interrupted_epoch_goes_on_with_what_was_left(start: int) -> None:
    assert order(8, 2, start=start) == order(8, 2)[7 * start :]


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batches_hold_something(batch_size: int) -> None:
    with pytest.raises(OptionError, match=f"at least 1, not {batch_size}"):
        next(batches(*numbered(3), batch_size, 0, 0))
