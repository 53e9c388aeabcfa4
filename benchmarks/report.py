"""What the benchmark says: how busy and what the machine is, and the table."""

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


@dataclass
class Result:
    """What is known of one program.

    Attributes:
        differences: the relative difference of its "logits" and "gradients" from nncore's.
        images_per_second: one figure a round.
    """

    name: str
    differences: dict[str, float]
    images_per_second: list[float] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def ratios(ours: Result, theirs: Result) -> list[float]:
    """How many times as fast as theirs ours is, round by round: what slows both in one round drops out."""
    return [a / b for a, b in zip(ours.images_per_second, theirs.images_per_second, strict=True)]


def table(results: Sequence[Result]) -> str:
    """A Markdown table, one row a program; the first is the one that others are compared with."""
    ours = results[0]
    lines = [
        f"| program | images/s, median | lowest to highest | {ours.name} / this, median | lowest to highest |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for result in results:
        speed = result.images_per_second
        cells = [result.name, f"{median(speed):,.0f}", f"{min(speed):,.0f} to {max(speed):,.0f}", "", ""]
        if result is not ours:
            factor = ratios(ours, result)
            cells[3:] = [f"{median(factor):.2f}", f"{min(factor):.2f} to {max(factor):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def notes(results: Sequence[Result], machine: Mapping[str, str], left_out: Mapping[str, str]) -> str:
    """What a reader needs to judge the table, as a Markdown list."""
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    lines.append("- variables that steer BLAS, threads or memory, such as OPENBLAS_CORETYPE: unset for every program")
    for result in results:
        versions = ", ".join(f"{name} {value}" for name, value in result.versions.items())
        lines.append(f"- {result.name}: {versions}")
        if result is not results[0]:
            lines[-1] += f"; differs from {results[0].name} by {in_words(result.differences)}"
    lines += [f"- left out: {name}: {reason}" for name, reason in left_out.items()]
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
