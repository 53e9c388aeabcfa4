"""What a run says at its end: a table of the ten classes, the note in the weights file, the pictures."""

import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nncore.data.dataset import network_input
from nncore.errors import OptionError
from nncore.layers.activations import softmax
from nncore.network.sequential import Sequential
from nncore.training import plots
from nncore.training.metrics import confusion_matrix, precision_recall, wilson_interval
from nncore.training.options import Options
from nncore.types import Array, Bytes, Integers

WITHOUT_EFFECT = ("data_dir", "output", "plots", "explain")  # settings that the weights do not depend on
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


def made_by(options: Options, test_accuracy: float, seconds: float) -> dict[str, Any]:
    """The note that goes into the weights file: enough to train the same network again, and no path of this machine."""
    settings = {name: value for name, value in asdict(options).items() if name not in WITHOUT_EFFECT}
    return {
        **settings,
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


def draw(
    folder: Path,
    network: Sequential,
    history: list[dict[str, float]],
    images: Bytes,
    labels: Bytes,
    logits: Array,
) -> str:
    """Draw the run's pictures into a folder. Returns a line that says where they are, or why there are none."""
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
