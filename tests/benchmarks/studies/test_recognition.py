import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.studies import recognition
from benchmarks.studies.preprocessing import examples
from benchmarks.studies.recognition import PENS, PREPARATIONS, Count, Pen, cropped, found, read, resized, table, unseen
from nncore.data.strokes.unipen import Drawing
from nncore.layers import Dense, Flatten
from nncore.network.sequential import Sequential
from nncore.reading.preprocess import find_digits
from nncore.types import Bytes

STROKE = np.array([[150.0, 100.0], [250.0, 120.0], [140.0, 300.0]])


def network(classes: int = 10, bias: int = 3, **made_by: str) -> Sequential:
    """It reads anything as the digit `bias`."""
    made = Sequential([Flatten(), Dense(classes)], input_shape=(28, 28, 1))
    for name, array in made.parameters().items():
        array[...] = 0
        if name.endswith("bias"):
            array[bias] = 1
    made.made_by = dict(made_by)
    return made


def drawings(count: int) -> list[Drawing]:
    return [Drawing(i % 10, i % 30 + 1, i, [STROKE]) for i in range(count)]


def bar() -> Bytes:
    ink = np.zeros((280, 280), np.uint8)
    ink[40:180, 30:65] = 255  # a fourth as wide as high
    return ink


@pytest.mark.parametrize(
    ("prepare", "rows", "columns"),
    [
        (resized, (4, 18), (3, 7)),
        (lambda ink: cropped(ink, side=28), (0, 28), (10, 18)),
        (lambda ink: cropped(ink, side=20), (4, 24), (11, 17)),
    ],
)
def test_where_the_ink_comes_to_lie(prepare: Callable[[Bytes], Bytes], rows: object, columns: object) -> None:
    image = prepare(bar())
    assert (image.shape, image.dtype) == ((28, 28), np.uint8)
    down, across = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    assert ((down[0], down[-1] + 1), (across[0], across[-1] + 1)) == (rows, columns)


def test_the_canvas_is_averaged() -> None:
    ink = bar()
    np.testing.assert_allclose(resized(ink), ink.reshape(28, 10, 28, 10).mean(axis=(1, 3)), atol=0.5)


def test_what_falls_into_two_digits_is_no_answer() -> None:
    ink = bar()
    np.testing.assert_array_equal(found(ink), find_digits(ink)[0].image)
    ink[40:180, 165:200] = 255
    assert not found(ink).any()


def test_only_writers_count_that_the_network_has_not_seen() -> None:
    some = drawings(30)
    for dataset, remainder in (("drawn-1", 0), ("drawn-2", 1), ("drawn-3", 2)):
        assert [d.writer % 3 == remainder for d in some] == unseen(network(dataset=dataset), some).tolist()
    assert unseen(network(dataset="drawn"), some).all()
    assert unseen(network(), some).all()


@pytest.mark.parametrize("classes", [10, 11])
def test_counts_what_is_right(classes: int) -> None:
    networks = {"all": network(classes), "some": network(classes, dataset="drawn-1")}
    counts = read(drawings(30), Pen(14, 0.5), networks)
    assert [count.preparation for count in counts[::2]] == list(PREPARATIONS)
    assert {count[:1] + count[2:] for count in counts} == {
        ("all", "pen of 14 px, half as large", 3, 30),
        ("some", "pen of 14 px, half as large", 1, 10),
    }


def test_the_class_of_what_is_no_digit_is_no_reading() -> None:
    refuses = network(11, bias=10)
    assert {count.right for count in read(drawings(10), Pen(14), {"": refuses})} == {1}  # the first of ten equal ones


def test_a_table_says_what_the_network_has_seen() -> None:
    counts = [Count("a", name, pen, 98, 100) for pen in ("pen of 8 px", "thick") for name in PREPARATIONS]
    lines = table("a", network(dataset="drawn"), drawings(90), counts).splitlines()
    assert lines[0] == "### a"
    assert lines[2].startswith("Percent of 100 digits by 30 people that are read right, with the 95 % interval.")
    assert "learned from all of them" in lines[2]
    assert lines[4] == "| prepared how | pen of 8 px | thick |"
    assert lines[6] == "| the whole canvas, resized | 98.0 (93.0 to 99.4) | 98.0 (93.0 to 99.4) |"
    assert len(lines) == 6 + len(PREPARATIONS)
    assert "other people drew, not these" in table("a", network(dataset="drawn-2"), drawings(90), counts)
    assert "nothing that they drew" in table("a", network(dataset="mnist"), drawings(90), counts)


def test_a_run_leaves_table_figures_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    points = "\n".join(f"{x:.0f} {500 - y:.0f}" for x, y in STROKE)
    segments = [
        f'.SEGMENT DIGIT {i} ? "{i}"\n.COMMENT {i} {i + 1} 1\n.PEN_DOWN\n{points}\n.PEN_UP\n' for i in range(10)
    ]
    (tmp_path / "pendigits-orig.tra").write_text("".join(segments))
    weights = tmp_path / "always-3.npz"
    network().save(weights)
    flags = ["--quick", "--threads", "1", "--data", str(tmp_path), "--weights", str(weights)]
    assert recognition.main([*flags, "--output", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "recognition.md").read_text() == capsys.readouterr().out
    results = json.loads((tmp_path / "new" / "recognition.json").read_text())["results"]
    assert len(results) == len(PENS) * len(PREPARATIONS)
    assert {(each["right"], each["digits"]) for each in results} == {(1, 10)}
    with Image.open(tmp_path / "new" / "preprocessing.png") as picture:
        assert picture.size[0] == 1000


def test_says_which_weights_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recognition.main(["--quick", "--weights", str(tmp_path / "none.npz")]) == 2
    assert "none.npz" in capsys.readouterr().err


def test_examples_are_pictures_of_pads_and_of_a_page() -> None:
    pad, page, two = examples(drawings(10)).values()
    assert pad.size == two.size == (280, 280)
    assert page.mode == "RGB"
