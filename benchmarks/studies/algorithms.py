"""Whether "auto" picks the fastest way to compute a convolution: python -m benchmarks.studies.algorithms.

Over a grid of shapes, every algorithm is timed in turns, forward (what prediction needs) and forward and backward (a
step of training). A loss of 5 % means that the one picked takes 1.05 times as long as the fastest. "im2col" may use all
threads for its products, which it may not within a network of which other layers use the kernels.
"""

from nncore.machine import configure_threads_and_malloc

configure_threads_and_malloc()  # before NumPy is imported

# isort: split
import benchmarks.studies.needs_numba  # noqa: F401  before what cannot be imported without

# isort: split
import itertools
import math
import sys
from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import NamedTuple

import numpy as np

from benchmarks.compare.environment import say
from benchmarks.compare.figures import conditions, flags, in_lines, markdown, save
from benchmarks.studies.timing import in_turns
from nncore.errors import NNCoreError, OptionError
from nncore.kernels.conv import choose
from nncore.layers.windows import output_size
from nncore.machine import use_threads
from nncore.types import Padding

CONTENDERS = "winograd", "direct", "im2col"
SIZES = 7, 14, 28, 64
CHANNELS = 1, 8, 32, 128, 256
FILTERS = 8, 32, 128, 256
BATCHES = 1, 16, 128
KERNELS = 1, 3, 5
STRIDES = 1, 2
LARGEST = 4e9  # operations of a forward pass: above, shapes behave alike and take all the time
SECONDS = 0.02  # for each algorithm and figure, or three calls
NOISE = 1.05  # of two that are as close, none is the faster
QUICK = 40  # shapes, in a quick run


