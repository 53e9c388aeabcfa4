"""From plain loops to the fast engine, step by step, with the time of each: python -m benchmarks.studies.steps.

First one convolution, the second of the reference network; then what surrounds it; then a step of training. Speeds are
those of the direct convolution, whatever is computed in its place. `docs/speed.md` tells what each step consists of.
"""

from nncore.machine import configure_threads_and_malloc

configure_threads_and_malloc()  # before NumPy is imported

# isort: split
import benchmarks.studies.needs_numba  # noqa: F401  before what cannot be imported without

# isort: split
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.compare.environment import say
from benchmarks.compare.figures import conditions, flags, in_lines, markdown, save
from benchmarks.studies import ladder, loops
from benchmarks.studies.ladder import Group
from benchmarks.studies.timing import in_turns
from nncore.errors import NNCoreError
from nncore.machine import use_threads
from nncore.training.plots import PANEL, TRAIN, VALIDATION, note, picture
from nncore.types import Array

PAUSE = 2e-3  # seconds, after which threads sleep


class Result(NamedTuple):
    """What came of a step: seconds for an image, how many times as fast as the step before, and the relative error."""

    group: str
    name: str
    place: str
    seconds: float
    gflops: float
    factor: float | None
    error: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the files; the exit status: 0, 2 after an error, 130 after Ctrl-C."""
    about = "From plain loops to the fast engine, step by step."
    options = flags("steps", about, quick="less time for each figure").parse_args(arguments)
    facts = conditions(options.threads)
    say(in_lines(facts))
    results: list[Result] = []
    try:
        use_threads(options.threads)
        for make in ladder.GROUPS:
            group = make()
            say(f"{group.title} ...")
            results += rated(group, 0.05 if options.quick else 0.5)
        waking = starts(options.threads, 20 if options.quick else 500)
        text = "\n\n".join([in_lines(facts), *tables(results), wake_table(waking)])
        print(text)
        if options.output:
            figures = {"results": [result._asdict() for result in results], "starts": waking}
            save(options.output, "steps", text, {"conditions": facts, **figures})
            draw(results, options.output / "steps.png")
    except (NNCoreError, OSError) as error:
        print(f"benchmarks.studies.steps: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def rated(group: Group, seconds: float) -> list[Result]:
    """Time its steps in turns. The fastest call counts: what else happens on the machine makes none faster."""
    taken = in_turns({step.name: step.run for step in group.steps}, seconds)
    results: list[Result] = []
    for step in group.steps:
        each = min(taken[step.name]) / step.images
        factor = results[-1].seconds / each if results else None
        error = None
        if step.result is not None and group.expected is not None:
            error = relative_error(step.result(), group.expected)
        results.append(Result(group.title, step.name, step.place, each, group.flops / each / 1e9, factor, error))
    return results


def relative_error(y: Array, expected: Array) -> float:
    """Root mean square of the difference over that of what is expected, as far as there are both."""
    part = tuple(slice(min(lengths)) for lengths in zip(y.shape, expected.shape, strict=True))
    difference = y[part] - expected[part]
    return float(np.sqrt(np.mean(difference**2) / np.mean(expected[part] ** 2)))


def starts(threads: int, count: int) -> dict[str, float]:
    """The seconds that a kernel takes which does next to nothing: after another one, and after a pause; medians."""
    found, numbers = {}, np.zeros(threads, np.float32)
    for name, pause in (("awake", 0.0), ("asleep", PAUSE)):
        taken = []
        for _ in range(count):
            until = time.perf_counter() + pause
            while (began := time.perf_counter()) < until:
                pass
            loops.touch(numbers)
            taken.append(time.perf_counter() - began)
        found[name] = median(taken)
    return found


def tables(results: Sequence[Result]) -> list[str]:
    """A table for each group, with its title."""
    parts = []
    for title, group in grouped(results).items():
        heads = ["step", "us an image", "GFLOP/s", "times as fast as before", "error, 1e-6", "where"]
        rows = []
        for each in group:
            factor = f"{each.factor:.2f}" if each.factor else ""
            error = f"{1e6 * each.error:.2f}" if each.error is not None else ""
            rows.append([each.name, number(1e6 * each.seconds), number(each.gflops), factor, error, each.place])
        if not any(row[4] for row in rows):
            heads, rows = [*heads[:4], heads[5]], [[*row[:4], row[5]] for row in rows]
        parts.append(f"### {title}\n\n{markdown(heads, rows)}")
    return parts


def grouped(results: Sequence[Result]) -> dict[str, list[Result]]:
    """By the titles of their groups."""
    groups: dict[str, list[Result]] = {}
    for each in results:
        groups.setdefault(each.group, []).append(each)
    return groups


def wake_table(waking: dict[str, float]) -> str:
    """How long a kernel takes to start."""
    rows = [[f"threads {name}", f"{1e6 * seconds:.1f}"] for name, seconds in waking.items()]
    return f"### The start of a kernel\n\n{markdown(['', 'us'], rows)}"


def number(value: float) -> str:
    """Three digits or more."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 3}f}"


def draw(results: Sequence[Result], path: Path) -> None:
    """A bar for each step, all to the same logarithmic scale."""
    groups = grouped(results)
    heights = [1.5 + len(group) for group in groups.values()]
    with picture(path, "From loops to the fast engine", 10, 0.8 + 0.27 * sum(heights)) as figure:
        panels = figure.subplots(len(groups), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        for axes, (title, group) in zip(panels, groups.items(), strict=True):
            times = [1e6 * each.seconds for each in group]
            axes.barh(range(len(group)), times, color=[*[VALIDATION] * (len(group) - 1), TRAIN], height=0.7)
            for place, each in enumerate(group):
                words = f" {number(times[place])} us, {number(each.gflops)} GFLOP/s"
                axes.text(times[place], place, words, va="center", fontsize=8)
            axes.set(xscale="log", ylim=(len(group) - 0.5, -0.5), title=title)
            axes.set_yticks(range(len(group)), [each.name for each in group], fontsize=8)
            axes.tick_params(axis="x", labelsize=8)
            axes.grid(axis="x", color=PANEL)
            axes.set_axisbelow(True)
        slowest, fastest = (1e6 * pick(each.seconds for each in results) for pick in (max, min))
        panels[0].set_xlim(fastest / 3, slowest * (slowest / fastest) ** 0.3)
        note(figure, "Microseconds an image, on a logarithmic scale. GFLOP/s are those of direct convolution.")


if __name__ == "__main__":
    sys.exit(main())
