"""What a run says at its start, after each epoch and at its end, the note in the weights file, and the pictures."""

import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nncore import kernels
from nncore.data.dataset import Dataset, Images, network_input
from nncore.errors import OptionError
from nncore.layers.activations import softmax
from nncore.network.sequential import Sequential
from nncore.training import plots
from nncore.training.averaging import ExponentialMovingAverage
from nncore.training.metrics import accuracy, confusion_matrix, precision_recall, wilson_interval
from nncore.training.options import Options
from nncore.training.run import Progress, Run
from nncore.training.warmup import NO_NUMBA, warm_up
from nncore.types import Array, Bytes, Integers

WITHOUT_EFFECT = ("data_dir",)  # settings that the weights do not depend on
BARELY_LEARNED = 0.2  # validation accuracy
PACKAGES = ("nncore", "numpy", "numba")


def python_name() -> str:
    """How to call the Python that runs now, in a command to be copied: `.venv/bin/python` where that is in use."""
    path, here = Path(sys.executable), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else "python"


def accuracy_line(labels: Bytes, predictions: Integers) -> str:
    """Accuracy in words, with the interval that the number of images leaves it."""
    correct, total = int((labels == predictions).sum()), len(labels)
    low, high = wilson_interval(correct, total)
    return f"{correct / total:.2%} of {total:,} images right ({correct:,}; 95 % interval {low:.2%} to {high:.2%})"


def class_table(labels: Bytes, predictions: Integers) -> str:
    """Precision and recall of each digit: how often "it is a 4" was right, and how many of the 4s were found."""
    precision, recall = precision_recall(confusion_matrix(labels, predictions))
    lines = ["digit  precision   recall   images"]
    for digit in range(10):
        count = int((labels == digit).sum())
        lines.append(f"{digit:>5}  {precision[digit]:>9.2%}  {recall[digit]:>7.2%}  {count:>7,}")
    return "\n".join(lines)


def check_classes(network: Sequential, data: Dataset, options: Options) -> None:
    """OptionError where the data set has more classes than the network tells apart."""
    classes = int(data.train_labels.max()) + 1
    if classes > network.output_shape[0]:
        raise OptionError(
            f"--dataset {data.name} has {classes} classes, the last being things that are no digit, but --model "
            f"{options.model} tells {network.output_shape[0]} apart: choose --model recogniser"
        )


def begin(progress: Progress, network: Sequential, optimizer: ExponentialMovingAverage, options: Options) -> None:
    """Print the network's summary and where the run stands; compile what training needs, if there is Numba."""
    print(f"\n{network.summary()}\n")
    if progress.epoch == options.epochs:
        print("this run is finished: it is tested once more, and not trained")
        return
    if optimizer.steps:
        print(f"going on in epoch {progress.epoch + 1}/{options.epochs}, after {progress.images:,} of its images")
    elif kernels.available():
        print("the first run compiles its kernels, which takes half a minute or so; later ones find them", flush=True)
    else:
        print(NO_NUMBA, flush=True)
    if kernels.available():
        warm_up(network, optimizer.optimizer, options.augment)


def epoch_line(row: dict[str, float], images: int) -> str:
    """An epoch's line of history in words; images: how many it learned from."""
    return (
        f"loss {row['train_loss']:.4f}, accuracy {row['train_accuracy']:.2%}; "
        f"validation loss {row['validation_loss']:.4f}, accuracy {row['validation_accuracy']:.2%}; "
        f"{row['seconds']:.0f} s, {images / row['seconds']:,.0f} images/s"
    )


def report(run: Run, network: Sequential, history: list[dict[str, float]], data: Dataset, options: Options) -> None:
    """Test the network on the test set, print what came of it, save the weights and draw the pictures.

    The test set holds digits only; a network with one class more is asked which digit it is.
    """
    if history[-1]["validation_accuracy"] < BARELY_LEARNED:
        print("\nthe network has learned next to nothing (guessing gives 10 %): try a smaller --learning-rate")
    images, labels = data.test_images[: options.limit], data.test_labels[: options.limit]
    logits = network.predict(network_input(images))[:, :10]
    predictions = logits.argmax(axis=1)
    print(f"\ntest: {accuracy_line(labels, predictions)}\n\n{class_table(labels, predictions)}")
    seconds = sum(row["seconds"] for row in history)
    network.save(run.weights, made_by(options, network, accuracy(predictions, labels), seconds))
    print(f"\ntrained in {seconds:,.0f} s\nweights:  {run.weights}\nhistory:  {run.folder / 'history.csv'}")
    print(f"pictures: {draw(run.folder, network, history, Images(images, labels), logits)}")
    print(f"next:     {python_name()} -m nncore evaluate {run.weights}")


def made_by(options: Options, network: Sequential, test_accuracy: float, seconds: float) -> dict[str, Any]:
    """The note that goes into the weights file: enough to train the same network again, and no path of this machine."""
    settings = {name: value for name, value in asdict(options).items() if name not in WITHOUT_EFFECT}
    dataset, plus, file = options.dataset.partition("+")
    return {
        **settings,
        "dataset": f"{dataset}{plus}{Path(file).name}",
        "convolutions": network.algorithms(options.batch_size),
        "test_accuracy": test_accuracy,
        "training_seconds": round(seconds),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:  # Numba may be missing; nncore itself when it is run from its source
        return "not installed"


def draw(folder: Path, network: Sequential, history: list[dict[str, float]], test: Images, logits: Array) -> str:
    """Draw the run's pictures into a folder. Returns a line that says where they are, or why there are none."""
    images, labels = test
    try:
        plots.plot_history(history, folder / "curves.png")
        plots.plot_confusion(confusion_matrix(labels, logits.argmax(axis=1)), folder / "confusion.png")
        plots.plot_errors(images, labels, softmax(logits), folder / "errors.png")
        plots.plot_filters(network.parameters()["conv2d_1.kernel"], folder / "filters.png")
        plots.plot_feature_maps(images[0], feature_maps(network, images[0]), folder / "features.png")
    except (OptionError, OSError) as error:  # no matplotlib or a full disk is no reason to lose a trained network
        return f"no pictures: {error}"
    return f"{folder}: curves, confusion, errors, filters and features (.png)"


def feature_maps(network: Sequential, image: Bytes) -> list[tuple[str, Array]]:
    """What each activation and pooling layer makes of one image (28, 28): (the layer's name, its output (H, W, C))."""
    maps, x = [], network_input(image[np.newaxis])
    for name, layer in zip(network.names, network.layers, strict=True):
        x = layer.forward(x)
        if x.ndim == 4 and (layer.is_activation or "pool" in name):
            maps.append((name, x[0]))
    return maps
