"""What each kernel reaches of what this machine can do: python -m benchmarks.studies.roofline.

A kernel takes at least as long as its arithmetic does at the machine's peak, and as its arrays do on their way from
memory and back: the longer of the two is its bound. Of Winograd's algorithm, the products of transformed tiles count as
the arithmetic; its effective speed is that of the direct convolution which it replaces, and may lie above the peak.

Source: Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model for multicore
architectures".
"""

from nncore.machine import configure_threads_and_malloc

configure_threads_and_malloc()  # before NumPy is imported

# isort: split
import benchmarks.studies.needs_numba  # noqa: F401  before what cannot be imported without

# isort: split
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.compare.environment import say
from benchmarks.compare.figures import conditions, flags, in_lines, markdown, save
from benchmarks.studies.peak import LEVELS, Peak, measure
from benchmarks.studies.timing import times
from nncore.errors import NNCoreError
from nncore.kernels import activation, pooling
from nncore.kernels.conv import choose, winograd
from nncore.layers import Dense
from nncore.layers.windows import output_size
from nncore.machine import use_threads
from nncore.network.models import reference
from nncore.network.sequential import Sequential
from nncore.optimizers import Adam
from nncore.training.plots import FAINT, PANEL, QUIET, note, picture
from nncore.types import Padding, Pair, Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AnyArray = np.ndarray[Any, Any]

ALGORITHMS = "winograd", "direct", "im2col", "layer"
COLOURS = "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00"
MARKERS = {"forward": "o", "forward_relu": "s", "forward_pool": "^"}


class Case(NamedTuple):
    """A convolution of stride 1 to be timed; x is (N, H, W, C), the kernel square."""

    name: str
    x: Shape
    filters: int
    kernel: int = 3
    padding: int = 0


CASES = (
    Case("conv1", (128, 28, 28, 1), 64),
    Case("conv2", (128, 26, 26, 64), 128),
    Case("conv3", (128, 12, 12, 128), 128),
    Case("5x5", (128, 14, 14, 32), 64, 5, 2),
    Case("1x1", (128, 28, 28, 64), 128, 1),
    Case("64x64 pixels", (32, 64, 64, 32), 64, 3, 1),
    Case("256 channels", (64, 14, 14, 256), 256, 3, 1),
)


class Work(NamedTuple):
    """Something to be timed.

    Attributes:
        what: which convolution or layer.
        algorithm: one of ALGORITHMS.
        step: which pass.
        flops: what is computed, a product and the sum that takes it counted as two.
        effective: what direct convolution would compute; 0 for what is no convolution.
        traffic: the bytes of all arrays that are read or written, each counted once.
        run: does it.
    """

    what: str
    algorithm: str
    step: str
    flops: float
    effective: float
    traffic: int
    run: Callable[[], object]


