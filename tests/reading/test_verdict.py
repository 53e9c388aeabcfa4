import numpy as np
import pytest
from PIL import Image, ImageDraw

from nncore.data.strokes.outliers import PAD, outliers
from nncore.reading.preprocess import find_digits
from nncore.reading.verdict import REFUSED, candidates, judge, stroke_size
from nncore.types import Array, Bytes

SEVEN = [(80, 70), (200, 70), (140, 230)]


def drawn(*strokes: list[tuple[float, float]], width: int = 14) -> Bytes:
    """Ink of a round pen on the pad."""
    pad = Image.new("L", (PAD, PAD))
    pen = ImageDraw.Draw(pad)
    for stroke in strokes:
        pen.line(stroke, fill=255, width=width)
        for x, y in stroke:
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return np.asarray(pad)


def probabilities(**shares: float) -> Array:
    """Such as d4=.6, d9=.3; the other digits share the rest."""
    given = {int(name[1:]): share for name, share in shares.items()}
    rest = (1 - sum(given.values())) / (10 - len(given))
    return np.array([given.get(digit, rest) for digit in range(10)])


CERTAIN = probabilities(d7=0.99)


def verdict(ink: Bytes, found: Array = CERTAIN) -> str:
    (one,) = find_digits(ink)
    return judge(one, found)


@pytest.mark.parametrize("width", [4, 8, 14, 20, 28])
def test_a_digit_of_every_pen(width: int) -> None:
    assert verdict(drawn(SEVEN, width=width)) == "digit"
    assert verdict(drawn([(140, 60), (138, 220)], width=width)) == "digit"  # a 1 is nothing but a line


@pytest.mark.parametrize("size", [28, 60, 1000])
def test_the_size_of_the_picture_does_not_matter(size: int) -> None:
    ink = Image.fromarray(drawn(SEVEN)).resize((size, size), Image.Resampling.BOX)
    assert verdict(np.asarray(ink)) == "digit"


def test_faint_ink_is_ink() -> None:
    assert verdict(drawn(SEVEN) // 5) == "digit"


def test_refuses_odd_shapes() -> None:
    assert verdict(drawn([(40, 140), (240, 150)])) == "not a digit"  # much wider than high
    assert verdict(drawn([(140, 140), (140, 140)])) == "not a digit"  # a speck
    assert verdict(drawn([(100, 100), (180, 100), (140, 180), (100, 100)], width=50)) == "not a digit"  # filled
    zigzag = [(40 + 14 * i, 60 if i % 2 else 200) for i in range(14)]
    assert verdict(drawn(zigzag, width=6)) == "not a digit"  # far too long


@pytest.mark.parametrize(("kind", "least"), [("dot", 20), ("spiral", 18), ("smiley", 15), ("filled shape", 12)])
def test_refuses_most_outliers_whatever_the_network_says(kind: str, least: int) -> None:
    refused = 0
    for _, strokes in outliers(20, 1, kinds=(kind,)):
        found = find_digits(drawn(*[[(float(x), float(y)) for x, y in stroke] for stroke in strokes], width=12))
        refused += all(judge(one, CERTAIN) == "not a digit" for one in found)
    assert refused >= least


def test_a_flat_answer_is_no_digit_and_a_divided_one_unsure() -> None:
    ink = drawn(SEVEN)
    assert verdict(ink, np.full(10, 0.1)) == "not a digit"
    assert verdict(ink, probabilities(d4=0.4, d9=0.2)) == "not a digit"
    assert verdict(ink, probabilities(d4=0.6, d9=0.36)) == "unsure"
    assert verdict(ink, probabilities(d4=0.93, d9=0.05)) == "digit"
    assert verdict(ink, np.eye(10)[4]) == "digit"


def test_a_class_for_what_is_no_digit_replaces_the_rules() -> None:
    for ink in (drawn(SEVEN), drawn([(40, 140), (240, 150)]), drawn([(140, 140), (140, 140)])):
        (one,) = find_digits(ink)
        assert judge(one, CERTAIN, 0.0) == judge(one, CERTAIN, REFUSED) == "digit"
        assert judge(one, CERTAIN, REFUSED + 0.001) == judge(one, CERTAIN, 1.0) == "not a digit"
        assert judge(one, probabilities(d4=0.6, d9=0.36), 0.0) == "unsure"
        assert judge(one, np.full(10, 0.1), 0.0) == "unsure"


def test_names_one_to_three_candidates() -> None:
    assert candidates(probabilities(d4=0.35, d9=0.55)) == [9, 4]
    assert candidates(probabilities(d4=0.9)) == [4]
    assert candidates(probabilities(d4=0.3, d9=0.25, d7=0.24, d1=0.2)) == [4, 9, 7]
    assert candidates(np.full(10, 0.09)) == [0]


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90])
@pytest.mark.parametrize("width", [6, 16])
def test_measures_strokes(angle: float, width: int) -> None:
    x, y = 100 * np.cos(np.radians(angle)), 100 * np.sin(np.radians(angle))
    (line,) = find_digits(drawn([(140 - x, 140 - y), (140 + x, 140 + y)], width=width))
    thickness, length = stroke_size(line)
    assert thickness == pytest.approx(width, rel=0.35)  # edges are counted along pixels, hence the error
    assert length == pytest.approx(200 + width, rel=0.35)