class Convolution(NamedTuple):
    """A shape: square images with `same` padding, a square kernel."""

    size: int
    channels: int
    filters: int
    batch: int
    kernel: int
    stride: int

    @property
    def padding(self) -> Padding:
        """As many pixels on each side as the kernel reaches over."""
        return ((self.kernel // 2, self.kernel // 2),) * 2

    @property
    def output(self) -> int:
        """How many pixels wide the output is."""
        size, kernel, stride = ((length, length) for length in (self.size, self.kernel, self.stride))
        return output_size(size, kernel, stride, self.padding)[0]

    @property
    def flops(self) -> float:
        """Of a direct forward pass."""
        return 2.0 * self.batch * self.output**2 * self.kernel**2 * self.channels * self.filters

    def __str__(self) -> str:
        shape = f"{self.batch}x{self.size}x{self.size}x{self.channels} to {self.filters}"
        return f"{shape}, {self.kernel}x{self.kernel}" + (f", stride {self.stride}" if self.stride > 1 else "")


class Timed(NamedTuple):
    """The seconds of each algorithm that serves a shape, forward and in a step of training, and which was picked."""

    shape: Convolution
    picked: str
    forward: dict[str, float]
    step: dict[str, float]

    def loss(self, what: str) -> float:
        """How many times as long as the fastest takes the one that was picked; at least 1."""
        fastest: float = min(getattr(self, what).values())
        return self.seconds(what) / fastest

    def seconds(self, what: str) -> float:
        """How long the one that was picked takes: "forward" or in a "step"."""
        seconds: dict[str, float] = getattr(self, what)
        return seconds[self.picked]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the files; the exit status: 0, 2 after an error, 130 after Ctrl-C."""
    about = 'Whether "auto" picks the fastest way to compute a convolution.'
    options = flags("algorithms", about, quick=f"{QUICK} shapes only").parse_args(arguments)
    facts = conditions(options.threads)
    say(in_lines(facts))
    try:
        use_threads(options.threads)
        shapes = grid()[: QUICK if options.quick else None]
        timed = []
        for number, shape in enumerate(shapes, start=1):
            say(f"{number} of {len(shapes)}: {shape}")
            timed.append(clock(shape, SECONDS))
        text = f"{in_lines(facts)}\n\n{summary(timed)}\n\n{worst(timed)}"
        print(text)
        if options.output:
            rows = [{**each.shape._asdict(), **each._asdict(), "shape": str(each.shape)} for each in timed]
            save(options.output, "algorithms", text, {"conditions": facts, "results": rows})
    except (NNCoreError, OSError) as error:
        print(f"benchmarks.studies.algorithms: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def grid() -> list[Convolution]:
    """Every shape, except the largest; shuffled, so that the first, in a quick run, are a fair sample."""
    axes = SIZES, CHANNELS, FILTERS, BATCHES, KERNELS, STRIDES
    shapes = [Convolution(*values) for values in itertools.product(*axes)]
    shapes = [shape for shape in shapes if shape.flops <= LARGEST]
    return [shapes[number] for number in np.random.default_rng(0).permutation(len(shapes))]


def clock(shape: Convolution, seconds: float) -> Timed:
    """Time each algorithm that serves a shape, in turns; the fastest call counts."""
    rng = np.random.default_rng(0)
    x_shape = (shape.batch, shape.size, shape.size, shape.channels)
    kernel_shape = (shape.kernel, shape.kernel, shape.channels, shape.filters)
    x, kernel = rng.random(x_shape, np.float32), rng.standard_normal(kernel_shape, np.float32)
    dy = rng.random((shape.batch, shape.output, shape.output, shape.filters), np.float32)
    stride, padding = (shape.stride, shape.stride), shape.padding
    ways = {name: choose.ALGORITHMS[name] for name in CONTENDERS if _serves(name, shape)}

    def step(way: ModuleType) -> None:
        way.forward(x, kernel, stride, padding)
        way.backward(x, kernel, dy, stride, padding)

    forward = {name: partial(way.forward, x, kernel, stride, padding) for name, way in ways.items()}
    steps = {name: partial(step, way) for name, way in ways.items()}
    fastest = [{name: min(each) for name, each in in_turns(calls, seconds).items()} for calls in (forward, steps)]
    return Timed(shape, choose.choose(x_shape, kernel_shape, stride, padding), *fastest)


def _serves(name: str, shape: Convolution) -> bool:
    try:
        choose.check(name, (shape.kernel, shape.kernel), (shape.stride, shape.stride))
    except OptionError:
        return False
    return True


def summary(timed: Sequence[Timed]) -> str:
    """How much is lost by not knowing better, in all and by kernel, batch and image."""
    groups = {"all": list(timed)}
    for name, field in (("kernel", "kernel"), ("stride", "stride"), ("batch", "batch"), ("image", "size")):
        for value in sorted({getattr(each.shape, field) for each in timed}):
            groups[f"{name} {value}"] = [each for each in timed if getattr(each.shape, field) == value]
    columns = ["shapes", "number"]
    for what in ("prediction", "training"):
        columns += [f"{what}: not the fastest, %", "mean loss, %", "worst, %", "of the time of all, %"]
    rows = []
    for name, group in groups.items():
        cells = [name, str(len(group))]
        for what in ("forward", "step"):
            losses = [each.loss(what) for each in group]
            mean = math.exp(sum(map(math.log, losses)) / len(losses))
            wrong = sum(loss > NOISE for loss in losses) / len(losses)
            total = sum(each.seconds(what) for each in group)
            lost = total / sum(each.seconds(what) / each.loss(what) for each in group)
            cells.append(f"{100 * wrong:.0f}")
            cells += [f"{100 * (factor - 1):.1f}" for factor in (mean, max(losses), lost)]
        rows.append(cells)
    return markdown(columns, rows)


def worst(timed: Sequence[Timed], count: int = 40) -> str:
    """The shapes for which most is lost, in a step of training or in prediction."""
    columns = ["shape", "picked", "loss in training, %", "in prediction, %"]
    columns += [f"{name}: forward, step, ms" for name in CONTENDERS]
    rows = []
    lossy = [each for each in timed if max(each.loss("step"), each.loss("forward")) > NOISE]
    for each in sorted(lossy, key=lambda each: -max(each.loss("step"), each.loss("forward")))[:count]:
        both = {name: f"{1e3 * each.forward[name]:.3f}, {1e3 * each.step[name]:.3f}" for name in each.forward}
        losses = [f"{100 * (each.loss(what) - 1):.0f}" for what in ("step", "forward")]
        rows.append([str(each.shape), each.picked, *losses, *(both.get(name, "") for name in CONTENDERS)])
    return markdown(columns, rows)


if __name__ == "__main__":
    sys.exit(main())
