"""The pictures of the book, drawn anew into docs/images: python docs/pictures.py."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nncore.data.strokes.synthetic import synthetic_digits
from nncore.layers import MaxPool2D
from nncore.layers.activations import softmax
from nncore.layers.windows import col2im, im2col
from nncore.optimizers import SGD, Adam, Optimizer
from nncore.schedules import SCHEDULES
from nncore.training.plots import FAINT, INK, PANEL, QUIET, TRAIN, VALIDATION, note, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

IMAGES = Path(__file__).parent / "images"
ORANGE, BLUE, GREEN, PURPLE = "#f6c28b", "#a9d0ea", "#a8dcc6", "#dcb8cf"  # pale, for the background of numbers
THIRD = "#009e73"
HOW = (2, 2), (1, 1), ((0, 0), (0, 0))  # the window, stride and padding of the book's example
X = np.arange(1.0, 10).reshape(1, 3, 3, 1)
KERNEL = np.array([[1.0, 0], [2, -1]]).reshape(2, 2, 1, 1)


def cells(
    axes: "Axes", numbers: Array, left: float, top: float, colours: Any = "white", size: float = 1.0, title: str = ""
) -> None:
    """A matrix as a grid of numbers, its upper left corner at (left, top); `colours`: one, or one for each number."""
    from matplotlib.patches import Rectangle

    shades = np.broadcast_to(np.asarray(colours, object), numbers.shape)
    for (i, j), number in np.ndenumerate(numbers):
        x, y = left + j * size, top + i * size
        axes.add_patch(Rectangle((x, y), size, size, facecolor=shades[i, j], edgecolor=QUIET, linewidth=0.8))
        axes.text(x + size / 2, y + size / 2, f"{number:g}", ha="center", va="center", fontsize=11)
    if title:
        axes.text(left, top - 0.15, title, va="bottom", fontsize=10.5, color=INK)


def words(axes: "Axes", x: float, y: float, text: str, size: float = 13, colour: str = INK) -> None:
    """A few words, or a sign, centred."""
    axes.text(x, y, text, ha="center", va="center", fontsize=size, color=colour)


def arrow(
    axes: "Axes", start: tuple[float, float], end: tuple[float, float], colour: str = QUIET, width: float = 1.4
) -> None:
    """An arrow from one point to another."""
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)


def canvas(axes: "Axes", width: float, height: float) -> None:
    """Make the axes a sheet of squared paper of that size, y downwards, its lines not drawn."""
    axes.set(xlim=(-0.1, width), ylim=(height, -0.1), aspect="equal", anchor="NW")
    axes.axis("off")


def pixels(path: Path) -> None:
    """A digit, a part of it enlarged, and the same part as numbers."""
    images, labels = synthetic_digits(1000, seed=0)
    digit = images[0]
    top, left, side = 5, 9, 8
    part = digit[top : top + side, left : left + side]
    with picture(path, f"A {labels[0]}: 28 x 28 numbers from 0 to 255", 10, 4.9) as figure:
        whole, numbers = figure.subplots(1, 2)
        from matplotlib.patches import Rectangle

        whole.imshow(digit, cmap="gray_r", vmin=0, vmax=255)
        whole.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=TRAIN, linewidth=2))
        whole.set(xlabel="column j", ylabel="row i", title="images[0]")
        numbers.imshow(
            part, cmap="gray_r", vmin=0, vmax=255, extent=(left - 0.5, left + side - 0.5, top + side - 0.5, top - 0.5)
        )
        for (i, j), value in np.ndenumerate(part):
            colour = "white" if value > 140 else INK
            numbers.text(left + j, top + i, f"{value}", ha="center", va="center", fontsize=9.5, color=colour)
        numbers.set_title(f"images[0, {top}:{top + side}, {left}:{left + side}]")
        numbers.spines[:].set(visible=True, color=TRAIN, linewidth=2)
        numbers.set(xlabel="column j", ylabel="row i")
        for axes in (whole, numbers):
            axes.tick_params(length=0)
        note(
            figure,
            "Ink is bright (255) and paper dark (0) in the arrays; printed here the other way around, as ink on paper.",
        )


def dense(path: Path) -> None:
    """The paths on which one weight, and one input, influence the outputs; the three products and their shapes."""
    from matplotlib.patches import Circle, Rectangle

    with picture(path, "A dense layer, forward and backward", 10, 4.6) as figure:
        graph, shapes = figure.subplots(1, 2, width_ratios=(1, 1.25))
        canvas(graph, 7.2, 6.6)
        inputs, units = [(1.2, 1.2 + 2 * i) for i in range(3)], [(5.6, 2.2), (5.6, 4.2)]
        for i, start in enumerate(inputs):
            for u, end in enumerate(units):
                chosen = (i, u) == (2, 0)
                graph.plot(
                    *zip(start, end, strict=True),
                    color=TRAIN if chosen else FAINT,
                    linewidth=2.6 if chosen else 1.1,
                    zorder=1,
                )
        for places, name, shade in ((inputs, "x", BLUE), (units, "y", GREEN)):
            for i, (across, down) in enumerate(places):
                graph.add_patch(Circle((across, down), 0.48, facecolor=shade, edgecolor=QUIET, zorder=2))
                words(graph, across, down, f"${name}_{{n{i}}}$", 12)
        words(graph, 3.05, 3.35, "$W_{20}$", 13, TRAIN)
        words(
            graph, 3.5, 6.2, "One weight joins one input with one unit,\nfor every picture n of the batch.", 10, QUIET
        )
        graph.set_title("Which numbers does $W_{20}$ touch?")

        canvas(shapes, 12, 8.4)
        lengths = {"N": 2, "I": 3, "U": 2}
        x, w, y = ("X", "NI", BLUE), ("W", "IU", ORANGE), ("Y", "NU", GREEN)
        dx, dw, dy = ("dX", "NI", BLUE), ("dW", "IU", ORANGE), ("dY", "NU", GREEN)
        products: list[tuple[str, tuple[tuple[str, str, str], ...]]] = [
            ("forward", (x, w, y)),
            ("to learn", (("$X^T$", "IN", BLUE), dy, dw)),
            ("to hand on", (dy, ("$W^T$", "UI", ORANGE), dx)),
        ]
        for row, (label, matrices) in enumerate(products):
            middle, left = 1.4 + 2.75 * row, 3.0
            shapes.text(0, middle, label, va="center", fontsize=10.5, color=QUIET)
            for sign, (name, size, shade) in zip(("", "×", "="), matrices, strict=True):
                words(shapes, left - 0.55, middle, sign)
                high, wide = 0.62 * lengths[size[0]], 0.62 * lengths[size[1]]
                shapes.add_patch(Rectangle((left, middle - high / 2), wide, high, facecolor=shade, edgecolor=QUIET))
                words(shapes, left + wide / 2, middle, name, 11)
                words(shapes, left + wide / 2, middle + high / 2 + 0.27, " x ".join(size), 8.5, QUIET)
                left += 3.2
        shapes.set_title("Three products, with their shapes")


def loss(path: Path) -> None:
    """Probabilities, targets and the gradient, for three classes."""
    p, t = softmax(np.log(np.array([1.0, 2, 5]))), np.array([0.0, 1, 0])
    panels = ((p, "said: p", VALIDATION), (t, "true: t", QUIET), (p - t, "gradient: p - t", TRAIN))
    with picture(path, "The gradient of softmax and cross-entropy is a difference", 10, 3.6) as figure:
        for axes, (values, title, colour) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
            axes.bar(range(3), values, color=colour, width=0.6)
            axes.axhline(0, color=QUIET, linewidth=0.8)
            for k, value in enumerate(values):
                low = value < 0
                axes.text(k, value + (-0.05 if low else 0.05), f"{value:g}", ha="center", va="top" if low else "bottom")
            axes.set(title=title, xlabel="class", xticks=range(3), ylim=(-1, 1.2))


def patches(colours: Sequence[str]) -> Array:
    """A (1, K) array of colours."""
    return np.array(colours, object)[:, None]


def convolution(path: Path) -> None:
    """im2col of a picture of 3x3 pixels, and the product."""
    columns = im2col(X, *HOW)
    y = columns @ KERNEL.reshape(4, 1)
    shades = (ORANGE, BLUE, GREEN, PURPLE)
    with picture(
        path, "im2col: every window becomes a row, and the convolution a product of matrices", 10, 4.4
    ) as figure:
        axes = figure.subplots()
        canvas(axes, 20.6, 8.6)
        cells(axes, X[0, :, :, 0], 0, 2.3, title="picture x")
        for r, shade in enumerate(shades):
            i, j = divmod(r, 2)
            cells(axes, columns[r].reshape(2, 2), 4.3 + 2.4 * j, 1.2 + 2.9 * i, shade, title=f"window {r}")
        cells(axes, columns, 10.2, 1.8, patches(shades), title="columns X (4, 4)")
        words(axes, 14.75, 3.8, "×")
        cells(axes, KERNEL.reshape(4, 1), 15.2, 1.8, title="W (4, 1)")
        words(axes, 16.75, 3.8, "=")
        cells(axes, y, 17.2, 1.8, patches(shades), title="Y (4, 1)")
        arrow(axes, (3.15, 3.8), (4.05, 3.8))
        arrow(axes, (8.9, 3.8), (9.95, 3.8))
        cells(axes, KERNEL[:, :, 0, 0], 12.4, 6.4)
        axes.text(12.2, 7.4, "kernel", ha="right", va="center", fontsize=10.5)
        arrow(axes, (14.55, 7.4), (15.7, 5.95))
        cells(axes, y.reshape(2, 2), 18.35, 6.4, np.array(shades, object).reshape(2, 2))
        axes.text(18.2, 7.4, "y", ha="right", va="center", fontsize=10.5)
        arrow(axes, (17.7, 5.95), (18.7, 6.3))


def convolution_backward(path: Path) -> None:
    """col2im: two windows send dy times the kernel back, and meet in the middle."""
    dy = np.array([[1.0, 0], [0, 2]])
    dcolumns = dy.reshape(4, 1) @ KERNEL.reshape(1, 4)
    first, last = (col2im(dcolumns * (np.arange(4) == r)[:, None], (1, 3, 3, 1), *HOW)[0, :, :, 0] for r in (0, 3))
    upper, lower = np.full((3, 3), "white", object), np.full((3, 3), "white", object)
    upper[:2, :2], lower[1:, 1:] = ORANGE, PURPLE
    both = np.where(upper == ORANGE, upper, lower)
    both[1, 1] = "#e4a3a0"
    with picture(
        path, "col2im: every dy sends the kernel back to its window, and what meets adds up", 10, 3.1
    ) as figure:
        axes = figure.subplots()
        canvas(axes, 20.4, 5)
        cells(axes, dy, 0, 1.5, np.array([[ORANGE, "white"], ["white", PURPLE]], object), title="dy")
        cells(axes, KERNEL[:, :, 0, 0], 3.3, 1.5, title="kernel W")
        words(axes, 2.65, 2.5, "×")
        arrow(axes, (5.6, 2.5), (6.7, 2.5))
        cells(axes, first, 7.1, 1, upper, title="1 · W at the upper left")
        words(axes, 10.95, 2.5, "+")
        cells(axes, last, 11.8, 1, lower, title="2 · W at the lower right")
        words(axes, 15.65, 2.5, "=")
        cells(axes, first + last, 16.5, 1, both, title="dx")
        words(axes, 18, 4.6, "in the middle: -1 + 2", 10, QUIET)


def pooling(path: Path) -> None:
    """Max pooling of 4x4 pixels, forward and backward."""
    x = np.array([[1.0, 4, 2, 0], [3, 2, 5, 5], [0, 1, 1, 6], [8, 2, 7, 3]]).reshape(1, 4, 4, 1)
    dy = np.array([[10.0, 20], [30, 40]]).reshape(1, 2, 2, 1)
    pool = MaxPool2D(2)
    y = pool.forward(x, training=True)
    dx = pool.backward(dy)[0, :, :, 0]
    small = np.array([[ORANGE, BLUE], [GREEN, PURPLE]], object)
    won = np.where(dx != 0, small.repeat(2, 0).repeat(2, 1), "white")
    with picture(path, "Max pooling: the largest goes forward, the gradient goes back to it", 10, 3.5) as figure:
        axes = figure.subplots()
        canvas(axes, 20.4, 5.6)
        for left, large, small_numbers, small_left, names in (
            (0, x[0, :, :, 0], y[0, :, :, 0], 6, ("x, the winners coloured", "y")),
            (15.6, dx, dy[0, :, :, 0], 11.6, ("dx", "dy")),
        ):
            cells(axes, large, left, 0.9, won, title=names[0])
            cells(axes, small_numbers, small_left, 1.9, small, title=names[1])
            middle = left + 2
            axes.plot([middle, middle], [0.9, 4.9], color=INK, linewidth=2)
            axes.plot([left, left + 4], [2.9, 2.9], color=INK, linewidth=2)
        arrow(axes, (4.2, 2.9), (5.8, 2.9))
        arrow(axes, (13.8, 2.9), (15.4, 2.9), TRAIN)
        words(axes, 5, 2.4, "forward", 10, QUIET)
        words(axes, 14.6, 2.4, "backward", 10, TRAIN)
        axes.plot([9.8, 9.8], [0.7, 5], color=PANEL, linewidth=1.5)


def batchnorm(path: Path) -> None:
    """The three ways on which a number moves the normalised ones."""
    from matplotlib.patches import Circle

    places = {"x": (1, 3), "μ": (5, 1.2), "s": (8, 4.8), "z": (13, 3), "y": (17.5, 3)}
    shades = {"x": BLUE, "μ": ORANGE, "s": PURPLE, "z": GREEN, "y": GREEN}
    names = {"x": "$x_i$", "μ": "$\\mu$", "s": "$v, s$", "z": "$z_j$", "y": "$y_j$"}
    ways = (("x", "z", VALIDATION), ("x", "μ", TRAIN), ("μ", "z", TRAIN), ("x", "s", THIRD), ("s", "z", THIRD))
    with picture(path, "Three ways on which one x moves the z", 10, 3.4) as figure:
        axes = figure.subplots()
        canvas(axes, 18.4, 6)
        for start, end, colour in (*ways, ("z", "y", QUIET)):
            here, there = (np.array(places[name], float) for name in (start, end))
            gap = 0.72 * (there - here) / np.hypot(*(there - here))
            arrow(axes, tuple(here + gap), tuple(there - gap), colour)
        for name, place in places.items():
            axes.add_patch(Circle(place, 0.68, facecolor=shades[name], edgecolor=QUIET))
            words(axes, *place, names[name], 12)
        words(axes, 6.5, 2.7, "1. directly: $z_i$ alone", 10, VALIDATION)
        words(axes, 5, 0.2, "2. through the mean: every $z_j$", 10, TRAIN)
        words(axes, 8, 5.8, "3. through the variance: every $z_j$", 10, THIRD)
        words(axes, 15.25, 2.65, "$\\gamma, \\beta$", 11, QUIET)


def optimizers(path: Path) -> None:
    """Three ways through a long valley, and three schedules."""
    steep = np.array([0.02, 1.0])  # L = (0.02 a^2 + b^2) / 2
    ways: list[tuple[str, Optimizer, str]] = [
        ("SGD", SGD(1.8, momentum=0), TRAIN),
        ("with momentum", SGD(0.5, momentum=0.8), VALIDATION),
        ("Adam", Adam(0.4), THIRD),
    ]
    with picture(path, "Through a valley that is fifty times as steep across as along", 10, 5.4) as figure:
        panels = figure.subplot_mosaic("abc;ddd", height_ratios=(1, 0.95))
        for panel, (name, optimizer, colour) in zip("abc", ways, strict=True):
            axes = panels[panel]
            a, b = np.meshgrid(np.linspace(-9.5, 3.5, 80), np.linspace(-2.4, 2.4, 60))
            height = (steep[0] * a**2 + steep[1] * b**2) / 2
            axes.contour(a, b, height, levels=np.geomspace(0.02, 4, 8), colors=PANEL, linewidths=1)
            w = np.array([-8.5, 1.9])
            way = [w.copy()]
            for _ in range(30):
                optimizer.step({"w": w}, {"w": steep * w})
                way.append(w.copy())
            axes.plot(*np.array(way).T, color=colour, marker="o", markersize=3, linewidth=1.3)
            axes.plot(0, 0, marker="+", color=INK, markersize=11, markeredgewidth=1.6)
            axes.set(xticks=[], yticks=[], xlim=(-9.5, 3.5), ylim=(-2.4, 2.4))
            axes.set_title(f"{name}: 30 steps")
            axes.spines[:].set(visible=True, color=PANEL)
        axes = panels["d"]
        steps = np.arange(1000)
        for name, colour in (("step", TRAIN), ("cosine", VALIDATION), ("one-cycle", THIRD)):
            rate = SCHEDULES[name](0.001, len(steps))
            axes.plot(steps, [rate(int(step)) for step in steps], color=colour, label=name, linewidth=1.8)
        axes.set(xlabel="step", ylabel="learning rate", title="Schedules", ylim=(0, None), xlim=(0, 1000))
        axes.grid(axis="y", color=PANEL)
        axes.legend(frameon=False)


def gradient_check(path: Path) -> None:
    """The error of the central difference of e^w at 1, over the step, in double and in single precision."""
    steps = np.geomspace(1e-11, 1, 67)
    with picture(path, "Too large a step bends, too small a step rounds: the slope of $e^w$ at 1", 10, 4.2) as figure:
        axes = figure.subplots()
        for dtype, colour in ((np.float32, TRAIN), (np.float64, VALIDATION)):
            w: Array = np.ones_like(steps, dtype)
            h: Array = steps.astype(dtype)
            quotient = (np.exp(w + h) - np.exp(w - h)) / (2 * h)
            error = np.abs(quotient.astype(np.float64) / np.e - 1)
            axes.loglog(steps, np.maximum(error, 1e-12), color=colour, marker="o", markersize=3.5, label=dtype.__name__)
        axes.loglog(
            steps[steps > 1e-5], steps[steps > 1e-5] ** 2 / 6, color=QUIET, linestyle="--", label="$h^2/6$, by Taylor"
        )
        axes.axhline(1e-6, color=INK, linewidth=0.9)
        axes.text(0.12, 7e-7, "allowed: $10^{-6}$", va="top", fontsize=9.5)
        axes.set(xlabel="step h", ylabel="relative error", ylim=(1e-12, 3))
        axes.grid(color=PANEL)
        axes.legend(frameon=False, loc="lower left")


PICTURES: dict[str, Callable[[Path], None]] = {
    "book_pixels.png": pixels,
    "book_dense.png": dense,
    "book_loss.png": loss,
    "book_im2col.png": convolution,
    "book_col2im.png": convolution_backward,
    "book_pooling.png": pooling,
    "book_batchnorm.png": batchnorm,
    "book_optimizers.png": optimizers,
    "book_gradient_check.png": gradient_check,
}


def main(folder: Path = IMAGES) -> None:
    """Draw them all into a folder."""
    for name, draw in PICTURES.items():
        draw(folder / name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
