"""The whole way from a picture file to the digits in it, step by step beside the reader."""

import io
import threading
from itertools import chain

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nncore.errors import DataError, WeightsError
from nncore.layers import Dense, Flatten
from nncore.layers.activations import softmax
from nncore.models import compact
from nncore.pictures import read_ink
from nncore.preprocess import find_digits, network_input
from nncore.reader import DigitReader
from nncore.sequential import Sequential
from nncore.verdict import judge


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.npz"
    compact(seed=4).save(path)
    return path


@pytest.fixture(scope="module")
def reader(weights):
    return DigitReader(weights)


def picture(rng, digits: int, side: int = 280) -> io.BytesIO:
    """Crooked lines side by side on white paper, as a PNG file."""
    page = Image.new("L", (side, side), 255)
    pitch = side / digits
    for place in range(digits):
        points = rng.uniform((pitch * (place + 0.25), side * 0.2), (pitch * (place + 0.75), side * 0.8), (5, 2))
        ImageDraw.Draw(page).line([tuple(point) for point in points], 0, round(side / 20), "curve")
    file = io.BytesIO()
    page.save(file, "PNG")
    file.seek(0)
    return file


@pytest.mark.parametrize("digits", [1, 2, 4])
def test_each_step_after_the_other_gives_the_same(reader, rng, digits):
    file = picture(rng, digits)
    found = find_digits(read_ink(io.BytesIO(file.getvalue()))[0])
    logits = reader.network.predict(network_input(np.stack([one.image for one in found])))
    readings = reader.read(file)
    assert len(readings) == digits
    for reading, one, probabilities in zip(readings, found, softmax(logits), strict=True):
        np.testing.assert_allclose(reading.probabilities, probabilities, rtol=1e-5)
        np.testing.assert_array_equal(reading.image, one.image)
        assert reading.digit == probabilities.argmax()
        assert reading.verdict == judge(one, probabilities)
        assert reading.box == one.box


def test_the_box_of_a_large_picture_is_in_its_own_pixels(reader):
    page = Image.new("L", (3000, 2000), 255)
    page.paste(0, (1200, 500, 1320, 1500))
    file = io.BytesIO()
    page.save(file, "PNG")
    file.seek(0)
    (reading,) = reader.read(file)
    np.testing.assert_allclose(reading.box, (1200, 500, 120, 1000), atol=9)


def test_nothing_is_found_on_blank_paper(reader, rng):
    file = io.BytesIO()
    Image.new("RGB", tuple(rng.integers(1, 300, 2)), "white").save(file, "PNG")
    file.seek(0)
    assert reader.read(file) == []


def test_what_is_no_picture_is_an_error(reader):
    with pytest.raises(DataError, match="PNG"):
        reader.read(io.BytesIO(b"hello"))


def test_threads_may_share_a_reader(reader, rng):
    files = [picture(rng, 2).getvalue() for _ in range(8)]
    alone = [reader.read(io.BytesIO(file)) for file in files]
    together = [[] for _ in files]

    def read(index: int) -> None:
        together[index] = reader.read(io.BytesIO(files[index]))

    threads = [threading.Thread(target=read, args=(index,)) for index in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(chain(*alone), chain(*together), strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert one.box == other.box


def test_weights_that_do_not_fit_are_named(tmp_path):
    Sequential([Flatten(), Dense(10)], (28, 28, 3)).save(tmp_path / "colour.npz")
    with pytest.raises(WeightsError, match=r"colour\.npz.*\(28, 28, 3\)"):
        DigitReader(tmp_path / "colour.npz")
