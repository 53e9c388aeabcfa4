"""How well a network does its work, measured in five ways: python -m nncore evaluate WEIGHTS --on ...

    mnist       the test images
    writers     digits that people drew with a pen on a tablet, drawn on the demo's pad by pens of several widths
    synthetic   digits drawn by program
    outliers    drawings that are no digit
    photos      pictures of handwriting as phones and scanners make them

Whatever is not 28 x 28 already goes the whole way that a picture goes in the demo, and gets the verdict it gets there.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from nncore.data.dataset import WRITER_FOLDS, load_dataset
from nncore.data.strokes.drawn import draw, on_pad
from nncore.data.strokes.outliers import KINDS, SEEN, UNSEEN, outliers
from nncore.data.strokes.photos import photo
from nncore.data.strokes.skeletons import written
from nncore.data.strokes.unipen import Drawing, find_pendigits, read_unipen
from nncore.errors import DataError, OptionError
from nncore.reading.ink import read_ink
from nncore.reading.preprocess import Found, find_digits
from nncore.reading.reader import DigitReader, Reading
from nncore.training.calibration import expected_calibration_error
from nncore.training.metrics import confusion_matrix, wilson_interval
from nncore.training.report import accuracy_line, class_table
from nncore.types import Bytes

SETS = ("mnist", "writers", "synthetic", "outliers", "photos")
SEED = 1  # of what is drawn here; training draws with others
PENS = (8, 14, 20, 28)  # pixels on the demo's pad of 280
USUAL = (8, 14, 20)
DRAWINGS = 2_500  # of the writers, at most, each with all the pens
PER_KIND = 90  # drawings of each kind that is no digit, a third with each of the USUAL pens
PHOTOS = 400
BATCH = 256  # pictures that the network sees together


class Answer(NamedTuple):
    """What was made of one picture; `label` is the digit, or the kind of the thing that is none."""

    label: str
    readings: list[Reading]

    @property
    def is_right(self) -> bool:
        """Whether one digit was found and the most probable one is it; what fell into several digits is wrong."""
        return len(self.readings) == 1 and str(self.readings[0].digit) == self.label

    @property
    def is_refused(self) -> bool:
        """Whether no digit was found, or nothing but what was called none."""
        return all(reading.verdict == "not a digit" for reading in self.readings)

    @property
    def is_unsure(self) -> bool:
        """Whether it was read, but not for sure."""
        return not self.is_refused and any(reading.verdict == "unsure" for reading in self.readings)


def evaluate(reader: DigitReader, on: str = "mnist", data_dir: str | Path | None = None) -> str:
    """What `reader` is worth on one of SETS, as Markdown tables. Each share has its 95 % interval (Wilson) behind it.

    data_dir: the folder with MNIST; the writers' file is looked for in `pendigits` beside it. Raises OptionError for
    another set or a folder where none is read, DataError where the data cannot be had.
    """
    if on not in SETS:
        raise OptionError(f"Cannot evaluate on {on!r}: choose among {', '.join(SETS)}")
    if on in ("mnist", "synthetic"):
        return _on_images(reader, on, data_dir)
    if on == "writers":
        return _on_writers(reader, data_dir)
    if on == "photos":
        return _on_photos(reader, data_dir)
    if data_dir is not None:
        raise OptionError(f"Outliers are drawn, not read: leave out the folder {data_dir}")
    return _on_outliers(reader)


def _on_images(reader: DigitReader, name: str, data_dir: str | Path | None) -> str:
    data = load_dataset(name, data_dir)
    readings = _read(reader, ([_as_found(image)] for image in data.test_images))
    answers = [Answer(str(label), one) for label, one in zip(data.test_labels, readings, strict=True)]
    predictions = np.array([one[0].digit for one in readings])
    return "\n".join(
        [
            *([f"*** {data.notice}\n"] if data.notice else []),
            f"{data.source}: test images",
            f"{accuracy_line(data.test_labels, predictions)}\n",
            accuracy_table({"all": answers}, "images"),
            f"\n{class_table(data.test_labels, predictions)}",
            "\nconfusion (rows: true digit, columns: read as)",
            "     " + "".join(f"{digit:>6}" for digit in range(10)),
            *(
                f"{digit:>5}" + "".join(f"{count:>6}" for count in row)
                for digit, row in enumerate(confusion_matrix(data.test_labels, predictions))
            ),
        ]
    )


def _as_found(image: Bytes) -> Found:
    """An image of a data set (28, 28) as `find_digits` would have found it: the network's, and where its ink is."""
    left, top, right, bottom = Image.fromarray(image).getbbox() or (0, 0, *image.shape)
    return Found((left, top, right - left, bottom - top), image[top:bottom, left:right], image)