class Result(NamedTuple):
    """What came of it, all in seconds: how long it took, and how long its arithmetic and its memory take at least."""

    work: Work
    seconds: float
    arithmetic: float
    memory: float

    @property
    def bound(self) -> float:
        """The least that it takes; or less, where arrays stay in a cache from call to call."""
        return max(self.arithmetic, self.memory)

    def figures(self) -> dict[str, Any]:
        """All of it, for JSON."""
        work = self.work._asdict()
        del work["run"]
        return {**work, "seconds": self.seconds, "arithmetic": self.arithmetic, "memory": self.memory}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the files; the exit status: 0, 2 after an error, 130 after Ctrl-C."""
    about = "What each kernel reaches of what this machine can do."
    options = flags("roofline", about, quick="two convolutions only, less time for each figure").parse_args(arguments)
    facts = conditions(options.threads)
    say(f"{in_lines(facts)}\nmeasuring the machine ...")
    seconds = 0.05 if options.quick else 0.3
    try:
        peaks = [measure(threads, seconds) for threads in sorted({1, options.threads})]
        use_threads(options.threads)
        cases = [case for case in CASES if not options.quick or case.name in ("conv2", "5x5")]
        results = [rated(work, peaks[-1], seconds) for work in works(cases)]
        text = f"{in_lines(facts)}\n\n{peak_table(peaks)}\n\n{table(results)}"
        print(text)
        if options.output:
            figures = {"peaks": [peak._asdict() for peak in peaks], "results": [each.figures() for each in results]}
            save(options.output, "roofline", text, {"conditions": facts, **figures})
            draw(peaks[-1], results, options.output / "roofline.png")
    except (NNCoreError, OSError) as error:
        print(f"benchmarks.studies.roofline: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def rated(work: Work, peak: Peak, seconds: float) -> Result:
    """Time it. The fastest call counts: what else happens on the machine makes calls slower, never faster."""
    return Result(work, min(times(work.run, seconds)), *peak.seconds(work.flops, work.traffic))


def works(cases: Sequence[Case]) -> Iterator[Work]:
    """All that is timed, one after the other: arrays live no longer than they are needed."""
    rng = np.random.default_rng(0)
    for case in cases:
        say(f"{case.name} ...")
        yield from of_convolution(case, rng)
    say("layers ...")
    yield from of_layers(rng)


def of_convolution(case: Case, rng: np.random.Generator) -> Iterator[Work]:
    """The passes of every algorithm that serves a convolution."""
    (n, height, width, channels), filters, k = case.x, case.filters, case.kernel
    padding: Padding = ((case.padding, case.padding), (case.padding, case.padding))
    oh, ow = output_size((height, width), (k, k), (1, 1), padding)
    x, w, dy = (rng.random(shape, np.float32) for shape in (case.x, (k, k, channels, filters), (n, oh, ow, filters)))
    direct = 2.0 * n * oh * ow * k * k * channels * filters

    def work(algorithm: str, step: str, flops: float, arrays: Iterable[AnyArray], run: Callable[[], object]) -> Work:
        passes = 2 if step.startswith("backward") else 1  # either gradient takes as much as the forward pass
        return Work(case.name, algorithm, step, passes * flops, passes * direct, traffic(*arrays), run)

    for name in ("direct", "im2col"):
        forward, backward = choose.ALGORITHMS[name].forward, choose.ALGORITHMS[name].backward
        yield work(name, "forward", direct, (x, w, dy), partial(forward, x, w, (1, 1), padding))
        yield work(name, "backward", direct, (x, w, dy, x, w), partial(backward, x, w, dy, (1, 1), padding))
    if not winograd.serves((k, k), (1, 1)):
        return

    def products(size: Pair) -> float:
        tile = winograd.best_tile(size, w.shape)
        tiles = math.ceil(size[0] / tile.m) * math.ceil(size[1] / tile.m)
        return 2.0 * n * tiles * tile.n**2 * channels * filters

    ours, plain, pooled = "winograd", products((oh, ow)), products((oh // 2 * 2, ow // 2 * 2))
    bias = np.zeros(filters, np.float32)
    yield work(ours, "forward", plain, (x, w, dy), partial(winograd.forward, x, w, (1, 1), padding))
    yield work(ours, "backward", plain, (x, w, dy, x, w), partial(winograd.backward, x, w, dy, (1, 1), padding))
    y = winograd.forward_relu(x, w, bias, padding)
    yield work(ours, "forward_relu", plain, (x, w, y), partial(winograd.forward_relu, x, w, bias, padding))
    undo = partial(winograd.backward_relu, x, w, y, dy, padding)
    yield work(ours, "backward_relu", plain, (x, w, y, dy, x, w), undo)
    y, winners = winograd.forward_pool(x, w, bias, padding)
    yield work(ours, "forward_pool", pooled, (x, w, y, winners), partial(winograd.forward_pool, x, w, bias, padding))
    undo = partial(winograd.backward_pool, x, w, winners, y, padding)
    yield work(ours, "backward_pool", pooled, (x, w, y, winners, x, w), undo)


def of_layers(rng: np.random.Generator) -> Iterator[Work]:
    """What else the reference network consists of, for 128 images."""

    def work(what: str, step: str, flops: float, arrays: Iterable[AnyArray], run: Callable[[], object]) -> Work:
        return Work(what, "layer", step, flops, 0, traffic(*arrays), run)

    rows, drows, dense = (
        rng.random((128, 3200), np.float32),
        rng.random((128, 256), np.float32),
        Sequential([Dense(256)], (3200,)),
    )
    w = dense.layers[0].parameters["kernel"]

    def forward_and_backward() -> None:
        dense.forward(rows, training=True)
        dense.backward(drows)

    yield work("dense 256", "forward", 256.0 * 2 * rows.size, (rows, w, drows), partial(dense.forward, rows))
    arrays: tuple[AnyArray, ...] = rows, w, drows, rows, w, drows, rows, w
    yield work("dense 256", "both", 256.0 * 6 * rows.size, arrays, forward_and_backward)

    x, bias, twice = rng.standard_normal((128, 24, 24, 128), np.float32), np.zeros(128, np.float32), ((2, 2), (2, 2))
    y, winners = pooling.max_pool(x, *twice)
    yield work("bias + ReLU", "forward", 2.0 * x.size, (x, x), partial(activation.bias_relu, x, bias))
    yield work("bias + ReLU", "backward", 2.0 * x.size, (x, x, x), partial(activation.bias_relu_backward, x, x))
    yield work("max-pool", "forward", 1.0 * x.size, (x, y, winners), partial(pooling.max_pool, x, *twice))
    run = partial(pooling.max_pool_backward, y, winners, x.shape, *twice)
    yield work("max-pool", "backward", 1.0 * x.size, (x, y, winners), run)

    weights, adam = reference().parameters(), Adam()
    gradients = {name: np.full_like(array, 0.001) for name, array in weights.items()}
    arrays = 7 * tuple(weights.values())  # of weights, gradients and two running means, all but the gradients both ways
    size = sum(array.size for array in weights.values())
    yield work("Adam", "step", 13.0 * size, arrays, partial(adam.step, weights, gradients))


def traffic(*arrays: AnyArray) -> int:
    """The bytes of arrays, of which one that is read and written should be given twice."""
    return sum(array.nbytes for array in arrays)


def peak_table(peaks: Sequence[Peak]) -> str:
    """What the machine can do."""
    columns = ["threads", "GFLOP/s", *(f"{level}, GB/s read" for level in LEVELS)]
    columns += [f"{level}, GB/s read and written" for level in LEVELS]
    rows = [[str(p.threads), *(f"{v:,.0f}" for v in (p.gflops, *p.read.values(), *p.modify.values()))] for p in peaks]
    return markdown(columns, rows)


def table(results: Sequence[Result]) -> str:
    """What the kernels reach of it."""
    columns = ["what", "algorithm", "pass", "ms", "GFLOP/s", "effective", "MB", "bound, ms", "by", "reached, %"]
    rows = []
    for result in results:
        work, seconds = result.work, result.seconds
        effective = f"{work.effective / seconds / 1e9:,.0f}" if work.effective else ""
        speeds = [f"{1e3 * seconds:.2f}", f"{work.flops / seconds / 1e9:,.0f}", effective, f"{work.traffic / 1e6:.1f}"]
        limit = "memory" if result.memory > result.arithmetic else "arithmetic"
        reached = [f"{1e3 * result.bound:.2f}", limit, f"{100 * result.bound / seconds:.0f}"]
        rows.append([work.what, work.algorithm, work.step, *speeds, *reached])
    return markdown(columns, rows)


def draw(peak: Peak, results: Sequence[Result], path: Path) -> None:
    """The roofline, one picture of it for each algorithm, all to the same scales."""
    title = f"What the kernels reach of what the machine can do, with {peak.threads} threads"
    with picture(path, title, 11, 9) as figure:
        for axes, algorithm in zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, ALGORITHMS, strict=True):
            _roof(axes, peak)
            here = [result for result in results if result.work.algorithm == algorithm]
            alike = [each.work for each in results if (each.work.algorithm == "layer") == (algorithm == "layer")]
            colours = dict(zip(dict.fromkeys(work.what for work in alike), COLOURS, strict=False))
            for work, seconds, *_ in here:
                colour = colours[work.what]
                face = "white" if work.step.startswith("backward") else colour
                marker = MARKERS.get(work.step.replace("backward", "forward"), "D")
                at = work.flops / work.traffic, work.flops / seconds / 1e9
                axes.plot(*at, marker, color=colour, markerfacecolor=face, zorder=3)
            for name in dict.fromkeys(result.work.what for result in here):
                axes.plot([], [], "o", color=colours[name], label=name)
            axes.legend(loc="lower right", frameon=False, fontsize=8)
            axes.set_title({"layer": "other layers"}.get(algorithm, algorithm))
            axes.set(xlabel="operations for each byte of memory", ylabel="GFLOP/s")
            axes.label_outer()
        note(
            figure,
            "Filled: forward; hollow: backward. Circles: alone; squares: with bias and ReLU; triangles: with pooling, "
            "too; diamonds: both passes, or a step.\nDashed: the roof for arrays that stay in the second-level cache.",
        )


def _roof(axes: "Axes", peak: Peak) -> None:
    intensity = np.geomspace(0.1, 2000, 200)
    for level, style in (("memory", "-"), ("L2", "--")):
        bandwidth = max(peak.read[level], peak.modify[level])
        axes.loglog(intensity, np.minimum(peak.gflops, intensity * bandwidth), style, color=FAINT, linewidth=1)
        at, words = (0.11, 0.125 * bandwidth), f"{level}, {bandwidth:,.0f} GB/s"
        along: Any = {"rotation": math.degrees(math.atan2(*at[::-1])), "transform_rotates_text": True}
        axes.text(*at, words, **along, rotation_mode="anchor", color=QUIET, fontsize=8)
    axes.text(2000, 1.08 * peak.gflops, f"{peak.gflops:,.0f} GFLOP/s", ha="right", color=QUIET, fontsize=8)
    axes.grid(color=PANEL, linewidth=0.5)


if __name__ == "__main__":
    sys.exit(main())
