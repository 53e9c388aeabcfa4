"""Schedules: the learning rate as a function of the step. Each is called with the number of steps taken so far."""

import math
from collections.abc import Callable
from typing import TypeAlias

Schedule: TypeAlias = Callable[[int], float]


def constant(peak: float, total_steps: int) -> Schedule:
    """The same learning rate at every step."""
    return lambda step: peak


def step_decay(peak: float, total_steps: int, drops: int = 3, factor: float = 0.3) -> Schedule:
    """`drops` times in a run, evenly spaced, the learning rate falls to `factor` of what it was."""
    return lambda step: peak * factor ** min(drops, step * (drops + 1) // total_steps)


def cosine(peak: float, total_steps: int, warmup: float = 0.0) -> Schedule:
    """Down half a cosine from `peak` to zero, after a linear warm-up over the fraction `warmup` of the run.

    Source: Loshchilov & Hutter 2017, "SGDR", equation 5 with one period.
    """
    warmup_steps = round(warmup * total_steps)

    def rate(step: int) -> float:
        if step < warmup_steps:
            return peak * (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return rate


def one_cycle(peak: float, total_steps: int, warmup: float = 0.3, start: float = 25.0, end: float = 1e4) -> Schedule:
    """Up half a cosine from peak / start, then down half a cosine to peak / start / end. Momentum stays as it is.

    Source: Smith & Topin 2018, "Super-convergence", in the form of PyTorch's OneCycleLR.
    """
    top = max(1.0, warmup * total_steps - 1)

    def between(first: float, last: float, progress: float) -> float:
        return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def rate(step: int) -> float:
        if step <= top:
            return between(peak / start, peak, step / top)
        return between(peak, peak / start / end, (step - top) / max(1.0, total_steps - 1 - top))

    return rate


SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": constant,
    "step": step_decay,
    "cosine": cosine,
    "one-cycle": one_cycle,
}
