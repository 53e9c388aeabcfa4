"""Why networks misread drawings: digits that people drew, prepared in several ways.

    python -m benchmarks.studies.recognition

The digits are drawn by program as the page draws them, with pens of several widths, and read by each weights file, from
the canvas merely resized to all that `find_digits` does. With --output there is a picture of those steps, too.
`docs/recognition.md` says what to learn from it.
"""

from nncore.machine import configure_threads_and_malloc

configure_threads_and_malloc()  # before NumPy is imported

# isort: split
import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.compare.environment import say
from benchmarks.compare.figures import flags, markdown, save
from benchmarks.compare.protocol import ROOT
from benchmarks.studies.preprocessing import draw_steps
from nncore.data.dataset import WRITER_FOLDS, network_input
from nncore.data.strokes.drawn import draw, on_pad
from nncore.data.strokes.outliers import PAD
from nncore.data.strokes.unipen import Drawing, find_pendigits, read_unipen
from nncore.errors import NNCoreError
from nncore.machine import use_threads
from nncore.network.sequential import Sequential
from nncore.reading.preprocess import BOX, FRAME, centre_digit, find_digits
from nncore.reading.reader import DigitReader
from nncore.training.metrics import wilson_interval
from nncore.types import Bytes, Mask

COUNT, QUICK_COUNT = 1500, 100  # digits


class Pen(NamedTuple):
    """How digits are drawn: with a pen so many pixels wide, as large as people do, or so much smaller."""

    width: int
    scale: float = 1.0

    @property
    def name(self) -> str:
        return f"pen of {self.width} px" + (", half as large" if self.scale < 1 else "")


PENS = (Pen(8), Pen(14), Pen(20), Pen(28), Pen(28, 0.5))


class Count(NamedTuple):
    """How many digits a network read right, drawn with one pen and prepared in one way."""

    weights: str
    preparation: str
    pen: str
    right: int
    digits: int


def resized(ink: Bytes) -> Bytes:
    """The canvas as it is, (H, W) -> (28, 28)."""
    return np.asarray(Image.fromarray(ink).resize((FRAME, FRAME), Image.Resampling.BOX))


