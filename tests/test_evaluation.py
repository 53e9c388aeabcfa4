import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nncore import evaluation
from nncore.data.dataset import Dataset, network_input
from nncore.data.strokes.outliers import KINDS, UNSEEN
from nncore.errors import DataError, OptionError
from nncore.evaluation import Answer, accuracy_table, evaluate
from nncore.layers import Dense, Flatten
from nncore.network.models import compact
from nncore.network.sequential import Sequential
from nncore.reading.reader import DigitReader, Reading
from nncore.reading.verdict import Verdict
from nncore.training.calibration import expected_calibration_error
from nncore.training.metrics import confusion_matrix, wilson_interval
from nncore.training.report import accuracy_line, class_table
from nncore.types import Array

THREE = ((6, 20), (10, 8), (30, 2), (36, 14), (20, 26), (36, 36), (34, 50), (10, 56), (2, 44))


def always(folder: Path, logits: Sequence[float], **made_by: object) -> DigitReader:
    """A reader whose network says the same of everything."""
    network = Sequential([Flatten(), Dense(len(logits))], (28, 28, 1), seed=None)
    network.parameters()["dense_1.bias"][:] = logits
    network.save(folder / "w.npz", made_by)
    return DigitReader(folder / "w.npz")


def three(folder: Path, **made_by: object) -> DigitReader:
    return always(folder, [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, -9], **made_by)


def none(folder: Path) -> DigitReader:
    return always(folder, [*[0.0] * 10, 20.0])


def rows(told: str) -> dict[str, list[str]]:
    """The rows of the Markdown table in a text, by their first cell; each other cell up to its brackets."""
    lines = [line.strip("|").split("|") for line in told.splitlines() if line.startswith("|")][2:]
    return {name.strip(): [cell.split("(")[0].strip() for cell in cells] for name, *cells in lines}


def reading(digit: int, verdict: Verdict = "digit", share: float = 0.9) -> Reading:
    probabilities = np.full(10, (1 - share) / 9)
    probabilities[digit] = share
    return Reading(digit, probabilities, 0.0, verdict, (0, 0, 9, 9), np.zeros((28, 28), np.uint8))


def answers(*, right: int = 0, wrong: int = 0, refused: int = 0, unsure: int = 0, several: int = 0) -> list[Answer]:
    """So many of each; those refused, unsure or several have the right digit."""
    four = reading(4)
    return [
        *[Answer("4", [four])] * right,
        *[Answer("4", [reading(9)])] * wrong,
        *[Answer("4", [reading(4, "not a digit")])] * refused,
        *[Answer("4", [reading(4, "unsure")])] * unsure,
        *[Answer("4", [four, reading(1, "not a digit")])] * several,
    ]


def test_counts_refusals_both_ways() -> None:
    some = [*answers(right=5, wrong=2, refused=1, unsure=3, several=4), Answer("4", [])]
    (cells,) = rows(accuracy_table({"all": some}, "digits")).values()
    assert cells[:5] == ["16", "56.25%", "50.00%", "12.50%", "18.75%"]


def test_every_share_has_its_interval() -> None:
    low, high = wilson_interval(8, 10)
    interval = f"80.00% ({100 * low:.2f} to {100 * high:.2f})"
    assert interval in accuracy_table({"all": answers(right=8, wrong=2)}, "digits")
    # Three pens add no digits: the interval is that of ten all the same
    table = accuracy_table({"one": answers(right=8, wrong=2), "all": answers(right=24, wrong=6)}, "digits", distinct=10)
    assert table.count(interval) == 4
    assert "| all | 30 |" in table


def test_calibration_is_of_what_was_found_as_one_digit() -> None:
    some = answers(right=6, wrong=2, refused=1, several=3)
    probabilities = np.stack([one.readings[0].probabilities for one in some[:9]])
    expected = expected_calibration_error(probabilities, np.full(9, 4))
    assert rows(accuracy_table({"all": some}, "digits"))["all"][-1] == f"{expected:.4f}"
    assert rows(accuracy_table({"all": answers(several=2)}, "digits"))["all"][-1] == "-"


def test_calibration_error_by_chance() -> None:
    few, many = (
        float(re.findall(r"\(([0-9.]+)\) \|", accuracy_table({"all": answers(right=9 * n, wrong=n)}, "digits"))[0])
        for n in (5, 500)
    )
    # The share of n that are right has the deviation sqrt(0.09 / n); 95 % lie within 1.96 times that
    assert few == pytest.approx(1.96 * np.sqrt(0.09 / 50), rel=0.35)
    assert many == pytest.approx(few / 10, rel=0.35)


# Sets


def test_images_are_judged_as_they_are(tmp_path, rng, monkeypatch) -> None:
    images = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8) * (rng.random((40, 28, 28)) < 0.1)
    images[7] = 0
    labels = rng.integers(0, 10, 40).astype(np.uint8)
    data = Dataset("mnist", images, labels, images, labels, "made up", "NOT MNIST")
    monkeypatch.setattr(evaluation, "load_dataset", lambda name, folder: data)
    monkeypatch.setattr(evaluation, "BATCH", 7)
    compact(seed=2).save(tmp_path / "w.npz")
    predictions = compact(seed=2).predict(network_input(images)).argmax(axis=1)
    lines = evaluate(DigitReader(tmp_path / "w.npz")).splitlines()
    assert lines[0] == "*** NOT MNIST"
    assert lines[2:4] == ["made up: test images", accuracy_line(labels, predictions)]
    assert f"| {(labels == predictions).mean():.2%} (" in lines[7]
    assert "\n".join(lines[9:20]) == class_table(labels, predictions)
    counts = [[int(number) for number in line.split()[1:]] for line in lines[-10:]]
    np.testing.assert_array_equal(counts, confusion_matrix(labels, predictions))
    monkeypatch.setattr(evaluation, "load_dataset", lambda name, folder: replace(data, notice=None))
    assert evaluate(none(tmp_path), "synthetic").startswith("made up")


