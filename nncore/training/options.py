"""The settings of a training run: its flags, their defaults, and what is allowed."""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nncore.data.augment import MODES
from nncore.data.dataset import DATASETS
from nncore.errors import OptionError
from nncore.machine import available_threads
from nncore.network.fusion import CONVOLUTIONS
from nncore.network.models import MODELS
from nncore.optimizers import OPTIMIZERS
from nncore.schedules import SCHEDULES


@dataclass(frozen=True)
class Options:
    """One training run. What is not set here follows from these and the data."""

    model: str = "reference"
    epochs: int = 6
    batch_size: int = 128
    learning_rate: float = 0.002
    optimizer: str = "adam"
    schedule: str = "one-cycle"
    label_smoothing: float = 0.0
    augment: str = "light"
    seed: int = 0
    dataset: str = "auto"
    data_dir: str | None = None
    limit: int | None = None
    conv: str = "auto"
    threads: int | None = None  # None: all there are
    # Set by a recipe, not by flags
    weight_decay: float | None = None  # None: the optimizer's own
    ema: float = 0.0  # how much of the running mean of the weights each step keeps; 0: there is none


# What the flags are by default for a network that has a recipe of its own
RECIPES: dict[str, dict[str, Any]] = {
    "recogniser": {
        "dataset": "drawn",
        "epochs": 7,
        "learning_rate": 0.1,
        "optimizer": "sgd",
        "augment": "full-light",
        "weight_decay": 5e-4,
        "label_smoothing": 0.05,
        "ema": 0.999,
    }
}
QUICK: dict[str, Any] = {"model": "compact", "epochs": 5, "augment": "none", "learning_rate": 0.004}
FREE_ON_RESUME = {"threads", "data_dir"}  # what may differ from the interrupted run
BY_RECIPE = ("weight_decay", "ema")
DEFAULT = Options()

EPILOG = """examples:
  python train_scratch.py                       the reference network on MNIST
  python train_scratch.py --quick               a small network, about a minute
  python train_scratch.py --quick --learning-rate 1     see what too large a step does
  python train_scratch.py --model recogniser    the network of the demo, on digits that people drew
  python train_scratch.py --resume runs/NAME    go on where a run was interrupted

--model recogniser means
  {recipe}
"""


def parse(arguments: Sequence[str] | None = None) -> tuple[Options, Path | None]:
    """The options of the command line, and the folder of the run to resume, if any.

    Bad values end the process with status 2 and a line that names the flag and what is allowed, as argparse does.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    resume, quick = given.pop("resume", None), given.pop("quick", False)
    if resume is not None:
        fixed = sorted(given.keys() - FREE_ON_RESUME) + ["quick"] * quick
        if fixed:
            parser.error(f"--resume takes its settings from the run; leave out {', '.join(map(_flag, fixed))}")
        return Options(**given), Path(resume)
    if quick:
        given = {**QUICK, **given}
    return Options(**{**RECIPES.get(given.get("model", DEFAULT.model), {}), **given}), None


def resumed(given: Options, saved: dict[str, Any]) -> Options:
    """The options a run was started with, except what may be given anew."""
    anew = {name: value for name, value in asdict(given).items() if name in FREE_ON_RESUME and value is not None}
    known = {field.name for field in fields(Options)}
    if saved.keys() != known:
        raise OptionError(f"the run's settings do not match this nncore: {', '.join(sorted(saved.keys() ^ known))}")
    # Read as flags again, because a file that people can edit may hold anything.
    settings = {**saved, **anew}.items()
    flags = [f"{_flag(name)}={value}" for name, value in settings if value is not None and name not in BY_RECIPE]
    options = parse(flags)[0]
    for name in BY_RECIPE:
        if getattr(options, name) != saved[name]:
            raise OptionError(f"the run's settings do not match this nncore: {name} is {saved[name]!r} there")
    return options


def _parser() -> argparse.ArgumentParser:
    recipe = [f"{_flag(name)} {value}" for name, value in RECIPES["recogniser"].items()]
    parser = argparse.ArgumentParser(
        usage="python train_scratch.py [--quick | --resume RUN] [flags]",
        description="Train a convolutional network on handwritten digits, from scratch. All that a run makes\n"
        "(settings, history, checkpoint, weights, pictures) goes into a new folder, runs/NAME.",
        epilog=EPILOG.format(recipe="\n  ".join([" ".join(recipe[:4]), " ".join(recipe[4:])])),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )

    def flag(name: str, text: str, **settings: Any) -> None:
        default = getattr(DEFAULT, name)
        shown = "" if default is None else f" (default: {default})"
        parser.add_argument(_flag(name), help=text + shown, **settings)

    quick = ", ".join(f"{_flag(name)} {value}" for name, value in QUICK.items())
    parser.add_argument("--quick", help=f"a small network, about a minute: means {quick}", action="store_true")
    parser.add_argument("--resume", help="go on, bit for bit, with the interrupted run of that folder", metavar="RUN")
    model = "reference: 1,044,106 parameters; compact: a tenth of that; recogniser: the demo's, see below"
    flag("model", model, choices=MODELS)
    flag("epochs", "how often to go through the training images", type=whole_number(1, 10_000), metavar="N")
    flag("batch_size", "how many images the network sees before each step", type=whole_number(1, 60_000), metavar="N")
    flag("learning_rate", "how large steps are, where the schedule has them largest", type=positive, metavar="X")
    flag("optimizer", "how a gradient becomes a step", choices=OPTIMIZERS)
    flag("schedule", "how step sizes change over the run; one-cycle: up, then down to nearly 0", choices=SCHEDULES)
    flag("label_smoothing", "the share of certainty that the network need not reach", type=_fraction, metavar="X")
    distort = "turn, shift and bend each training image, anew in each epoch; full-light: less in the last fifth"
    flag("augment", distort, choices=MODES)
    seeds = whole_number(0, 2**32 - 1)
    flag("seed", "same seed, same number of threads: same weights, bit for bit", type=seeds, metavar="N")
    dataset = "auto: MNIST, or digits drawn by program where it cannot be had; drawn: both, with what people drew, and "
    dataset += "things that are no digit; drawn-1, -2, -3: without every third of these people. NAME+FILE.csv adds the "
    dataset += "corrections that the demo page saves"
    flag("dataset", dataset, type=_dataset, metavar="NAME")
    flag("data_dir", "folder with the four MNIST files (else NNCORE_DATA, the cache, a download)", metavar="DIR")
    flag("limit", "use only the first N images to train on, and to test on", type=whole_number(20, 60_000), metavar="N")
    flag("conv", "how convolutions are computed; auto: the fastest way", choices=CONVOLUTIONS)
    threads = available_threads()
    flag("threads", f"how many cores to use, 1 to {threads} (default: all)", type=whole_number(1, threads), metavar="N")
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """What argparse needs to read a whole number from `low` to `high`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return value

    return convert


def _dataset(text: str) -> str:
    name, names = text.partition("+")[0], ["auto", *DATASETS]
    if name not in names:
        raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(names)}")
    return text


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to below 1")
    return value


def positive(text: str) -> float:
    """What argparse needs to read a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number above 0")
    return value
