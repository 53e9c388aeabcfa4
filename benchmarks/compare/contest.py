"""Programs at the same task, side by side: started, checked to compute the same, and timed in turns.

Every program runs in a process of its own, with the same number of threads, weights and images. They take turns, round
after round, so that whatever else happens on the machine happens to all of them.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare.environment import python_with, say
from benchmarks.compare.protocol import BenchmarkError, Floats, Worker
from benchmarks.compare.systems import System

# Two float32 programs add in different orders, which shows in the last digits of the logits. In the gradients it shows
# more: where rounding tips a ReLU or the choice of a maximum, a gradient goes another way, and behind a batch
# normalisation one such way is up to 3 * 10^-3 of the whole. What a mistake changes is far more.
LOGITS, GRADIENTS = 5e-5, 1e-2
PAUSE = 0.3  # seconds between turns: a program's threads look out for more work a while, on cores the next one needs
CHECKS = {"training": "gradients", "inference": "logits"}  # the protocol's commands
TURNS = {"training": "train", "inference": "predict"}


@dataclass(eq=False)
class Contender:
    """A program that is running. `differences` are its worst so far, relative, from the first contender."""

    system: System
    worker: Worker
    differences: dict[str, float] = field(default_factory=dict)


class Contest:
    """Some programs at one task with one network, for a `with` block. The first one is what others are compared with.

    Args:
        task: "training" or "inference".
        systems: the programs; those without this task are passed over.
        threads: for each.
        network: the folder that `networks.write` filled.

    Attributes:
        contenders: those that are still in.
        left_out: the others by name, with the reason: not to be installed or started, failed, computing something else.

    Raises BenchmarkError where it is the first one that fails.
    """

    def __init__(self, task: str, systems: Sequence[System], threads: int, network: Path) -> None:
        self.task, self.threads, self.network = task, threads, network
        self.systems = [system for system in systems if task in system.tasks]
        self.contenders: list[Contender] = []
        self.left_out: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Contest":
        with self._stack:  # ends what was started if the next cannot be
            for system in self.systems:
                say(f"starting {system.name} ...")
                try:
                    worker = self._stack.enter_context(started(system, self.threads))
                    self._prepare(system, worker)
                except BenchmarkError as error:
                    self._leave_out(system, error)
                else:
                    self.contenders.append(Contender(system, worker))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def load(self, batches: Path) -> None:
        """Give everyone these batches and the network anew, and compare what they compute for the first of them."""
        output = batches.with_suffix(f".{CHECKS[self.task]}.npz")
        expected: dict[str, Floats] = {}

        def check(contender: Contender) -> None:
            nonlocal expected
            self._prepare(contender.system, contender.worker)  # since training has changed the weights
            contender.worker.ask("load", batches=str(batches))
            contender.worker.ask(CHECKS[self.task], output=str(output))
            with np.load(output) as file:
                computed = dict(file)
            expected = expected or computed
            for what, difference in compare(contender.system.name, expected, computed).items():
                contender.differences[what] = max(difference, contender.differences.get(what, 0))

        self.each(check)

    def take_turns(self, rounds: int, seconds: float) -> dict[str, list[list[float]]]:
        """Let everyone work for some seconds, then again; by name and round, how long each step or batch took.

        A first round, in which programs may still compile, does not count.
        """
        times: dict[str, list[list[float]]] = {}

        def turn(contender: Contender) -> None:
            time.sleep(PAUSE)
            answer = contender.worker.ask(TURNS[self.task], seconds=seconds)
            if not math.isfinite(answer.get("loss", 0)):
                raise BenchmarkError(f"{contender.system.name}: its loss became {answer['loss']}")
            times.setdefault(contender.system.name, []).append(answer["seconds"])

        for _ in range(rounds + 1):
            self.each(turn)
        return {contender.system.name: times[contender.system.name][1:] for contender in self.contenders}

    def each(self, act: Callable[[Contender], None]) -> None:
        """Do this with every contender in turn; those that fail are left out."""
        for contender in list(self.contenders):
            try:
                act(contender)
            except BenchmarkError as error:
                self._leave_out(contender.system, error)
                self.contenders.remove(contender)

    def _prepare(self, system: System, worker: Worker) -> None:
        worker.ask("prepare", variant=system.variant, threads=self.threads, network=str(self.network))

    def _leave_out(self, system: System, error: BenchmarkError) -> None:
        if system is self.systems[0]:
            raise error
        self.left_out[system.name] = str(error).removeprefix(f"{system.name}: ")
        say(f"left out: {self.left_out[system.name]}")


def started(system: System, threads: int) -> Worker:
    """The program in a process of its own; its packages are installed first if need be."""
    command = [str(python_of(system)), "-m", f"benchmarks.compare.systems.{system.module}"]
    return Worker(system.name, command, environment(system, threads))


def python_of(system: System) -> Path:
    """The Python that runs it."""
    return python_with(system.requirements) if system.requirements else Path(sys.executable)


def environment(system: System, threads: int) -> dict[str, str]:
    """The variables it is started with: OpenBLAS and OpenMP take their number of threads from the first."""
    return {"OMP_NUM_THREADS": str(threads), **system.environment}


def compare(name: str, expected: Mapping[str, Floats], computed: Mapping[str, Floats]) -> dict[str, float]:
    """How far the logits, and the worst gradient, are from the expected: |difference| / |expected|, both as vectors.

    BenchmarkError if that is more than rounding explains.
    """
    shapes = {key: array.shape for key, array in computed.items()}
    if shapes != {key: array.shape for key, array in expected.items()}:
        raise BenchmarkError(f"{name}: computes logits and gradients of other names or shapes than expected: {shapes}")
    differences: dict[str, float] = {}
    for key, array in expected.items():
        what, tolerance = ("logits", LOGITS) if key == "logits" else ("gradients", GRADIENTS)
        difference = float(np.linalg.norm(computed[key] - array) / np.linalg.norm(array))
        if not difference <= tolerance:  # also where it is not a number
            raise BenchmarkError(
                f"{name}: does not compute the same function: its {what} ({key}) differ by a relative "
                f"{difference:.0e}, and rounding explains no more than {tolerance:.0e}"
            )
        differences[what] = max(difference, differences.get(what, 0))
    return differences
