"""What the benchmark says: how busy and what the machine is, and the tables."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from nncore.machine import available_threads

BUSY = 0.5  # processes that run or want to, on average over a minute: so many take a noticeable part of two cores


FORMS = {"images/s": ",.0f", "MB": ",.0f", "ms": ".3f", "s": ".3f"}


@dataclass(frozen=True)
class Measurement:
    """What one program did at one job; one value a round.

    Attributes:
        task: "training", "inference", "start", "epoch" or "memory".
        network: its name.
        job: the rest, "128 images" for instance.
        unit: of the values: "images/s", of which many are good, or "ms", "s" and "MB", of which few are.
    """

    task: str
    network: str
    job: str
    program: str
    unit: str
    values: list[float]

    @property
    def group(self) -> tuple[str, str]:
        """What goes into one table."""
        return self.task, self.network


@dataclass
class Outcome:
    """Everything that was found out.

    Attributes:
        differences: by program, the worst relative difference of its "logits" and "gradients" from nncore's.
        versions: by program, what it consists of.
        left_out: by program and task, why it is missing.
    """

    measurements: list[Measurement] = field(default_factory=list)
    differences: dict[str, dict[str, float]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def leads(ours: Measurement, theirs: Measurement) -> list[float]:
    """How many times as fast as theirs, or as small, ours is, round by round: what slows both in one drops out."""
    pairs = zip(ours.values, theirs.values, strict=True)
    return [a / b if ours.unit == "images/s" else b / a for a, b in pairs]


def tables(outcome: Outcome, ours: str) -> str:
    """A Markdown table for each task and network, one row a program, each job with our lead over the others in it."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for measurement in outcome.measurements:
        groups.setdefault(measurement.group, []).append(measurement)
    parts = []
    for (task, network), group in groups.items():
        found = {(m.program, m.job): m for m in group}
        jobs = list(dict.fromkeys(m.job for m in group))
        heads = [f"{job}, {found[ours, job].unit} | {ours}'s lead" for job in jobs]
        lines = [f"| program | {' | '.join(heads)} |", "| --- " + "| ---: | ---: " * len(jobs) + "|"]
        for program in dict.fromkeys(m.program for m in group):
            cells = [cell for job in jobs for cell in _cells(found.get((program, job)), found[ours, job])]
            lines.append(f"| {' | '.join([program, *cells])} |")
        parts.append(f"### {task}: {network}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _cells(measured: Measurement | None, ours: Measurement) -> tuple[str, str]:
    if measured is None:
        return "", ""
    lead = "" if measured is ours else _with_spread(leads(ours, measured), "")
    return _with_spread(measured.values, measured.unit), lead


def _with_spread(values: Sequence[float], unit: str) -> str:
    low, middle, high = (number(value, unit) for value in (min(values), median(values), max(values)))
    return f"{middle} ({low} to {high})" if len(values) > 1 else middle


def number(value: float, unit: str = "") -> str:
    """As many digits as tell something."""
    return f"{value:{FORMS.get(unit, '.2f')}}"


def notes(outcome: Outcome, machine: Mapping[str, str]) -> str:
    """What a reader needs to judge the tables, as a Markdown list."""
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    lines.append("- each figure is the median of the rounds, with the lowest and the highest in brackets")
    lines.append("- variables that steer BLAS, threads or memory, such as OPENBLAS_CORETYPE: unset for every program")
    for program, versions in outcome.versions.items():
        lines.append(f"- {program}: {', '.join(f'{name} {value}' for name, value in versions.items())}")
        differences = {what: value for what, value in outcome.differences[program].items() if value}
        if differences:
            lines[-1] += f"; differs from nncore by {in_words(differences)}"
    lines += [f"- left out: {name}: {reason}" for name, reason in outcome.left_out.items()]
    return "\n".join(lines)


def in_words(differences: Mapping[str, float]) -> str:
    """A relative 5e-07 in the logits and so on."""
    return " and ".join(f"a relative {value:.0e} in the {what}" for what, value in differences.items())


def machine() -> dict[str, str]:
    """The processor, the system, and how busy it is now."""
    facts = {"processor": f"{processor()}, {available_threads()} cores to use", "system": platform.platform()}
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        busy = "; the machine is busy with something else, so these figures are not to be relied on" * (load > BUSY)
        facts["load average at the start"] = f"{load:.2f}{busy}"
    return facts


def processor() -> str:
    """The processor's name, as far as the system tells."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        return subprocess.check_output(["sysctl", "-n", "machdep.cpu.brand_string"], text=True).strip()
    return platform.processor() or platform.machine()
