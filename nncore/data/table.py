"""Digits as a table of numbers: a CSV file with a line for each, its label and then its 784 pixels.

The demo page saves corrections so, and several public copies of MNIST come in this form.
"""

from pathlib import Path

import numpy as np

from nncore.errors import DataError
from nncore.types import Bytes

PIXELS = 28 * 28


def read_csv(path: str | Path) -> tuple[Bytes, Bytes]:
    """The images (N, 28, 28) and labels (N,) of a CSV file, both uint8.

    Raises DataError, naming the file and the line, where it is missing or a line is not a label from 0 to 9 and 784
    grey levels from 0 to 255.
    """
    try:
        lines = Path(path).read_text("ascii").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text, so it is no CSV file; choose another") from error
    if not lines:
        raise DataError(f"{path}: is empty; expected a line for each digit")
    table = np.empty((len(lines), 1 + PIXELS), np.uint8)
    for number, line in enumerate(lines, 1):
        try:
            values = [int(value) for value in line.split(",")]
        except ValueError:
            values = []
        if len(values) != 1 + PIXELS or not 0 <= values[0] <= 9 or min(values) < 0 or max(values) > 255:
            raise DataError(
                f"{path}, line {number}: expected a label from 0 to 9 and {PIXELS} grey levels from 0 to 255, with "
                f"commas between them, found {line[:40]!r}. Save the file again, or take the line out"
            )
        table[number - 1] = values
    return table[:, 1:].reshape(-1, 28, 28), table[:, 0]
