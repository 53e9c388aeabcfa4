import io

import numpy as np
import pytest
from PIL import Image

from nncore.data.strokes.drawn import draw, on_pad
from nncore.data.strokes.photos import LONGEST, MARGIN, PAPERS, PENS, SHORTEST, photo
from nncore.reading.ink import read_ink
from nncore.reading.preprocess import find_digits
from nncore.types import Array

THREE = np.array([(20, 40), (50, 10), (80, 40), (45, 70), (90, 110), (50, 150), (15, 120)], float)
PLUS = [np.array([(0.0, 50), (100, 50)]), np.array([(50.0, 0), (50, 100)])]


def read_back(picture: Image.Image) -> tuple[Array, Array]:
    """The ink found in a picture, and the box of the largest thing in it."""
    file = io.BytesIO()
    picture.save(file, "BMP")
    file.seek(0)
    found = max(find_digits(read_ink(file)[0]), key=lambda one: max(one.box[2:]))
    return found.image.astype(float), np.array(found.box)


@pytest.mark.parametrize("pen", [*PENS, None])
def test_the_same_numbers_give_the_same_picture(pen: str | None) -> None:
    first, again, other = (photo([THREE], np.random.default_rng([7, i]), pen) for i in (0, 0, 1))
    assert np.array_equal(np.asarray(first), np.asarray(again))
    assert first.mode == "RGB"
    assert SHORTEST <= min(first.size) <= max(first.size) <= LONGEST
    assert first.size != other.size


@pytest.mark.parametrize("pen", PENS)
def test_ink_is_dark_on_paper_and_light_on_a_board(pen: str) -> None:
    grey = np.asarray(photo([THREE], np.random.default_rng(1), pen).convert("L"), float)
    median = np.median(grey)
    low, high = np.quantile(grey, (0.005, 0.995))
    assert (median - low > high - median) == (PENS[pen].pages is PAPERS)


@pytest.mark.parametrize("pen", PENS)
def test_what_was_written_can_be_read_back(pen: str) -> None:
    # The picture is not quite the drawing: turned, seen from the side, with a pen of another width
    (drawn,) = find_digits(draw(on_pad([THREE], np.random.default_rng(0)), 14))
    (other,) = find_digits(draw(on_pad(PLUS, np.random.default_rng(0)), 14))
    alike = 0
    for i in range(3):
        picture = photo([THREE], np.random.default_rng([3, i]), pen)
        image, box = read_back(picture)
        margin = MARGIN * min(picture.size) - 6  # blurred ink is wider
        assert box[:2].min() >= margin
        assert (np.array(picture.size) - box[:2] - box[2:]).min() >= margin
        to_drawn, to_other = (np.corrcoef(image.ravel(), one.image.ravel())[0, 1] for one in (drawn, other))
        alike += to_drawn > 0.5 and to_drawn > to_other
    assert alike >= 2


def test_strokes_of_any_unit_and_number() -> None:
    one, ten = (np.asarray(photo([s * scale for s in PLUS], np.random.default_rng(5))) for scale in (1, 10))
    assert np.abs(one.astype(int) - ten).mean() < 0.1
    photo([np.array([[3.0, 3.0]])], np.random.default_rng(6))  # a dot is a drawing, too
