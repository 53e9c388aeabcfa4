"""The command line: python -m nncore gradcheck | summary | explain | warmup | evaluate | predict."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from nncore import evaluation, gradcheck, kernels
from nncore.errors import DataError, NNCoreError
from nncore.machine import available_threads, use_threads
from nncore.network.models import MODELS
from nncore.network.sequential import Sequential
from nncore.optimizers import OPTIMIZERS
from nncore.reading.reader import DigitReader, Reading
from nncore.reading.verdict import candidates
from nncore.training.options import DEFAULT, whole_number

FEW = 50  # pictures, which are read before the kernels would be there
INTERRUPTED, BROKEN_PIPE = 130, 141  # the exit statuses a shell gives to what these signals ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, 1 for a failed gradient check, 2 for bad input, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        if vars(options).get("threads"):
            use_threads(options.threads)
        status: int = options.command(options)
        sys.stdout.flush()  # here, where a closed pipe is caught
    except NNCoreError as error:
        print(f"nncore: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # who reads our output, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


def check_gradients(options: argparse.Namespace) -> int:
    """Print a table of relative errors; 1 if any is too large."""
    subjects = options.subjects or gradcheck.SUBJECTS
    print(f"{'what':<20} {'case':<42} {'gradient of':<18} {'as written':>10} {'as trained':>10}")
    checks = []
    for subject in subjects:
        for check in gradcheck.check(subject, options.seed):
            checks.append(check)
            trained = "" if check.trained is None else f"{check.trained:.1e}"
            verdict = "" if check.passed else "  WRONG"
            title = f"{check.subject:<20} {check.case:<42} {check.array:<18}"
            print(f"{title} {check.written:>10.1e} {trained:>10}{verdict}", flush=True)
    failed = sum(not check.passed for check in checks)
    worst = np.max([check.worst for check in checks])  # unlike max, keeps a NaN
    print(f"\n{len(checks)} gradients checked, {failed} wrong")
    print(f"worst relative error {worst:.1e}, allowed {gradcheck.TOLERANCE:g}")
    return 1 if failed else 0


def summarise(options: argparse.Namespace) -> int:
    """Print a network's table of layers, and how it was trained if it comes from a file."""
    network = _network(options.network)
    print(network.summary())
    if network.made_by:  # as JSON, because a stranger's text may hold what would upset a terminal
        print(f"made by: {json.dumps(network.made_by, indent=1)}")
    return 0


def explain(options: argparse.Namespace) -> int:
    """Print the first steps of a training in words and numbers."""
    from nncore.training.narration import describe_steps

    for text in describe_steps(options.model, options.steps, options.dataset, options.data_dir, options.seed):
        print(text, flush=True)
    return 0


def compile_ahead(options: argparse.Namespace) -> int:
    """Have Numba compile the network's kernels; it keeps them on the disk for the next time."""
    from nncore.training.warmup import NO_NUMBA, warm_up

    network = _network(options.network)
    if not kernels.available():
        print(f"nothing to compile: {NO_NUMBA}")
        return 0
    began = time.perf_counter()
    if options.training:
        warm_up(network, OPTIMIZERS[DEFAULT.optimizer](DEFAULT.learning_rate), DEFAULT.augment)
    else:
        warm_up(network)
    print(f"compiled in {time.perf_counter() - began:.1f} s")
    return 0


def _network(name: str) -> Sequential:
    """A fresh network of one of our models, or the one in a weights file."""
    return MODELS[name]() if name in MODELS else Sequential.load(name)


def evaluate(options: argparse.Namespace) -> int:
    """Print what a network is worth on one of the sets."""
    reader = DigitReader(options.weights)
    reader.warm_up()
    print(evaluation.evaluate(reader, options.on, options.data_dir))
    return 0


def predict(options: argparse.Namespace) -> int:
    """Print what each picture is read as. A picture that cannot be read is complained about and the rest goes on."""
    reader = DigitReader(options.weights)
    if len(options.pictures) > FEW:
        reader.warm_up()
    status = 0
    for path in options.pictures:
        try:
            readings = reader.read(path)
        except DataError as error:
            print(f"nncore: {error}", file=sys.stderr)
            status = 2
            continue
        if not readings:
            print(f"{path}: nothing is drawn there")
        for number, reading in enumerate(readings, 1):
            place = f", digit {number} of {len(readings)}" if len(readings) > 1 else ""
            shares = "  ".join(f"{digit}: {share:.1%}" for digit, share in enumerate(reading.probabilities))
            print(f"{path}{place}: {_in_words(reading)}   ({shares})")
    return status


def _in_words(reading: Reading) -> str:
    if reading.verdict == "not a digit":
        return f"not a digit, {reading.digit} if it must be one"
    if reading.verdict == "unsure":
        return " or ".join(map(str, candidates(reading.probabilities)))
    return str(reading.digit)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nncore",
        description="Check, describe and use networks. To train one: python train_scratch.py",
        epilog="python -m nncore COMMAND --help says more.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(command=function)
        return command

    seed = whole_number(0, 2**32 - 1)
    command = add("gradcheck", check_gradients, "compare every backward pass with finite differences")
    command.add_argument("subjects", nargs="*", metavar="NAME", help=f"default: all of {', '.join(gradcheck.SUBJECTS)}")
    command.add_argument("--seed", type=seed, default=0, metavar="N", help="of the random inputs (default: 0)")
    _add_threads(command)

    command = add("summary", summarise, "show a table of a network's layers, and how it was trained")
    command.add_argument("network", help=f"{', '.join(MODELS)}, or a weights file")

    command = add("explain", explain, "show the first steps of a training in words and numbers")
    command.add_argument("--model", choices=MODELS, default="compact", help="(default: compact)")
    command.add_argument("--steps", type=whole_number(1, 100), default=2, metavar="N", help="(default: 2)")
    command.add_argument("--seed", type=seed, default=0, metavar="N", help="of the weights (default: 0)")
    command.add_argument("--dataset", choices=["auto", "mnist", "synthetic"], default="auto", help="(default: auto)")
    command.add_argument("--data-dir", metavar="DIR", help="folder with the four MNIST files")

    command = add("evaluate", evaluate, "measure what a network reads correctly, what it refuses and how sure it is")
    command.add_argument("weights", type=Path, help="a weights file, for instance weights/reference.npz")
    text = (
        "MNIST's test images, digits of writers not trained on, synthetic digits, things that are no digit, or photos"
    )
    command.add_argument("--on", choices=evaluation.SETS, default="mnist", help=f"{text} (default: mnist)")
    text = "folder with the four MNIST files; the writers' file is looked for in pendigits beside it"
    command.add_argument("--data-dir", type=Path, help=text)
    _add_threads(command)

    command = add("warmup", compile_ahead, "compile what a network needs, ahead of its first use")
    command.add_argument("network", help=f"{', '.join(MODELS)}, or a weights file")
    command.add_argument("--training", action="store_true", help="what training needs, instead of predictions")

    command = add("predict", predict, "read the digits in each picture")
    command.add_argument("weights", type=Path, help="a weights file, for instance weights/recogniser.npz")
    command.add_argument("pictures", type=Path, nargs="+", metavar="IMAGE", help="a picture with one digit or several")
    _add_threads(command)
    return parser


def _add_threads(command: argparse.ArgumentParser) -> None:
    cores = available_threads()
    text = f"how many cores to use, 1 to {cores} (default: all)"
    command.add_argument("--threads", type=whole_number(1, cores), metavar="N", help=text)