def cropped(ink: Bytes, side: int) -> Bytes:
    """The box around the ink, its longer side made `side` pixels, in the middle of (28, 28)."""
    picture = Image.fromarray(ink)
    digit = picture.crop(picture.getbbox())
    (width, height), whole = digit.size, round(max(digit.size) * FRAME / side)
    square = Image.new("L", (whole, whole))
    square.paste(digit, ((whole - width) // 2, (whole - height) // 2))
    return resized(np.asarray(square))


def found(ink: Bytes) -> Bytes:
    """All that the page does; (28, 28), blank where it finds several digits, or none."""
    digits = find_digits(ink)
    return digits[0].image if len(digits) == 1 else np.zeros((FRAME, FRAME), np.uint8)


PREPARATIONS: dict[str, Callable[[Bytes], Bytes]] = {
    "the whole canvas, resized": resized,
    "the ink's box, resized": partial(cropped, side=FRAME),
    "the same with MNIST's margin": partial(cropped, side=BOX),
    "balanced, as MNIST's are": centre_digit,
    "strokes thinned before": found,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the files; the exit status: 0, 2 after an error, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    shipped = [Path(os.path.relpath(ROOT / "weights" / f"{name}.npz")) for name in ("reference", "recogniser")]
    try:
        use_threads(options.threads)
        weights = options.weights or [path for path in shipped if path.exists()]
        networks = {str(path): DigitReader(path).network for path in weights}
        drawings = read_unipen(find_pendigits(options.data))
        order = np.random.default_rng(0).permutation(len(drawings))
        sample = [drawings[i] for i in order[: QUICK_COUNT if options.quick else COUNT]]
        counts: list[Count] = []
        for pen in PENS:
            say(f"reading {len(sample):,} digits, {pen.name} ...")
            counts += read(sample, pen, networks)
        text = "\n\n".join(table(name, network, sample, counts) for name, network in networks.items())
        print(text)
        if options.output:
            save(options.output, "recognition", text, {"results": [count._asdict() for count in counts]})
            draw_steps(drawings, options.output / "preprocessing.png")
    except (NNCoreError, OSError) as error:
        print(f"benchmarks.studies.recognition: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def read(drawings: Sequence[Drawing], pen: Pen, networks: Mapping[str, Sequential]) -> list[Count]:
    """Draw all with one pen, and count for each preparation and network what is read right of what it has not seen.

    A digit is read as the most probable of the ten, also where the page would call it unsure or none.
    """
    inks = []
    for i, drawing in enumerate(drawings):
        strokes = on_pad(drawing.strokes, np.random.default_rng([0, i]))
        inks.append(draw([PAD / 2 + (stroke - PAD / 2) * pen.scale for stroke in strokes], pen.width))
    labels = np.array([drawing.label for drawing in drawings])
    counts = []
    for preparation, prepare in PREPARATIONS.items():
        images = np.stack([prepare(ink) for ink in inks])
        for name, network in networks.items():
            digits = network.predict(network_input(images))[:, :10].argmax(axis=1)
            right, new = (digits == labels) & images.any(axis=(1, 2)), unseen(network, drawings)
            counts.append(Count(name, preparation, pen.name, int(right[new].sum()), int(new.sum())))
    return counts


def unseen(network: Sequential, drawings: Sequence[Drawing]) -> Mask:
    """Which drawings (N,) count: those of writers who were left out of its training, or all if none were."""
    fold = _fold(network)
    return np.array([fold is None or drawing.writer % WRITER_FOLDS == fold for drawing in drawings], bool)


def _fold(network: Sequential) -> int | None:
    """What the numbers of the writers who were left out of training leave, divided by WRITER_FOLDS (`dataset.py`)."""
    name, _, fold = str(network.made_by.get("dataset")).partition("-")
    return int(fold) - 1 if name == "drawn" and fold else None


def table(name: str, network: Sequential, drawings: Sequence[Drawing], counts: Sequence[Count]) -> str:
    """One network's figures as a Markdown table, below its name and what it knows of the writers."""
    people = {drawing.writer for drawing, new in zip(drawings, unseen(network, drawings), strict=True) if new}
    if network.made_by.get("dataset") == "drawn":
        known = "The network has learned from all of them, so that it reads other people's digits less well"
    elif _fold(network) is None:
        known = "The network was trained on nothing that they drew"
    else:
        known = "The network was trained on digits that other people drew, not these"
    ours = {(count.preparation, count.pen): count for count in counts if count.weights == name}
    pens = list(dict.fromkeys(pen for _, pen in ours))
    rows = [[preparation, *(_share(ours[preparation, pen]) for pen in pens)] for preparation in PREPARATIONS]
    digits = max(count.digits for count in ours.values())
    caption = (
        f"Percent of {digits:,} digits by {len(people)} people that are read right, with the 95 % interval. {known}."
    )
    return f"### {name}\n\n{caption}\n\n{markdown(['prepared how', *pens], rows)}"


def _share(count: Count) -> str:
    low, high = wilson_interval(count.right, count.digits)
    return f"{100 * count.right / max(count.digits, 1):.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _parser() -> argparse.ArgumentParser:
    parser = flags("recognition", "How many drawn digits are read right, prepared in several ways.", "100 digits only")
    help = "the networks' (default: weights/reference.npz and, where it is, weights/recogniser.npz)"
    parser.add_argument("--weights", type=Path, nargs="+", metavar="FILE", help=help)
    help = "the folder or file of the writers' strokes (default: pendigits beside the folder NNCORE_DATA)"
    parser.add_argument("--data", help=help)
    return parser


if __name__ == "__main__":
    sys.exit(main())
