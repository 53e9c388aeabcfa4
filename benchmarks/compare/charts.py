"""The benchmark's figures as bars, one picture for each task."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.compare.report import Measurement, number
from nncore.training.plots import INK, PANEL, TRAIN, VALIDATION, note, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(measurements: Sequence[Measurement], ours: str, folder: Path) -> list[Path]:
    """Write a picture for each task into the folder; the paths. OptionError where matplotlib is missing."""
    tasks: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        tasks.setdefault(measurement.task, []).append(measurement)
    paths = []
    for task, found in tasks.items():
        paths.append(folder / f"{task.replace(' ', '_')}.png")
        _draw(task, found, ours, paths[-1])
    return paths


def _draw(task: str, measurements: Sequence[Measurement], ours: str, path: Path) -> None:
    """A row of panels for each network, one for each job, with a bar for each program."""
    networks = list(dict.fromkeys(m.network for m in measurements))
    jobs = list(dict.fromkeys(m.job for m in measurements))
    programs = list(dict.fromkeys(m.program for m in measurements))
    width, height = 2.5 + 2.9 * len(jobs), 1 + len(networks) * (0.6 + 0.27 * len(programs))
    with picture(path, task[0].upper() + task[1:], width, height) as figure:
        grid = figure.subplots(len(networks), len(jobs), squeeze=False, sharey=True)
        for row, network in zip(grid, networks, strict=True):
            for axes, job in zip(row, jobs, strict=True):
                here = [m for m in measurements if (m.network, m.job) == (network, job)]
                _bars(axes, here, programs, ours)
                axes.set_title(f"{network}: {job}" if axes is row[0] else job, fontsize=10)
        note(figure, "Medians; the line shows the lowest and the highest of the rounds.")


def _bars(axes: "Axes", measurements: Sequence[Measurement], programs: Sequence[str], ours: str) -> None:
    longest = max((max(m.values) for m in measurements), default=1.0)
    for measured in measurements:
        place, middle = programs.index(measured.program), median(measured.values)
        axes.barh(place, middle, color=TRAIN if measured.program == ours else VALIDATION, height=0.7)
        axes.plot([min(measured.values), max(measured.values)], [place, place], color=INK, linewidth=1)
        at = max(measured.values) + 0.02 * longest
        axes.text(at, place, number(middle, measured.unit), va="center", fontsize=8)
    if measurements:
        unit = measurements[0].unit
        axes.set_xlabel(f"{unit}, {'more' if unit == 'images/s' else 'less'} is better", fontsize=8)
    axes.set(xlim=(0, 1.25 * longest), yticks=range(len(programs)), yticklabels=programs)
    axes.set_ylim(len(programs) - 0.4, -0.6)
    axes.tick_params(labelsize=8)
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x", color=PANEL)
    axes.set_axisbelow(True)
