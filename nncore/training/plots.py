"""Pictures of a training run: what was learned, what is still mistaken, and what the network looks at.

Every function draws one PNG file of 100 dots per inch, writes it whole or not at all, and returns the matplotlib
figure for whoever wants to show it elsewhere. matplotlib is optional: without it each raises OptionError.

In all pictures of filters and feature maps white is zero, red is positive and blue is negative. These and the other
colours stay apart for colour-blind eyes (Okabe and Ito, "Color universal design", 2008).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nncore.errors import OptionError, ShapeError
from nncore.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

INK, QUIET, FAINT, PANEL = "#222222", "#5a5a5a", "#8a8a8a", "#dcdfe3"
TRAIN, VALIDATION = "#d55e00", "#0072b2"
STYLE = {
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}


def plot_history(history: Sequence[Mapping[str, float]], path: str | Path) -> "Figure":
    """Accuracy and loss after each epoch, on the training and on the validation pictures.

    `history` has one entry an epoch with the keys epoch (counted from 1), train_accuracy, validation_accuracy (both
    0 to 1), train_loss and validation_loss; others are ignored. An epoch whose value is not a number is shaded.
    OptionError if it is empty.
    """
    if not history:
        raise OptionError("the history to plot has no epochs: train for at least one")
    with picture(path, "How the training went", 10, 4.8) as figure:
        accuracy, loss = figure.subplots(1, 2)
        _curves(accuracy, history, "accuracy", 100, "{:.2f} %")
        accuracy.set_title("Accuracy: higher is better", pad=26)
        accuracy.set_ylabel("digits read correctly (%)")
        accuracy.set_ylim(top=min(accuracy.get_ylim()[1], 100))
        _curves(loss, history, "loss", 1, "{:.4f}")
        loss.set_title("Loss: lower is better", pad=26)
        loss.set(ylabel="cross-entropy (nats)", ylim=(0, None))
        note(
            figure,
            "Training values are measured while the network learns, with dropout and distorted pictures where these are"
            " on.\nThat makes the task harder, so training accuracy may well lie below validation accuracy.",
        )
    return figure


def _curves(axes: "Axes", history: Sequence[Mapping[str, float]], quantity: str, factor: float, form: str) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = np.array([entry["epoch"] for entry in history])
    broken = np.zeros(len(epochs), bool)
    for name, key, colour, marker in (("training", "train", TRAIN, "o"), ("validation", "validation", VALIDATION, "s")):
        values = factor * np.array([entry[f"{key}_{quantity}"] for entry in history], np.float64)
        label = f"{name} (last {form.format(values[-1])})"
        axes.plot(epochs, values, color=colour, marker=marker, markersize=4.5, label=label, clip_on=False, zorder=3)
        broken |= ~np.isfinite(values)
    for epoch in epochs[broken]:
        axes.axvspan(epoch - 0.5, epoch + 0.5, color=PANEL)
    if broken.any():
        middle = axes.get_xaxis_transform()
        axes.text(epochs[broken][0], 0.5, "not a number", rotation=90, ha="center", va="center", transform=middle)
    axes.set(xlabel="epoch (one pass over the training pictures)", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=PANEL)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=2, frameon=False, fontsize=9)


def plot_confusion(confusion: Array, path: str | Path) -> "Figure":
    """How often each digit was read as each other.

    `confusion` int64 (10, 10): rows are the true digits, columns what the network read. Only the errors are
    coloured: the diagonal is a hundred times larger and would hide them. ShapeError for another shape.
    """
    if confusion.shape != (10, 10):
        raise ShapeError(f"the confusion matrix has shape {confusion.shape}, expected (10, 10): true digit, read digit")
    errors = np.ma.masked_array(confusion, np.eye(10, dtype=bool))
    right, totals = confusion.diagonal(), confusion.sum(axis=1)
    most = max(errors.max(), 1)
    with picture(path, f"Confusion matrix: read correctly {_share(right.sum(), totals.sum())}", 9, 7) as figure:
        axes = figure.subplots()
        axes.set_facecolor(PANEL)
        axes.imshow(errors, cmap="Oranges", vmin=0, vmax=most)
        for (row, column), number in np.ndenumerate(confusion):
            colour = "white" if row != column and number > 0.7 * most else INK if number else FAINT
            axes.text(column, row, f"{number:,}", ha="center", va="center", color=colour)
        for digit in range(10):
            axes.text(9.75, digit, _share(right[digit], totals[digit]), va="center")
        axes.text(9.75, -0.8, "read correctly", va="center", color=QUIET)
        axes.set(xticks=range(10), yticks=range(10), xlabel="the network read", ylabel="the digit was")
        note(figure, "The grey diagonal counts what was read correctly. Errors are orange, the darker the more.")
    return figure


def _share(right: int, total: int) -> str:
    return f"{100 * right / total:.2f} % ({right:,} of {total:,})" if total else "no pictures"


def plot_errors(images: Array, labels: Array, probabilities: Array, path: str | Path, count: int = 25) -> "Figure":
    """The `count` errors of which the network was most certain, the worst first.

    images uint8 (N, 28, 28), labels int (N,), probabilities float (N, 10). ShapeError if they do not fit together,
    OptionError if `count` is below 1.
    """
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or probabilities.shape != (len(images), 10):
        raise ShapeError(
            f"images {images.shape}, labels {labels.shape} and probabilities {probabilities.shape} do not fit: "
            "expected (N, 28, 28), (N,) and (N, 10) with one N"
        )
    if count < 1:
        raise OptionError(f"the number of errors to show is {count}, expected 1 or more")
    read, certainty = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(read != labels)
    worst = wrong[np.argsort(-certainty[wrong], kind="stable")][:count]
    captions = [f"true {labels[i]}, read as {read[i]} ({100 * certainty[i]:.0f} %)" for i in worst]
    title = f"Errors: {len(wrong):,} of {len(images):,} pictures"
    if len(wrong) > len(worst):
        title += f". Here are the {len(worst)} of which the network was most certain"
    with picture(path, title, 10, 0.8 + 1.96 * _rows(len(worst), 5)) as figure:
        axes = figure.subplots()
        _tiles(axes, images[worst], captions, 5, "Greys", 0, 255)
        if len(worst):
            note(figure, "In brackets: the probability that the network gave to its wrong answer.")
        else:
            axes.text(2.5, 0.5, "Nothing to show: every picture was read correctly.", ha="center", fontsize=12)
    return figure


def plot_filters(kernel: Array, path: str | Path) -> "Figure":
    """The filters of a convolution: each is the small pattern to which it answers most strongly.

    `kernel` float (KH, KW, C_in, C_out); where C_in is above 1 each filter's mean over the input channels is drawn.
    ShapeError if it has not four axes or is empty.
    """
    if kernel.ndim != 4 or kernel.size == 0:
        raise ShapeError(f"the kernel has shape {kernel.shape}, expected four axes (KH, KW, C_in, C_out), none empty")
    height, width, channels, count = kernel.shape
    title = f"Filters of {height} × {width} weights"
    if channels > 1:
        title += f", each the mean over its {channels} input channels"
    with picture(path, title, 9, 0.9 + 0.975 * _rows(count, 8)) as figure:
        _signed_tiles(figure.subplots(), kernel.mean(axis=2).transpose(2, 0, 1), "weight")
        note(figure, "White is zero. Input under red raises the answer of the filter, under blue it lowers it.")
    return figure


def plot_feature_maps(image: Array, maps: Sequence[tuple[str, Array]], path: str | Path) -> "Figure":
    """What the layers make of one picture: the input, then up to 16 channels of every layer.

    `image` (28, 28), `maps` the name and the output (H, W, C) of each layer to show. Each layer has a colour scale of
    its own. ShapeError if an array has not these axes.
    """
    if image.shape != (28, 28):
        raise ShapeError(f"the image has shape {image.shape}, expected (28, 28)")
    for name, array in maps:
        if array.ndim != 3 or array.size == 0:
            raise ShapeError(f"the feature maps of {name} have shape {array.shape}, expected (H, W, C) of one picture")
    rows = [1, *(_rows(min(array.shape[2], 16), 8) for _, array in maps)]
    with picture(path, "What each layer makes of one digit", 9, 0.8 + sum(rows) + 0.4 * len(rows)) as figure:
        first, *others = figure.subplots(len(rows), height_ratios=rows, squeeze=False)[:, 0]
        first.set_title("input: 28 × 28")
        _tiles(first, image[np.newaxis], [""], 8, "Greys", 0, max(image.max(), 1))
        for axes, (name, array) in zip(others, maps, strict=True):
            title = f"{name}: " + " × ".join(map(str, array.shape))
            axes.set_title(title + ", the first 16 channels" if array.shape[2] > 16 else title)
            _signed_tiles(axes, array[:, :, :16].transpose(2, 0, 1), "value")
        note(figure, "White is zero, red positive, blue negative; every layer has its own scale.")
    return figure


def _rows(count: int, columns: int) -> int:
    return max(1, -(-count // columns))


def _signed_tiles(axes: "Axes", pictures: Array, label: str) -> None:
    """Numbered tiles, eight a row, on one scale with its colour bar: white is zero."""
    finite = pictures[np.isfinite(pictures)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    if low == high:  # all zero: any scale will do
        high = 1.0
    limit = max(-low, high)
    _tiles(axes, pictures, [f"{number}" for number in range(len(pictures))], 8, "RdBu_r", -limit, limit)
    right = min(len(pictures), 8) / 8
    bar = axes.figure.colorbar(axes.images[-1], cax=axes.inset_axes((right + 0.02, 0, 0.02, 1)), label=label)
    bar.ax.set_ylim(low, high)


def _tiles(
    axes: "Axes", pictures: Array, captions: Sequence[str], columns: int, colours: str, low: float, high: float
) -> None:
    """`pictures` (K, H, W) in rows of `columns`, a caption above each; what is not a number stays grey."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    shades = colormaps[colours].with_extremes(bad=PANEL)
    height, width = 0.8 * np.array(pictures.shape[1:]) / max(pictures.shape[1:])
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = column + (1 - width) / 2, row + 0.15 + (0.8 - height) / 2
        axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=FAINT, linewidth=0.8))
        axes.imshow(picture, cmap=shades, vmin=low, vmax=high, extent=(left, left + width, top + height, top))
        axes.text(column + 0.5, row + 0.13, caption, ha="center", va="bottom", fontsize=9)
    axes.set(xlim=(0, columns), ylim=(_rows(len(pictures), columns), 0))
    axes.axis("off")


def note(figure: "Figure", text: str) -> None:
    """A remark below the picture."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=9, color=QUIET)


@contextmanager
def picture(path: str | Path, title: str, width: float, height: float) -> Iterator["Figure"]:
    """A figure of `width` x `height` inches to draw on, which is saved to `path` when the block ends."""
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OptionError("pictures need matplotlib: pip install matplotlib (or make setup)") from error
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left")
        yield figure
        with atomic_write(path) as file:
            figure.savefig(file, format="png")