def _on_writers(reader: DigitReader, data_dir: str | Path | None) -> str:
    drawings, told = _unseen_drawings(reader, data_dir)
    chosen = [drawings[i] for i in np.random.default_rng(SEED).permutation(len(drawings))[:DRAWINGS]]
    placed = [on_pad(drawing.strokes, np.random.default_rng([SEED, i])) for i, drawing in enumerate(chosen)]
    groups: dict[str, list[Answer]] = {}
    for pen in PENS:
        readings = _read(reader, (find_digits(draw(strokes, pen)) for strokes in placed))
        groups[f"{pen} px"] = [Answer(str(one.label), read) for one, read in zip(chosen, readings, strict=True)]
    groups[f"{min(USUAL)} to {max(USUAL)} px"] = [answer for pen in USUAL for answer in groups[f"{pen} px"]]
    return (
        f"{told}\n\n{accuracy_table(groups, 'digits', distinct=len(chosen))}\n\n"
        "Each digit was drawn with every pen; what is found as several digits is an error. The intervals are those of\n"
        "so many digits by these people: of other people they would be wider."
    )


def _unseen_drawings(reader: DigitReader, data_dir: str | Path | None) -> tuple[list[Drawing], str]:
    """The drawings of those writers whom the network was not trained on, and a line about them."""
    source = find_pendigits(data_dir=data_dir)
    drawings = read_unipen(source)
    trained_on = reader.network.made_by.get("dataset")
    for fold in range(WRITER_FOLDS):
        if trained_on == f"drawn-{fold + 1}":
            drawings = [drawing for drawing in drawings if drawing.writer % WRITER_FOLDS == fold]
    people = f"{len({drawing.writer for drawing in drawings})} people from {source.name}"
    if trained_on == "drawn":
        return drawings, (
            f"*** SEEN IN TRAINING: this network has learnt from these very digits of {people}.\n"
            "What follows says nothing about other people."
        )
    return drawings, f"digits of {people}, none of whom the network was trained on"


