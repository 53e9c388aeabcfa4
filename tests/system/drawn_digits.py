"""How well the page reads what people draw: python -m tests.system.drawn_digits

The strokes of 30 people (UCI's pen digits, see `nncore/data/strokes/unipen.py`) are drawn on the page's pad in a real
browser, by pens of several widths, and the page's answers are counted; so are those for drawings that are no digit
(`nncore/data/strokes/outliers.py`). What it got wrong goes into two pictures in the folder --out.
"""

import argparse
import base64
import io
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.compare.environment import say
from benchmarks.compare.protocol import ROOT, BenchmarkError
from benchmarks.compare.report import machine
from nncore.data.strokes.drawn import on_pad
from nncore.data.strokes.outliers import KINDS, outliers
from nncore.data.strokes.unipen import Drawing, find_pendigits, read_unipen
from nncore.errors import NNCoreError
from nncore.training.metrics import wilson_interval
from nncore.training.options import whole_number
from tests.system.page import Answer, Page, served

OUT = ROOT / "screenshots" / "drawn_digits"
PER_KIND = 50  # digits for every outlier of a kind
BY_HAND = 30  # digits that are drawn by a real pointer too
PICTURED = 60  # of the worst misses
CELL = 150  # pixels, the side of a drawing in the picture of the misses