@pytest.fixture
def writers(tmp_path: Path) -> Path:
    """MNIST's folder, which does not matter, with the file of six writers beside it: a 3 of each, and a 5 of two."""
    lines = []
    for label, writer in [(3, 1), (3, 2), (3, 3), (3, 4), (3, 5), (3, 6), (5, 3), (5, 4)]:
        points = "\n".join(f"{100 + 3 * x + writer} {400 - 3 * y}" for x, y in THREE)
        lines.append(f'.SEGMENT DIGIT 0 ? "{label}"\n.COMMENT {label} {writer} 1\n.PEN_DOWN\n{points}\n.PEN_UP\n')
    (tmp_path / "pendigits").mkdir()
    (tmp_path / "pendigits" / "pendigits-orig.tra").write_text("".join(lines))
    return tmp_path / "mnist"


@pytest.mark.parametrize(
    ("dataset", "people", "digits", "right"),
    [("drawn-1", 2, 3, 2), ("drawn-2", 2, 3, 2), ("drawn-3", 2, 2, 2), ("mnist", 6, 8, 6), (["drawn-1"], 6, 8, 6)],
)
def test_writers_whom_the_network_was_not_trained_on(tmp_path, writers, dataset, people, digits, right) -> None:
    told = evaluate(three(tmp_path, dataset=dataset), "writers", writers)
    assert told.startswith(f"digits of {people} people from pendigits-orig.tra, none of whom the network was trained")
    table = rows(told)
    assert list(table) == ["8 px", "14 px", "20 px", "28 px", "8 to 20 px"]
    for name, cells in table.items():
        total = digits * 3 if name == "8 to 20 px" else digits
        assert cells[:5] == [str(total), f"{right / digits:.2%}", f"{right / digits:.2%}", "0.00%", "0.00%"]


def test_says_loudly_that_the_writers_were_seen_in_training(tmp_path, writers, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "DRAWINGS", 5)
    told = evaluate(three(tmp_path, dataset="drawn"), "writers", writers)
    assert told.startswith("*** SEEN IN TRAINING")
    assert "6 people" in told
    assert rows(told)["8 px"][0] == "5"
    assert evaluate(three(tmp_path, dataset="drawn"), "writers", writers) == told


def test_says_where_to_get_the_writers(tmp_path) -> None:
    with pytest.raises(DataError, match=r"pendigits: there is no .*archive\.ics\.uci\.edu"):
        evaluate(three(tmp_path), "writers", tmp_path / "mnist")


def test_outliers_of_every_kind(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "PER_KIND", 3)
    table = rows(evaluate(none(tmp_path), "outliers"))
    assert list(table)[1:-1] == [*list(KINDS)[: -len(UNSEEN)], "**kept from training**", *list(UNSEEN)[:-1]]
    assert all(refused == "100.00%" for _, refused in table.values())
    table = rows(evaluate(three(tmp_path), "outliers"))
    assert table["blank"] == ["3", "100.00%"]
    assert all(cells[1] == "0.00%" for kind, cells in table.items() if kind != "blank")
    assert table["**kept from training**"] == [str(3 * (len(UNSEEN) - 1)), "0.00%"]


def test_photos_of_what_the_writers_wrote(tmp_path, writers, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "PHOTOS", 4)
    told = evaluate(three(tmp_path, dataset="drawn-1"), "photos", writers)
    assert "of digits of 2 people" in told
    (cells,) = rows(told).values()
    assert cells[0] == "3"  # all there are
    assert float(cells[1].strip("%")) >= 33


def test_photos_without_the_writers(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "PHOTOS", 2)
    told = evaluate(none(tmp_path), "photos", tmp_path / "mnist")
    assert "digits drawn by program" in told
    (cells,) = rows(told).values()
    assert (cells[0], cells[2], cells[3]) == ("2", "0.00%", "100.00%")


def test_refuses_what_cannot_be(tmp_path) -> None:
    with pytest.raises(OptionError, match=r"'cifar': choose among mnist, writers, .*"):
        evaluate(three(tmp_path), "cifar")
    with pytest.raises(OptionError, match="leave out the folder here"):
        evaluate(three(tmp_path), "outliers", "here")


def test_many_pictures_at_once_and_each_gets_its_own(monkeypatch) -> None:
    class Echo:
        """Calls the first a 0, the second a 1 and so on, whatever they are, and notes how many came at once."""

        def __init__(self) -> None:
            self.sizes: list[int] = []

        def interpret(self, found: Sequence[Array]) -> list[int]:
            start = sum(self.sizes)
            self.sizes.append(len(found))
            return list(range(start, start + len(found)))

    monkeypatch.setattr(evaluation, "BATCH", 2)
    echo = Echo()
    assert evaluation._read(echo, [[None] * n for n in (1, 0, 3, 2, 0)]) == [[0], [], [1, 2, 3], [4, 5], []]
    assert echo.sizes == [1, 5, 0]