def _on_outliers(reader: DigitReader) -> str:
    things = list(outliers(PER_KIND * len(KINDS), SEED))
    pens = (USUAL[i // len(KINDS) % len(USUAL)] for i in range(len(things)))
    readings = _read(reader, (find_digits(draw(one.strokes, pen)) for one, pen in zip(things, pens, strict=True)))
    refused: dict[str, list[bool]] = defaultdict(list)
    for thing, read in zip(things, readings, strict=True):
        refused[thing.kind].append(Answer(thing.kind, read).is_refused)
    lines = ["| what is drawn | drawings | refused |", "| --- | ---: | ---: |"]
    for title, kinds in (("made for training", SEEN), ("kept from training", UNSEEN)):
        every = [one for kind in kinds if kind != "blank" for one in refused[kind]]
        lines.append(f"| **{title}** | {len(every):,} | {_share(sum(every), len(every))} |")
        lines += [
            f"| {kind} | {len(refused[kind])} | {_share(sum(refused[kind]), len(refused[kind]))} |" for kind in kinds
        ]
    table = "\n".join(lines)
    return (
        f"drawings that are no digit, with pens of {', '.join(map(str, USUAL))} pixels\n\n{table}\n\n"
        "Refused: no part of it was called a digit. The sums leave out the blank pad."
    )


def _on_photos(reader: DigitReader, data_dir: str | Path | None) -> str:
    rng = np.random.default_rng(SEED)
    try:
        drawings, told = _unseen_drawings(reader, data_dir)
        digits = [(drawings[i].label, drawings[i].strokes) for i in rng.permutation(len(drawings))[:PHOTOS]]
    except DataError as error:
        digits, told = [written(rng) for _ in range(PHOTOS)], f"digits drawn by program, not by people. {error}"
    photos = (photo(strokes, np.random.default_rng([SEED, i])) for i, (_, strokes) in enumerate(digits))
    readings = _read(reader, (find_digits(read_ink(_file(picture))[0]) for picture in photos))
    answers = [Answer(str(label), read) for (label, _), read in zip(digits, readings, strict=True)]
    return f"pictures as phones and scanners make them, of {told}\n\n{accuracy_table({'all': answers}, 'pictures')}"


def _file(picture: Image.Image) -> BytesIO:
    file = BytesIO()
    picture.save(file, "BMP")  # loses nothing of it, and takes no time
    file.seek(0)
    return file


def _read(reader: DigitReader, pictures: Iterable[list[Found]]) -> list[list[Reading]]:
    """What is read in each picture, given what was found there; the network sees those of many at a time."""
    readings: list[list[Reading]] = []
    waiting: Iterator[list[Found]] = iter(pictures)
    while batch := list(islice(waiting, BATCH)):
        read = iter(reader.interpret([one for found in batch for one in found]))
        readings += [list(islice(read, len(found))) for found in batch]
    return readings


def accuracy_table(groups: Mapping[str, Sequence[Answer]], what: str, distinct: int | None = None) -> str:
    """A Markdown table with a row for each group of answers; `distinct`: so many in each are independent, if not all.

    The calibration error is that of the ten digits' probabilities, where one digit was found. A network whose
    probabilities are exactly right has some, too, by chance: 95 times in 100 less than what stands in brackets.
    """
    titles = (what, "right", "right and not refused", "refused", "unsure", "calibration error (by chance)")
    lines = [f"| | {' | '.join(titles)} |", "| --- " + "| ---: " * len(titles) + "|"]
    for name, answers in groups.items():
        right = [answer.is_right for answer in answers]
        refused = [answer.is_refused for answer in answers]
        shares = (
            right,
            [one and not other for one, other in zip(right, refused, strict=True)],
            refused,
            [answer.is_unsure for answer in answers],
        )
        total = min(distinct or len(answers), len(answers))
        cells = [f"{len(answers):,}", *(_share(sum(share), len(answers), total) for share in shares)]
        lines.append(f"| {name} | {' | '.join(cells)} | {_calibration(answers)} |")
    return "\n".join(lines)


def _share(count: int, total: int, distinct: int | None = None) -> str:
    """A share in percent, with the interval that `distinct` examples leave it."""
    low, high = wilson_interval(round(count / total * (distinct or total)), distinct or total)
    return f"{count / total:.2%} ({100 * low:.2f} to {100 * high:.2f})"


def _calibration(answers: Sequence[Answer]) -> str:
    single = [answer for answer in answers if len(answer.readings) == 1]
    if not single:
        return "-"
    probabilities = np.stack([answer.readings[0].probabilities for answer in single])
    error = expected_calibration_error(probabilities, np.array([int(answer.label) for answer in single]))
    named, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rng = np.random.default_rng(SEED)
    by_chance = [
        expected_calibration_error(probabilities, np.where(rng.random(len(single)) < confidence, named, 10))
        for _ in range(200)
    ]
    return f"{error:.4f} ({np.quantile(by_chance, 0.95):.4f})"
