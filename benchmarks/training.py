"""How fast the reference network trains, in nncore and in other programs: python -m benchmarks.training, or make bench.

Every program runs in a process of its own, with the same number of threads, initial weights and images. First they must
compute the same logits and gradients. Then they train in turns, some steps each, round after round, so that whatever
else happens on the machine happens to all of them.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.environment import python_with, say
from benchmarks.protocol import BenchmarkError, Floats, Worker
from benchmarks.report import Result, in_words, machine, notes, table
from benchmarks.systems import DEFAULT_OPPONENTS, NNCORE, OPPONENTS, System
from nncore.errors import NNCoreError
from nncore.files import atomic_write
from nncore.machine import available_threads
from nncore.models import reference

BATCHES = 8  # different ones, trained on in turn
# Two float32 programs add in different orders, which shows in the last digits of the logits. In the gradients it shows
# more: where rounding tips a ReLU or the choice of a maximum, a gradient goes another way. Errors are above 10^-2.
TOLERANCES = {"logits": 1e-5, "gradients": 1e-3}
PAUSE = 0.3  # seconds between turns: a program's threads look out for more work a while, on cores the next one needs

Contender = tuple[Worker, Result]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status: 0, 1 if there was nothing to compare with, 2 after an error."""
    options = _parser().parse_args(arguments)
    try:
        return benchmark(options)
    except (BenchmarkError, NNCoreError, OSError) as error:
        print(f"benchmarks.training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def benchmark(options: argparse.Namespace) -> int:
    """Start, compare, time and report."""
    facts = machine()
    say("\n".join(f"{name}: {value}" for name, value in facts.items()))

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_data(folder / "data.npz", options.batch_size)
        systems = [NNCORE, *(OPPONENTS[name] for name in options.opponents)]
        contenders, left_out = start(systems, options.threads, folder, stack)
        say(f"timing: {options.rounds} rounds after one to warm up ...")
        take_turns(contenders, options.rounds, options.steps, options.batch_size)
        for worker, result in contenders:
            result.versions = worker.ask("versions")
        results = [result for _, result in contenders]

    settings = {name: getattr(options, name) for name in ("batch_size", "threads", "rounds", "steps")}
    print(
        f"Training the reference network (1,044,106 parameters, Adam, dropout, float32), {options.batch_size} images a "
        f"step, {options.threads} threads, {options.rounds} rounds of {options.steps} steps in turns:\n"
    )
    print(f"{table(results)}\n\n{notes(results, facts, left_out)}")
    if options.json:
        everything = {
            "settings": settings,
            "machine": facts,
            "results": [asdict(result) for result in results],
            "left_out": left_out,
        }
        with atomic_write(options.json) as file:
            file.write(json.dumps(everything, indent=2).encode())
    return 0 if len(results) > 1 else 1


def write_data(path: Path, batch_size: int) -> None:
    """Weights and batches for every program.

    The images are noise: in the background of digits max-pooling meets ties, where programs may rightly differ. No bias
    is zero, so that one in the wrong place shows.
    """
    rng = np.random.default_rng(0)
    parameters = reference(seed=0).parameters()
    for array in parameters.values():
        if array.ndim == 1:
            array[...] = rng.normal(0, 0.1, array.shape)
    images = rng.random((BATCHES, batch_size, 28, 28, 1), np.float32)
    labels = rng.integers(10, size=(BATCHES, batch_size))
    np.savez(path, images=images, labels=labels, **parameters)  # type: ignore[arg-type]


def start(
    systems: Sequence[System], threads: int, folder: Path, stack: ExitStack
) -> tuple[list[Contender], dict[str, str]]:
    """Start each program and compare what it computes with the first, nncore.

    Returns those that are ready, and the reasons of those that cannot be installed or started. BenchmarkError if nncore
    itself does not start, or if a program computes something else.
    """
    contenders: list[Contender] = []
    left_out: dict[str, str] = {}
    for system in systems:
        say(f"starting {system.name} ...")
        try:
            python = python_with(system.requirements) if system.requirements else sys.executable
            environment = {"OMP_NUM_THREADS": str(threads), **system.environment}
            worker = stack.enter_context(Worker(system.name, [str(python), "-m", system.module], environment))
            worker.ask("prepare", variant=system.variant, threads=threads, data=str(folder / "data.npz"))
            worker.ask("gradients", output=str(folder / "gradients.npz"))
        except BenchmarkError as error:
            if not contenders:
                raise
            left_out[system.name] = str(error).removeprefix(f"{system.name}: ")
            say(f"left out: {left_out[system.name]}")
            continue
        with np.load(folder / "gradients.npz") as file:
            computed = dict(file)
        if not contenders:
            expected = computed
        differences = compare(system.name, expected, computed)
        contenders.append((worker, Result(system.name, differences)))
        if system is not systems[0]:
            say(f"it differs from {systems[0].name} by {in_words(differences)}")
    return contenders, left_out


def compare(name: str, expected: Mapping[str, Floats], computed: Mapping[str, Floats]) -> dict[str, float]:
    """How far the logits, and the worst gradient, are from the expected: |difference| / |expected|, both as vectors.

    BenchmarkError if that is more than rounding explains.
    """
    shapes = {key: array.shape for key, array in computed.items()}
    if shapes != {key: array.shape for key, array in expected.items()}:
        raise BenchmarkError(f"{name} computes logits and gradients of other names or shapes than expected: {shapes}")
    errors = {key: float(np.linalg.norm(computed[key] - a) / np.linalg.norm(a)) for key, a in expected.items()}
    differences = {"logits": errors.pop("logits"), "gradients": float(np.max([*errors.values()]))}
    for what, tolerance in TOLERANCES.items():
        if not differences[what] <= tolerance:  # also where it is not a number
            raise BenchmarkError(
                f"{name} does not compute the same function: its {what} differ by a relative {differences[what]:.0e}, "
                f"and rounding explains no more than {tolerance:.0e}; nothing was timed"
            )
    return differences


def take_turns(contenders: Sequence[Contender], rounds: int, steps: int, batch_size: int) -> None:
    """Let everyone train some steps, then again; note images per second in every round but the first."""
    for number in range(rounds + 1):
        for worker, result in contenders:
            time.sleep(PAUSE)
            answer = worker.ask("train", steps=steps)
            if not math.isfinite(answer["loss"]):
                raise BenchmarkError(f"{result.name}: its loss became {answer['loss']}")
            if number > 0:
                result.images_per_second.append(steps * batch_size / answer["seconds"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description="Time nncore's training beside other programs'."
    )
    parser.add_argument("--rounds", type=_count, default=8, metavar="N", help="turns of each program (default: 8)")
    parser.add_argument("--steps", type=_count, default=12, metavar="N", help="steps in a turn (default: 12)")
    parser.add_argument("--batch-size", type=_count, default=128, metavar="N", help="images in a step (default: 128)")
    cores = available_threads()
    parser.add_argument("--threads", type=int, choices=range(1, cores + 1), default=cores, help="default: all")
    parser.add_argument(
        "--opponents", nargs="*", choices=OPPONENTS, default=DEFAULT_OPPONENTS, help="default: not compiled"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there, too")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
