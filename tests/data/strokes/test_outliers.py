import numpy as np
import pytest
from PIL import Image, ImageDraw

from nncore.data.strokes.glyphs import LETTERS, NEW_LETTERS, NEW_SIGNS, SIGNS
from nncore.data.strokes.outliers import KINDS, MARGIN, PAD, SEEN, UNSEEN, outliers


def test_every_kind_in_turn_within_the_pad() -> None:
    drawings = list(outliers(5 * len(KINDS), seed=3))
    assert [drawing.kind for drawing in drawings] == 5 * list(KINDS)
    for kind, strokes in drawings:
        assert (strokes == []) == (kind == "blank")
        for stroke in strokes:
            assert stroke.shape[1:] == (2,)
            assert stroke.min() >= MARGIN - 1e-9
            assert stroke.max() <= PAD - MARGIN + 1e-9


def test_a_dot_is_small_and_all_else_large() -> None:
    for kind, strokes in outliers(5 * len(KINDS), seed=4):
        if strokes:
            side = np.ptp(np.concatenate(strokes), axis=0).max()
            low, high = (0, 3) if kind == "dot" else (0.44 * PAD, 0.86 * PAD)
            assert low <= side <= high


def test_a_drawing_depends_on_its_number_and_the_seed_alone() -> None:
    def points(count: int, seed: int) -> list[np.ndarray]:
        return [np.concatenate([*strokes, np.zeros((0, 2))]) for _, strokes in outliers(count, seed)]

    for few, many in zip(points(7, 1), points(30, 1), strict=False):
        assert np.array_equal(few, many)
    assert not np.array_equal(points(3, 1)[2], points(3, 2)[2])


@pytest.mark.parametrize("seed", range(5))
def test_two_digits_touch(seed: int) -> None:
    for _, strokes in outliers(3, seed, kinds=("two digits",)):
        reached = [0]  # from the first stroke, by strokes that come closer than the thinnest pen is wide
        for i in reached:
            gaps = [np.hypot(*(strokes[i][:, None] - stroke).transpose(2, 0, 1)).min() for stroke in strokes]
            reached += [j for j, gap in enumerate(gaps) if gap < 8 and j not in reached]
        width, height = np.ptp(np.concatenate(strokes), axis=0)
        assert len(reached) > len(strokes) // 2
        assert width > 0.4 * height


def test_filled_shapes_have_no_gaps_even_for_the_thinnest_pen() -> None:
    for _, (stroke,) in outliers(8, 5, kinds=("filled shape",)):
        pad = Image.new("L", (PAD, PAD))
        pen = ImageDraw.Draw(pad)
        pen.line([tuple(point) for point in stroke], fill=2, width=8)
        for x, y in stroke:
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=2)
        ImageDraw.floodfill(pad, (0, 0), 1)
        assert np.bincount(np.asarray(pad).ravel())[0] == 0


def test_paths_stay_in_their_box() -> None:
    for path in [path for table in (LETTERS, SIGNS, NEW_LETTERS, NEW_SIGNS) for path in table.values()]:
        corners = [float(v) for corner in path.replace("/", "").split() for v in corner.split(",")]
        assert min(corners) >= 0
        assert max(corners) <= 100


def test_what_is_kept_for_the_test_is_not_trained_on() -> None:
    assert not SEEN.keys() & UNSEEN.keys()
    assert not {*LETTERS.values(), *SIGNS.values()} & {*NEW_LETTERS.values(), *NEW_SIGNS.values()}
    assert KINDS == SEEN | UNSEEN
