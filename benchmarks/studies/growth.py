"""How the time of training grows with batch, image, channels and depth, and shrinks with threads.

    python -m benchmarks.studies.growth

One thing is changed at a time. nncore and its opponents are started, compared and timed in turns, as everywhere in
these benchmarks.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.compare.contest import Contender, Contest
from benchmarks.compare.environment import say
from benchmarks.compare.figures import flags, in_lines, markdown, save
from benchmarks.compare.networks import write, write_batches
from benchmarks.compare.protocol import BenchmarkError
from benchmarks.compare.report import machine
from benchmarks.compare.systems import NNCORE, OPPONENTS, System
from nncore.errors import NNCoreError
from nncore.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from nncore.network.models import reference
from nncore.network.sequential import Sequential
from nncore.training.plots import PANEL, QUIET, TRAIN, VALIDATION, note, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = TRAIN, VALIDATION, "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8a8a8a"


def convolutions(size: int, channels: int, depth: int) -> Sequential:
    """`depth` times a convolution and a ReLU over square colour images, pooled and answered at the end."""
    layers = [layer for _ in range(depth) for layer in (Conv2D(channels, 3, padding="same"), ReLU())]
    return Sequential([*layers, MaxPool2D(2), Flatten(), Dense(10)], input_shape=(size, size, 3))


class Curve(NamedTuple):
    """One thing that is changed, its values, and what is trained then."""

    name: str
    values: Sequence[int]
    network: Callable[[int], Sequential]
    batch_size: Callable[[int], int]
    fixed: str


CURVES = (
    Curve("images in a batch", [2**i for i in range(10)], lambda _: reference(), lambda n: n, "the reference network"),
    Curve(
        "pixels along an image",
        (8, 12, 16, 24, 32, 48, 64),
        lambda size: convolutions(size, 32, 2),
        lambda _: 32,
        "2 convolutions of 32 channels, 32 images",
    ),
    Curve(
        "channels",
        (8, 16, 32, 64, 128, 256),
        lambda channels: convolutions(16, channels, 2),
        lambda _: 32,
        "2 convolutions, 32 images of 16x16",
    ),
    Curve(
        "convolutions in a row",
        range(1, 9),
        lambda depth: convolutions(28, 32, depth),
        lambda _: 32,
        "32 channels, 32 images of 28x28",
    ),
)
THREADS = Curve("threads", (), lambda _: reference(), lambda _: 128, "the reference network, 128 images")


@dataclass
class Measured:
    """The seconds that one image takes in training, one figure a round."""

    curve: str
    value: int
    program: str
    seconds: list[float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the files; the exit status: 0, 2 after an error, 130 after Ctrl-C."""
    about = "How the time of a training step grows, and shrinks."
    parser = flags("growth", about, quick="every third value only, and one short turn each")
    parser.add_argument(
        "--opponents", nargs="*", choices=OPPONENTS, default=["pytorch-tuned"], help="default: pytorch-tuned"
    )
    options = parser.parse_args(arguments)
    facts = {**machine(), "threads": str(options.threads)}
    say(in_lines(facts))
    systems = [NNCORE, *(OPPONENTS[name] for name in options.opponents)]
    rounds, seconds = (1, 0.1) if options.quick else (3, 0.4)
    curves = [curve._replace(values=curve.values[::3]) for curve in CURVES] if options.quick else CURVES
    threads = THREADS._replace(values=range(1, options.threads + 1))
    try:
        with tempfile.TemporaryDirectory() as folder:
            growth = Growth(systems, Path(folder), rounds, seconds)
            growth.measure(curves, options.threads)
            for number in threads.values:
                growth.measure([threads._replace(values=[number])], number)
        facts.update(growth.facts)
        text = "\n\n".join([in_lines(facts), *(table(curve, growth.measured) for curve in (*curves, threads))])
        print(text)
        if options.output:
            save(options.output, "growth", text, {"conditions": facts, "results": [*map(asdict, growth.measured)]})
            draw((*curves, threads), growth.measured, options.output / "growth.png")
    except (BenchmarkError, NNCoreError, OSError) as error:
        print(f"benchmarks.studies.growth: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


class Growth:
    """What was measured so far.

    Attributes:
        measured: in the order in which it was.
        facts: what the programs consist of, and why one of them is missing.
    """

    def __init__(self, systems: Sequence[System], folder: Path, rounds: int, seconds: float) -> None:
        self.systems, self.folder, self.rounds, self.seconds = systems, folder, rounds, seconds
        self.measured: list[Measured] = []
        self.facts: dict[str, str] = {}

    def measure(self, curves: Sequence[Curve], threads: int) -> None:
        """Time every program, in one process each, at each value of each curve."""
        points = [(curve, value) for curve in curves for value in curve.values]
        with Contest("training", self.systems, threads, self._network(*points[0])) as contest:
            for curve, value in points:
                say(f"{curve.name}: {value} ...")
                network, batch_size = self._network(curve, value), curve.batch_size(value)

                def prepare(contender: Contender, folder: str = str(network)) -> None:
                    variant = contender.system.variant
                    contender.worker.ask("prepare", variant=variant, threads=threads, network=folder)

                contest.each(prepare)
                batches = self.folder / "batches.npz"
                write_batches(batches, curve.network(value), 2, batch_size)
                contest.load(batches)
                for program, times in contest.take_turns(self.rounds, self.seconds).items():
                    seconds = [median(steps) / batch_size for steps in times]
                    self.measured.append(Measured(curve.name, value, program, seconds))

            def describe(contender: Contender) -> None:
                versions = contender.worker.ask("versions")
                self.facts[contender.system.name] = ", ".join(f"{name} {value}" for name, value in versions.items())

            contest.each(describe)
            self.facts.update({f"{name} left out": reason for name, reason in contest.left_out.items()})

    def _network(self, curve: Curve, value: int) -> Path:
        folder = self.folder / f"{curve.name} {value}"
        write(curve.network(value), folder)
        return folder


def found(curve: Curve, measured: Sequence[Measured]) -> dict[str, dict[int, float]]:
    """The median seconds of an image by program and value; the first program is nncore."""
    programs: dict[str, dict[int, float]] = {}
    for each in measured:
        if each.curve == curve.name:
            programs.setdefault(each.program, {})[each.value] = median(each.seconds)
    return programs


def efficiency(seconds: dict[int, float]) -> dict[int, float]:
    """By number of threads: how much of n times the speed of one thread is reached with n."""
    return {threads: seconds[1] / (threads * each) for threads, each in seconds.items()}


def table(curve: Curve, measured: Sequence[Measured]) -> str:
    """One curve, as a table with its title: microseconds an image, and how many times as fast nncore is."""
    programs = found(curve, measured)
    ours, *others = programs
    columns = [curve.name, *(f"{program}, us an image" for program in programs)]
    columns += [f"{ours}'s lead over {program}" for program in others]
    if curve.name == THREADS.name:
        columns += [f"{program}, efficiency" for program in programs]
    rows = []
    for value, seconds in programs[ours].items():
        cells = [f"{1e6 * times[value]:,.1f}" if value in times else "" for times in programs.values()]
        cells += [f"{programs[name][value] / seconds:.2f}" if value in programs[name] else "" for name in others]
        if curve.name == THREADS.name:
            cells += [f"{efficiency(times)[value]:.2f}" if value in times else "" for times in programs.values()]
        rows.append([f"{value:,}", *cells])
    return f"### {curve.name}: {curve.fixed}\n\n{markdown(columns, rows)}"


def draw(curves: Sequence[Curve], measured: Sequence[Measured], path: Path) -> None:
    """All curves side by side, on logarithmic scales: a straight line is a power."""
    with picture(path, "How long training takes for one image, and what makes it longer", 12, 7.5) as figure:
        *panels, key = figure.subplots(2, 3).flat
        for axes, curve in zip(panels, curves, strict=False):
            for colour, (program, seconds) in zip(COLOURS, found(curve, measured).items(), strict=False):
                times = [1e6 * each for each in seconds.values()]
                axes.plot(seconds.keys(), times, "o-", color=colour, markersize=3.5, label=program)
            _describe(axes, curve)
        key.axis("off")
        key.legend(*panels[0].get_legend_handles_labels(), loc="center left", frameon=False)
        note(figure, "Forward, backward and a step of Adam. Time for one image; one thing is changed at a time.")


def _describe(axes: "Axes", curve: Curve) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    axes.set(xscale="log", yscale="log", xlabel=curve.name, ylabel="microseconds an image")
    axes.set_xticks(list(curve.values)[:: 1 + len(curve.values) // 9], minor=False)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(curve.fixed, fontsize=9, color=QUIET)
    axes.grid(color=PANEL, linewidth=0.5)


if __name__ == "__main__":
    sys.exit(main())