class Reading(NamedTuple):
    """What the page said to one drawing; `label` is a digit or the kind of a thing that is none."""

    label: str
    origin: str
    pen: int
    answer: Answer

    @property
    def is_right(self) -> bool:
        return self.answer.shown == self.label

    @property
    def is_sure(self) -> bool:
        return self.answer.verdict == "digit"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status: 0, or 2 after an error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.count < 1 or not all(4 <= pen <= 40 for pen in options.pen):
        parser.error("--count must be at least 1, and every --pen from 4 to 40, as on the page")
    try:
        benchmark(options)
    except (BenchmarkError, NNCoreError, OSError) as error:
        print(f"tests.system.drawn_digits: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def benchmark(options: argparse.Namespace) -> None:
    """Draw, count and report."""
    source = find_pendigits(options.data)
    drawings = sample(read_unipen(source), options.count, options.seed)
    strokes = [on_pad(drawing.strokes, np.random.default_rng([options.seed, i])) for i, drawing in enumerate(drawings)]
    things = list(outliers(len(KINDS) * -(-options.count // PER_KIND), options.seed))
    facts = machine()
    digits: list[Reading] = []
    others: list[Reading] = []
    with ExitStack() as stack:
        url = options.url or stack.enter_context(served())
        page = stack.enter_context(closing(Page(url, options.chromium, options.driver)))
        for pen in options.pen:
            say(f"drawing {len(drawings)} digits and {len(things)} other things with a pen of {pen} pixels ...")
            page.reload()
            for drawing, answer in zip(drawings, page.read(strokes, pen), strict=True):
                digits.append(Reading(str(drawing.label), f"writer {drawing.writer}", pen, answer))
            for thing, answer in zip(things, page.read([thing.strokes for thing in things], pen), strict=True):
                others.append(Reading(thing.kind, "", pen, answer))
        by_hand = [page.read_by_hand(drawn, options.pen[0]) for drawn in strokes[:BY_HAND]]

    same = sum(
        hand.drawn == told.answer.drawn and hand.percent == told.answer.percent
        for hand, told in zip(by_hand, digits, strict=False)
    )
    print(f"{len(drawings):,} digits of {len({drawing.writer for drawing in drawings})} people from {source.name}:\n")
    print(accuracy_table(digits))
    print(f"\nMost often wrong: {confusions(digits)}\n")
    print(outlier_table(others))
    print(f"\n{times(digits)}\n")
    print(f"- drawn by a real pointer too: {same} of {len(by_hand)} the same to the pixel and the percent")
    print("\n".join(f"- {name}: {value}" for name, value in facts.items()))
    misses = [reading for reading in digits if not reading.is_right]
    called = [reading for reading in others if reading.answer.verdict in ("digit", "unsure")]
    for name, readings in (("misses.png", misses), ("called_digits.png", called)):
        if readings:
            say(f"the worst of {len(readings)}: {contact_sheet(readings, options.out / name)}")


def sample(drawings: list[Drawing], count: int, seed: int) -> list[Drawing]:
    """`count` of the drawings at random; a larger count only adds to them."""
    order = np.random.default_rng(seed).permutation(len(drawings))
    return [drawings[i] for i in order[:count]]


def accuracy_table(readings: Sequence[Reading]) -> str:
    """A Markdown table, one row a pen and one for all."""
    names = ["digits", "right", "95 % interval", "right and sure", "right where sure"]
    names += ["unsure", "not a digit", "several digits"]
    lines = [f"| pen | {' | '.join(names)} |", "| --- " + "| ---: " * len(names) + "|"]
    for pen in [*dict.fromkeys(reading.pen for reading in readings), None]:
        some = [reading for reading in readings if pen in (None, reading.pen)]
        right = sum(reading.is_right for reading in some)
        sure = [reading for reading in some if reading.is_sure]
        sure_and_right = sum(reading.is_right for reading in sure)
        low, high = wilson_interval(right, len(some))
        verdicts = Counter(reading.answer.verdict for reading in some)
        cells = [
            f"{pen} px" if pen else "all",
            f"{len(some):,}",
            _percent(right, len(some)),
            f"{100 * low:.1f} to {100 * high:.1f}",
            _percent(sure_and_right, len(some)),
            _percent(sure_and_right, len(sure)),
            *(_percent(verdicts[name], len(some)) for name in names[-3:]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("\nRight: the digit shown is the one drawn, be it called sure or unsure; a refusal is an error.")
    return "\n".join(lines)


def outlier_table(readings: Sequence[Reading]) -> str:
    """A Markdown table, one row a kind: what the page called it."""
    verdicts = ("digit", "unsure", "several digits", "not a digit", "nothing")
    lines = [f"| no digit | drawn | {' | '.join(verdicts)} |", "| --- " + "| ---: " * (1 + len(verdicts)) + "|"]
    for kind in [*dict.fromkeys(reading.label for reading in readings), None]:
        counts = Counter(reading.answer.verdict for reading in readings if kind in (None, reading.label))
        cells = [kind or "all", f"{counts.total()}", *(f"{counts[verdict]}" for verdict in verdicts)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def confusions(readings: Sequence[Reading], count: int = 8) -> str:
    """Such as "4 for 9: 7 times", the most frequent first."""
    wrong = Counter((reading.answer.shown, reading.label) for reading in readings if not reading.is_right)
    named = [f"{shown} for {label} ({times})" for (shown, label), times in wrong.most_common(count)]
    return ", ".join(named) or "nothing"


def times(readings: Sequence[Reading]) -> str:
    """How long an answer took in the page, and how much of that in the server."""
    page = [reading.answer.page for reading in readings]
    text = f"Page to answer: median {np.median(page):.1f} ms, 95 % within {np.percentile(page, 95):.1f} ms"
    server = [reading.answer.server for reading in readings if reading.answer.server is not None]
    return text + (f"; of these in the server: median {np.median(server):.1f} ms" if server else "")


def contact_sheet(readings: Sequence[Reading], path: Path) -> Path:
    """Write a picture of the worst misses: what was drawn, what the network saw, and what the page said."""
    worst = sorted(readings, key=lambda reading: (not reading.is_sure, -max(reading.answer.percent, default=0)))
    worst = worst[:PICTURED]
    columns, line = 6, 14
    rows = -(-len(worst) // columns)
    sheet = Image.new("L", (columns * (2 * CELL + 10), rows * (CELL + 3 * line)), 255)
    pen = ImageDraw.Draw(sheet)
    for i, (label, origin, width, answer) in enumerate(worst):
        left, top = i % columns * (2 * CELL + 10), i // columns * (CELL + 3 * line)
        drawn = _picture(answer.drawn).convert("RGBA")
        paper = Image.new("RGBA", drawn.size, "white")
        paper.alpha_composite(drawn)
        sheet.paste(paper.convert("L").resize((CELL, CELL)), (left, top))
        pen.rectangle((left, top, left + CELL - 1, top + CELL - 1), outline=160)
        if answer.seen:
            seen = _picture(answer.seen).convert("L").resize((CELL, CELL), Image.Resampling.NEAREST)
            sheet.paste(seen, (left + CELL + 2, top))
        share = f" {max(answer.percent):.1f} %" if answer.percent else ""
        pen.text((left, top + CELL + 1), f"{label} read as {answer.shown}{share}, {answer.verdict}", 0)
        pen.text((left, top + CELL + 1 + line), f"pen {width} {origin}", 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path


def _picture(data_url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2])))


def _percent(hits: int, count: int) -> str:
    return f"{100 * hits / count:.1f} %" if count else "-"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.system.drawn_digits", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--count",
        type=whole_number(1, 10**6),
        default=1000,
        help="of digits, drawn with every pen (default: %(default)s)",
    )
    help = "widths in pixels of a pad of 280 (default: 8 14 20 28)"
    parser.add_argument("--pen", type=whole_number(1, 280), nargs="+", default=[8, 14, 20, 28], help=help)
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn, and where (default: 0)")
    parser.add_argument("--url", help="of a page that is served already (default: serve one)")
    help = "the folder or file of the writers' strokes (default: pendigits beside the folder NNCORE_DATA)"
    parser.add_argument("--data", help=help)
    help = "the folder for the pictures of what went wrong (default: screenshots/drawn_digits)"
    parser.add_argument("--out", type=Path, default=OUT, help=help)
    parser.add_argument("--chromium", help="the browser (default: on PATH)")
    parser.add_argument("--driver", help="its chromedriver (default: on PATH)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
