"""CSV files of digits, those of the demo page among them."""

import numpy as np
import pytest

from nncore.data.table import read_csv
from nncore.errors import DataError


def row(label, pixels):
    return ",".join(map(str, [label, *pixels])) + "\n"


@pytest.mark.parametrize("count", [1, 7])
def test_what_was_written_is_read(tmp_path, rng, count):
    images = rng.integers(0, 256, (count, 28, 28), np.uint8)
    labels = rng.integers(0, 10, count, np.uint8)
    text = "".join(row(label, image.ravel()) for label, image in zip(labels, images, strict=True))
    (tmp_path / "digits.csv").write_text(text)
    read_images, read_labels = read_csv(tmp_path / "digits.csv")
    np.testing.assert_array_equal(read_images, images)
    np.testing.assert_array_equal(read_labels, labels)
    assert (read_images.dtype, read_labels.dtype) == (np.uint8, np.uint8)


GOOD = row(3, [0] * 784)


@pytest.mark.parametrize(
    "line",
    [
        "label," + ",".join(f"pixel{i}" for i in range(784)),
        row(10, [0] * 784),
        row(-1, [0] * 784),
        row(3, [0] * 783),
        row(3, [0] * 785),
        row(3, [256] + [0] * 783),
        row(3, [-1] + [0] * 783),
        row(3, [0.5] + [0] * 783),
        row(3, [2**70] + [0] * 783),
        "\n",
    ],
)
def test_a_bad_line_is_named(tmp_path, line):
    (tmp_path / "digits.csv").write_text(GOOD + line)
    with pytest.raises(DataError, match=r"digits\.csv, line 2: expected a label"):
        read_csv(tmp_path / "digits.csv")


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"\x89PNG\xff", "not text"), (None, "cannot be read")])
def test_files_that_are_no_table(tmp_path, content, words):
    if content is not None:
        (tmp_path / "digits.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"digits\.csv: .*{words}"):
        read_csv(tmp_path / "digits.csv")
